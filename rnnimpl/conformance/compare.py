"""Build and call an implementation, and compare its results with the reference's.

Every number is compared with the reference's, never with another result of the implementation, because two results that
are wrong in the same way agree. Whether two results of an implementation agree to the last bit is recorded as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from rnnimpl.conformance.examples import Data, Example
from rnnimpl.expectation import Expectation, name_results, state_n_names
from rnnimpl.interface import Grads, Lengths, NumpyArray, Rnn, RnnConfig, State


class MeasuredError(NamedTuple):
    """A relative error, its tolerance, and the name of the result that has it, such as `y` or `grad_x`.

    In a check of two calls with equal arguments, `identical` is whether their results are equal to the last bit. They
    need not be: an implementation may sum in another order in another call.
    """

    result: str
    error: float
    tolerance: float
    identical: bool | None = None


class ConformanceError(AssertionError):
    """An implementation breaks the interface; `measured` is the error where one was measured."""

    def __init__(self, message: str, measured: MeasuredError | None = None) -> None:
        super().__init__(message)
        self.measured = measured


def build(implementation: type[Rnn[Any]], example: Example, device: str) -> Rnn[Any]:
    """An instance with the example's weights; before that the process is set to one thread and ieee precision."""
    implementation.configure_process(threads=1, precision="ieee")
    rnn = implementation(example.config, example.weights(), device)
    poison(rnn, example)
    return rnn


def poison(rnn: Rnn[Any], example: Example) -> None:
    """Leave NaN in freed memory of the sizes of the results.

    The framework's allocator is likely to reuse that memory. A kernel that leaves a part of its result unwritten then
    gives NaN, and not zeros or the right numbers of the call before.
    """
    freed = [rnn.from_numpy(np.full_like(array, np.nan)) for array in example.data().arrays]
    rnn.synchronize()
    del freed


def on_device(rnn: Rnn[Any], state: State[NumpyArray]) -> State[Any]:
    """A state in the framework's arrays."""
    return tuple(rnn.from_numpy(array) for array in state)


def moved(rnn: Rnn[Any], data: Data) -> tuple[Any, State[Any], Any, State[Any]]:
    """x, the state, dy and dstate_n in the framework's arrays."""
    return rnn.from_numpy(data.x), on_device(rnn, data.state), rnn.from_numpy(data.dy), on_device(rnn, data.dstate_n)


def infer(
    rnn: Rnn[Any], x: NumpyArray, state: State[NumpyArray] | None, lengths: Lengths = None
) -> dict[str, NumpyArray]:
    """The results of `forward` by name."""
    arguments = rnn.from_numpy(x), None if state is None else on_device(rnn, state)
    # Without lengths a class need not have the parameter.
    y, state_n = rnn.forward(*arguments) if lengths is None else rnn.forward(*arguments, lengths)
    rnn.synchronize()
    return by_name(rnn, y, state_n)


def train(rnn: Rnn[Any], data: Data, *, given_state: bool = True, lengths: Lengths = None) -> dict[str, NumpyArray]:
    """The results of `vjp` and its pullback by name."""
    x, state, dy, dstate_n = moved(rnn, data)
    arguments = x, state if given_state else None
    y, state_n, pullback = rnn.vjp(*arguments) if lengths is None else rnn.vjp(*arguments, lengths)
    grads = pullback(dy, dstate_n)
    rnn.synchronize()
    return by_name(rnn, y, state_n, grads)


def by_name(rnn: Rnn[Any], y: Any, state_n: Any, grads: Grads[Any] | None = None) -> dict[str, NumpyArray]:
    """The results by name. Raises ConformanceError for a state that is no tuple or has another number of arrays."""
    _require_state("the final state", state_n, state_n_names(rnn.config))
    if grads is not None:
        _require_state("Grads.state", grads.state, grad_state_names(rnn.config))
    return name_results(rnn, y, state_n, grads)


def outputs(config: RnnConfig) -> tuple[str, ...]:
    """The names of the results of `forward`: `y`, `h_n` and, of an LSTM, `c_n`."""
    return ("y", *state_n_names(config))


def grad_state_names(config: RnnConfig) -> tuple[str, ...]:
    """The names of the initial state's gradients: `grad_h0` and, of an LSTM, `grad_c0`."""
    return tuple(f"grad_{name}0" for name in config.state_names)


def final_state(config: RnnConfig, results: Mapping[str, NumpyArray]) -> State[NumpyArray]:
    """The final state in results by name, as a state for another call."""
    return tuple(results[name] for name in state_n_names(config))


def agree(
    expected: Expectation, actual: Mapping[str, NumpyArray], *, when: str = "", identical: bool | None = None
) -> MeasuredError:
    """The error nearest to its tolerance. Raises ConformanceError when any error exceeds its tolerance."""
    prefix = f"{when}: " if when else ""
    for name, array in actual.items():
        require_shape(name, array, expected.values[name].shape, when=when)
    errors = {name: expected.error(name, array) for name, array in actual.items()}
    measured = worst(
        *(MeasuredError(name, error, expected.tolerances[name], identical) for name, error in errors.items())
    )
    outside = expected.outside(errors)
    if outside:
        raise ConformanceError(prefix + "; ".join(outside), measured)
    return measured


def same_bits(one: Mapping[str, NumpyArray], other: Mapping[str, NumpyArray]) -> bool:
    """Whether all results are equal to the last bit."""
    return all(array.tobytes() == other[name].tobytes() for name, array in one.items())


def worst(*measured: MeasuredError) -> MeasuredError:
    """The error nearest to its tolerance of several; `identical` if all are that record it."""
    nearest = max(measured, key=lambda each: each.error / each.tolerance)
    identical = [each.identical for each in measured if each.identical is not None]
    return nearest._replace(identical=all(identical) if identical else None)


def require(condition: bool, message: str) -> None:
    """Raise ConformanceError unless the condition holds."""
    if not condition:
        raise ConformanceError(message)


def require_shape(name: str, array: NumpyArray, expected: tuple[int, ...], *, when: str = "") -> None:
    """Raise ConformanceError unless the array has the expected shape."""
    prefix = f"{when}: " if when else ""
    require(array.shape == expected, f"{prefix}{name} has shape {array.shape}; expected {expected}")


def select(results: Mapping[str, NumpyArray], *names: str) -> dict[str, NumpyArray]:
    """Some of the results. Raises ConformanceError when one is missing."""
    for name in names:
        require(name in results, f"{name} is missing; the results are {', '.join(results)}")
    return {name: results[name] for name in names}


def _require_state(what: str, state: Any, names: tuple[str, ...]) -> None:
    form = f"({', '.join(names)}{',' if len(names) == 1 else ''})"
    require(isinstance(state, tuple), f"{what} is a {type(state).__name__}; expected a tuple {form}")
    require(len(state) == len(names), f"{what} has {len(state)} arrays; expected {len(names)}: {form}")
