"""Building and calling an implementation, and comparing what it gives with what the reference expects.

Every number is compared with the reference's, never with another result of the implementation itself: two
results that are wrong in the same way agree.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from rnnimpl.conformance.examples import Data, Example
from rnnimpl.expectation import Expectation, name_results
from rnnimpl.interface import NumpyArray, Rnn

OUTPUTS = ("y", "h_n")


class Measured(NamedTuple):
    """A relative error, its tolerance, and the result (`y`, `grad_x` ...) that has it."""

    result: str
    error: float
    tolerance: float


class ConformanceError(AssertionError):
    """An implementation does not do what the interface says; `measured` has the error where one was measured."""

    def __init__(self, message: str, measured: Measured | None = None) -> None:
        super().__init__(message)
        self.measured = measured


def build(implementation: type[Rnn[Any]], example: Example, device: str) -> Rnn[Any]:
    """An instance with the example's weights, after the process is set to one thread and ieee precision."""
    implementation.configure_process(threads=1, precision="ieee")
    rnn = implementation(example.config, example.weights(), device)
    poison(rnn, example)
    return rnn


def poison(rnn: Rnn[Any], example: Example) -> None:
    """Leave NaN in freed memory of the sizes of the results.

    The framework's allocator is likely to hand it out again, so that a kernel that does not write all of its
    result gives NaN, and not zeros by luck or the right numbers of the call before.
    """
    freed = [rnn.from_numpy(np.full_like(array, np.nan)) for array in example.data()]
    rnn.synchronize()
    del freed


def infer(rnn: Rnn[Any], x: NumpyArray, h0: NumpyArray | None) -> dict[str, NumpyArray]:
    """The results of `forward` by name."""
    y, h_n = rnn.forward(rnn.from_numpy(x), None if h0 is None else rnn.from_numpy(h0))
    rnn.synchronize()
    return name_results(rnn, y, h_n)


def train(rnn: Rnn[Any], data: Data, *, given_h0: bool = True) -> dict[str, NumpyArray]:
    """The results of `vjp` and its pullback by name."""
    x, h0, dy, dh_n = (rnn.from_numpy(array) for array in data)
    y, h_n, pullback = rnn.vjp(x, h0 if given_h0 else None)
    grads = pullback(dy, dh_n)
    rnn.synchronize()
    return name_results(rnn, y, h_n, grads)


def agree(expected: Expectation, actual: Mapping[str, NumpyArray], *, when: str = "") -> Measured:
    """The error that comes nearest to its tolerance. Raises ConformanceError when any is outside."""
    said = f"{when}: " if when else ""
    for name, array in actual.items():
        require_shape(name, array, expected.values[name].shape, when=when)
    errors = {name: expected.error(name, array) for name, array in actual.items()}
    measured = max(
        (Measured(name, error, expected.tolerances[name]) for name, error in errors.items()),
        key=lambda each: each.error / each.tolerance,
    )
    outside = expected.outside(errors)
    if outside:
        raise ConformanceError(said + "; ".join(outside), measured)
    return measured


def worst(*measured: Measured) -> Measured:
    """Of several, the one that comes nearest to its tolerance."""
    return max(measured, key=lambda each: each.error / each.tolerance)


def require(condition: bool, message: str) -> None:
    """Raise ConformanceError unless the condition holds."""
    if not condition:
        raise ConformanceError(message)


def require_shape(name: str, array: NumpyArray, expected: tuple[int, ...], *, when: str = "") -> None:
    """Raise ConformanceError unless the array has the expected shape."""
    said = f"{when}: " if when else ""
    require(array.shape == expected, f"{said}{name} has shape {array.shape}; expected {expected}")


def select(results: Mapping[str, NumpyArray], *names: str) -> dict[str, NumpyArray]:
    """Some of the results. Raises ConformanceError when one is missing."""
    for name in names:
        require(name in results, f"{name} is missing; the results are {', '.join(results)}")
    return {name: results[name] for name in names}
