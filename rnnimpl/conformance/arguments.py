"""Checks on what a call must refuse: arrays of another dtype than the config's, cotangents of wrong shapes."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from rnnimpl.conformance.compare import ConformanceError, build, require
from rnnimpl.conformance.examples import Example
from rnnimpl.interface import Rnn

CONVERSIONS = {"int32": "int", "bool": "bool", "float16": "half", "float32": "float", "float64": "double"}
"""Dtypes that an argument may have by mistake, with the names of PyTorch's methods that convert to them."""


def check_wrong_dtype_in_forward(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> None:
    """Integer, boolean, wider and narrower x and h0 are a TypeError that names both dtypes."""
    rnn = build(implementation, example, device)
    x, h0 = (rnn.from_numpy(array) for array in example.data()[:2])
    _require_dtype_errors(rnn, example, rnn.forward, {"x": x, "h0": h0})


def check_wrong_dtype_in_vjp(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> None:
    """In training, too."""
    rnn = build(implementation, example, device)
    x, h0 = (rnn.from_numpy(array) for array in example.data()[:2])
    rnn.vjp(x, h0)
    _require_dtype_errors(rnn, example, rnn.vjp, {"x": x, "h0": h0})


def check_wrong_dtype_in_pullback(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> None:
    """The pullback refuses dy and dh_n of another dtype in the same way."""
    rnn = build(implementation, example, device)
    x, h0, dy, dh_n = (rnn.from_numpy(array) for array in example.data())
    rnn.vjp(x, h0)

    def pull_back(dy: Any, dh_n: Any) -> None:
        # One of its own each time: a pullback may be called once.
        rnn.vjp(x, h0)[2](dy, dh_n)

    _require_dtype_errors(rnn, example, pull_back, {"dy": dy, "dh_n": dh_n})


def check_wrong_shapes_in_pullback(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> None:
    """dy or dh_n of a wrong shape is a ValueError that names the shape it has and the one it should have."""
    rnn = build(implementation, example, device)
    x, h0, dy, dh_n = example.data()
    wrong = [
        ("dy", dy[0], dh_n),
        ("dy", dy[:, :1], dh_n),
        ("dy", dy[:, :, 1:], dh_n),
        ("dh_n", dy, dh_n[0]),
        ("dh_n", dy, dh_n[:, :1]),
        ("dh_n", dy, np.concatenate([dh_n, dh_n])),
    ]
    for name, wrong_dy, wrong_dh_n in wrong:
        shape = str((wrong_dy if name == "dy" else wrong_dh_n).shape)
        expected = str((dy if name == "dy" else dh_n).shape)
        pullback = rnn.vjp(rnn.from_numpy(x), rnn.from_numpy(h0))[2]
        with _expected(ValueError, f"{name} of shape {shape}", shape, expected):
            pullback(rnn.from_numpy(wrong_dy), rnn.from_numpy(wrong_dh_n))


def _require_dtype_errors(
    rnn: Rnn[Any], example: Example, call: Callable[[Any, Any], Any], right: dict[str, Any]
) -> None:
    """Call with each of two arguments in each wrong dtype."""
    for name, array in right.items():
        for dtype in CONVERSIONS:
            wrong = _convert(array, dtype)
            if wrong is None or str(wrong.dtype) == str(array.dtype):
                continue
            with _expected(TypeError, f"{name} of dtype {dtype}", dtype, example.config.dtype):
                call(*(right | {name: wrong}).values())
                rnn.synchronize()


def _convert(array: Any, dtype: str) -> Any:
    """The framework's array in another dtype; None where it has no such array, or converts in no way known here."""
    with warnings.catch_warnings():
        # JAX says by it that it has no float64 unless asked, and gives float32.
        warnings.simplefilter("ignore")
        if hasattr(array, "astype"):
            return array.astype(dtype)
        convert = getattr(array, CONVERSIONS[dtype], None)
        return None if convert is None else convert()


@contextlib.contextmanager
def _expected(error: type[Exception], what: str, *named: str) -> Iterator[None]:
    """Raise ConformanceError unless the error is raised within, with all of `named` in its message."""
    try:
        yield
    except error as raised:
        said = str(raised)
        missing = [each for each in named if each not in said]
        require(not missing, f"the {error.__name__} for {what} says {said!r}; expected {' and '.join(named)} in it")
        return
    raise ConformanceError(f"{what} is taken; expected a {error.__name__}")
