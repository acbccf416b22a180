"""Checks on steps and sequences: single, cut and permuted ones, NaN and large numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnimpl.cells import CELLS
from rnnimpl.conformance.compare import (
    MeasuredError,
    agree,
    build,
    final_state,
    infer,
    require,
    require_shape,
    same_bits,
    train,
    worst,
)
from rnnimpl.conformance.examples import Data, Example
from rnnimpl.conformance.needs import bounded_output, needs, one_direction
from rnnimpl.dtypes import unit_roundoff
from rnnimpl.interface import NumpyArray, Rnn, State

LARGE = 1000.0
"""The scale of large input: exp of it is infinite in every dtype, and float16 can hold it."""


def check_single_step(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> MeasuredError:
    """y and the final state are right for a sequence of one step, T = 1."""
    return _check_outputs(implementation, example.resized(T=1), device)


def check_single_sequence(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> MeasuredError:
    """y and the final state are right for a batch of one sequence, B = 1."""
    return _check_outputs(implementation, example.resized(B=1), device)


def check_gradients_of_single_step(
    implementation: type[Rnn[Any]], example: Example, device: str = "cpu"
) -> MeasuredError:
    """Every gradient is right for a sequence of one step, T = 1."""
    return _check_gradients(implementation, example.resized(T=1), device)


def check_gradients_of_single_sequence(
    implementation: type[Rnn[Any]], example: Example, device: str = "cpu"
) -> MeasuredError:
    """Every gradient is right for a batch of one sequence, B = 1."""
    return _check_gradients(implementation, example.resized(B=1), device)


def check_noncontiguous_input(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> MeasuredError:
    """y and the final state are right for views: with axes in another order in memory, with gaps, and backwards."""
    data = example.data()
    arrays = (data.x, *data.state)
    views = {
        "another order of axes": [
            np.ascontiguousarray(array.transpose(1, 2, 0)).transpose(2, 0, 1) for array in arrays
        ],
        "gaps in memory": [np.repeat(array, 2, axis=2)[:, :, ::2] for array in arrays],
        "backwards in memory": [np.ascontiguousarray(array[::-1])[::-1] for array in arrays],
    }
    measured = []
    for kind, (x, *state) in views.items():
        rnn = build(implementation, example, device)
        results = infer(rnn, x, tuple(state))
        measured.append(agree(example.expected(), results, when=f"x and the state with {kind}"))
    return worst(*measured)


@needs(one_direction)
def check_two_halves(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> MeasuredError:
    """The first steps, and the others from their final state, give the results of the whole sequence."""
    rnn = build(implementation, example, device)
    data = example.data()
    half = example.T // 2
    first = infer(rnn, data.x[:half], data.state)
    second = infer(rnn, data.x[half:], final_state(example.config, first))
    whole = second | {"y": np.concatenate([first["y"], second["y"]])}
    return agree(example.expected(), whole, when=f"{half} steps, then {example.T - half}")


def check_batch_permutation(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> MeasuredError:
    """Sequences in another order give the results in that order; `identical` records whether to the last bit."""
    rnn = build(implementation, example, device)
    data = example.data()
    usual = infer(rnn, data.x, data.state)
    order = np.random.default_rng(example.seed).permutation(example.B)
    results = infer(rnn, data.x[:, order], _sequences(data.state, order))
    for name, array in results.items():
        require_shape(name, array, example.expected().values[name].shape)
    back = np.argsort(order)
    in_order = {name: array[:, back] for name, array in results.items()}
    return agree(example.expected(), in_order, when=f"order {order}", identical=same_bits(usual, in_order))


def check_batch_independence(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> MeasuredError:
    """A sequence's results do not depend on the others in its batch; `identical` records whether to the last bit."""
    rnn = build(implementation, example, device)
    data = example.data()
    usual = infer(rnn, data.x, data.state)
    others = np.arange(example.B) != example.B // 2
    for array in (data.x, *data.state):
        array[:, others] *= -3
    results = infer(rnn, data.x, data.state)
    filled = _fill_in(example, results, others)
    own = [{name: array[:, ~others] for name, array in each.items()} for each in (usual, results)]
    return agree(example.expected(), filled, when="other sequences changed", identical=same_bits(*own))


