"""tanh and sigmoid of the native kernels are accurate for all numbers."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import numpy as np
import pytest

from rnnimpl.interface import NumpyArray
from rnnimpl.native.build import kernels
from tests.fused_kernels import skip_without_kernels

skip_without_kernels()


def native(function_name: str, x: NumpyArray) -> NumpyArray:
    """tanh or sigmoid, computed by the kernels' functions."""
    result = np.empty_like(x)
    function = getattr(kernels("tanh", str(x.dtype)).functions, f"rnn_{function_name}")
    function(ctypes.c_long(x.size), ctypes.c_void_p(x.ctypes.data), ctypes.c_void_p(result.ctypes.data))
    return result


def ulps(actual: NumpyArray, expected: NumpyArray) -> NumpyArray:
    """Errors in units in the last place of the rounded expected values."""
    rounded = expected.astype(actual.dtype)
    unit = np.abs(np.spacing(np.nextafter(rounded, actual.dtype.type(0))))
    errors: NumpyArray = np.abs(actual - expected) / unit
    return errors


def sigmoid(x: NumpyArray) -> NumpyArray:
    """1 / (1 + exp(-x)), by exponentials that do not overflow."""
    small = np.exp(-np.abs(x))
    result: NumpyArray = np.where(x >= 0, 1, small) / (1 + small)
    return result


EXACT: dict[str, Callable[[NumpyArray], NumpyArray]] = {"tanh": np.tanh, "sigmoid": sigmoid}


@pytest.mark.parametrize("name", EXACT)
def test_functions_are_accurate_for_all_float32(name: str) -> None:
    """Two thousand values of every exponent, of either sign, to 3 units in the last place, subnormal results too."""
    patterns = np.arange(0, 0x7F800000, 4099, dtype=np.uint32)
    x = np.concatenate([patterns.view(np.float32), np.linspace(80, 110, 20_001, dtype=np.float32)])
    for sign in (np.float32(1), np.float32(-1)):
        assert ulps(native(name, sign * x), EXACT[name](sign * x.astype(np.float64))).max() <= 3


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.skipif(np.finfo(np.longdouble).nmant <= 52, reason="no wider float here to compare float64 with")
def test_functions_are_accurate_for_all_float64(name: str) -> None:
    """A hundred values of every exponent, to 3 units in the last place."""
    patterns = np.linspace(0, 0x7FEFFFFFFFFFFFFF, 200_001).astype(np.uint64)
    x = np.concatenate([patterns.view(np.float64), np.geomspace(1e-3, 760, 200_001)])
    x[::2] *= -1
    assert ulps(native(name, x), EXACT[name](x.astype(np.longdouble))).max() <= 3


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_tanh_is_as_exact_below_zero_as_above(dtype: str) -> None:
    """tanh(-x) is -tanh(x) to the last bit; by (e - 1) / (e + 1) with a small e it would be less exact near -1."""
    x = np.linspace(0, 12, 100_001).astype(dtype)
    np.testing.assert_array_equal(native("tanh", -x), -native("tanh", x))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_tanh_of_special_values(dtype: str) -> None:
    """NaN stays NaN, zeros keep their sign, and every result is in [-1, 1]."""
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e30, -1e30, 9.5, 25.0], dtype=dtype)
    y = native("tanh", x)
    assert np.isnan(y[0])
    np.testing.assert_array_equal(y[1:3], [1, -1])
    np.testing.assert_array_equal(np.signbit(y[3:5]), [False, True])
    np.testing.assert_array_equal(y[3:7], [0, 0, 1, -1])
    assert np.abs(y[1:]).max() <= 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sigmoid_of_special_values(dtype: str) -> None:
    """sigmoid of NaN is NaN, of a zero one half, of a very large number one or zero."""
    x = np.array([np.nan, 0.0, -0.0, np.inf, -np.inf, 1e30, -1e30], dtype=dtype)
    y = native("sigmoid", x)
    assert np.isnan(y[0])
    np.testing.assert_array_equal(y[1:], [0.5, 0.5, 1, 0, 1, 0])