def check_nan(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> MeasuredError:
    """NaN in x makes its own sequence NaN from its own step on, and nothing else."""
    rnn = build(implementation, example, device)
    data = example.data()
    step, sequence = example.T // 2, example.B // 2
    data.x[step, sequence, 0] = np.nan
    results = infer(rnn, data.x, data.state)
    where = f"x[{step}, {sequence}, 0] is NaN"
    for name, array in results.items():
        require_shape(name, array, example.expected().values[name].shape, when=where)
    y = results["y"]
    require(bool(np.isnan(y[step, sequence]).all()), f"{where}, but y[{step}, {sequence}] is a number")
    reached = np.arange(example.B) == sequence
    if one_direction(example):
        last = y[step:, sequence]
        require(bool(np.isnan(last).all()), f"{where}, but y[{step}:, {sequence}] has numbers: it must stay NaN")
        y[step:, sequence] = example.expected().values["y"][step:, sequence]
        for name in results.keys() - {"y"}:
            require(bool(np.isnan(results[name][:, sequence]).all()), f"{where}, but {name}[:, {sequence}] has numbers")
            results[name][:, sequence] = example.expected().values[name][:, sequence]
        reached[:] = False
    return agree(example.expected(), _fill_in(example, results, reached), when=where)


def check_large_input(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> None:
    """Large x gives a finite y and final state."""
    rnn = build(implementation, example, device)
    data = _large(example)
    _require_finite(infer(rnn, data.x, data.state))


@needs(bounded_output)
def check_bound(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> None:
    """Large x of either sign gives a y within the cell's bound, up to its roundings, from a state within it."""
    rnn = build(implementation, example, device)
    cell = CELLS[example.config.cell]
    bound = cell.bound
    assert bound is not None
    largest_right = bound * (1 + cell.roundings_beyond_bound * example.T * unit_roundoff(example.config.dtype))
    data = _large(example)
    state = tuple(np.clip(array, -bound, bound) for array in data.state)
    results = infer(rnn, data.x, state)
    for name in ("y", "h_n"):
        largest = float(np.abs(results[name]).max())
        require(largest <= largest_right, f"{name} reaches {largest}; {cell.name} is at most {largest_right:g}")


def check_gradients_of_large_input(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> None:
    """Large x gives finite gradients."""
    rnn = build(implementation, example, device)
    _require_finite(train(rnn, _large(example)))


def _check_outputs(implementation: type[Rnn[Any]], example: Example, device: str) -> MeasuredError:
    rnn = build(implementation, example, device)
    data = example.data()
    return agree(example.expected(), infer(rnn, data.x, data.state))


def _check_gradients(implementation: type[Rnn[Any]], example: Example, device: str) -> MeasuredError:
    rnn = build(implementation, example, device)
    return agree(example.expected(), train(rnn, example.data()))


def _large(example: Example) -> Data:
    """The data with large x; without a bound on the output it is smaller, so that float16 can hold the output."""
    data = example.data()
    scale = LARGE if bounded_output(example) else LARGE / 10
    return data._replace(x=data.x * data.x.dtype.type(scale))


def _sequences(state: State[NumpyArray], which: NumpyArray) -> State[NumpyArray]:
    """Some sequences of a state, by index."""
    return tuple(array[:, which] for array in state)


def _fill_in(example: Example, results: dict[str, NumpyArray], sequences: NumpyArray) -> dict[str, NumpyArray]:
    """The results, with those of the given sequences replaced by the expected results of the unchanged data."""
    filled = {}
    for name, array in results.items():
        expected = example.expected().values[name]
        require_shape(name, array, expected.shape)
        filled[name] = np.where(sequences[:, None], expected, array)
    return filled


def _require_finite(results: dict[str, NumpyArray]) -> None:
    for name, array in results.items():
        count = int((~np.isfinite(array)).sum())
        require(count == 0, f"{name} {array.shape} has {count} values that are NaN or infinite")
