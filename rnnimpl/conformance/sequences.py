"""Checks on steps and sequences: single ones, cut ones, permuted ones, and what NaN or large numbers do."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnimpl.conformance.compare import Measured, agree, build, infer, require, require_shape, train, worst
from rnnimpl.conformance.examples import Data, Example
from rnnimpl.interface import NumpyArray, Rnn

LARGE = 1000.0
"""Large input, in standard deviations: exp of it is infinite in every dtype, float16 still holds it."""


def check_single_step(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> Measured:
    """y and h_n of a sequence of one step, T = 1."""
    return _check_outputs(implementation, example.resized(T=1), device)


def check_single_sequence(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> Measured:
    """y and h_n of a batch of one sequence, B = 1."""
    return _check_outputs(implementation, example.resized(B=1), device)


def check_gradients_of_single_step(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> Measured:
    """Every gradient of a sequence of one step, T = 1."""
    return _check_gradients(implementation, example.resized(T=1), device)


def check_gradients_of_single_sequence(
    implementation: type[Rnn[Any]], example: Example, device: str = "cpu"
) -> Measured:
    """Every gradient of a batch of one sequence, B = 1."""
    return _check_gradients(implementation, example.resized(B=1), device)


def check_noncontiguous_input(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> Measured:
    """x and h0 as views: with axes in another order in memory, with gaps, and backwards."""
    x, h0, _, _ = example.data()
    views = {
        "another order of axes": [
            np.ascontiguousarray(array.transpose(1, 2, 0)).transpose(2, 0, 1) for array in (x, h0)
        ],
        "gaps in memory": [np.repeat(array, 2, axis=2)[:, :, ::2] for array in (x, h0)],
        "backwards in memory": [np.ascontiguousarray(array[::-1])[::-1] for array in (x, h0)],
    }
    measured = []
    for kind, (x_view, h0_view) in views.items():
        rnn = build(implementation, example, device)
        measured.append(agree(example.expected(), infer(rnn, x_view, h0_view), when=f"x and h0 with {kind}"))
    return worst(*measured)


def check_two_halves(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> Measured:
    """The first steps, then the others from the first's final state, equal the whole."""
    rnn = build(implementation, example, device)
    x, h0, _, _ = example.data()
    half = example.T // 2
    first = infer(rnn, x[:half], h0)
    second = infer(rnn, x[half:], first["h_n"])
    whole = {"y": np.concatenate([first["y"], second["y"]]), "h_n": second["h_n"]}
    return agree(example.expected(), whole, when=f"{half} steps, then {example.T - half}")


def check_batch_permutation(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> Measured:
    """The sequences of a batch in another order give their results in that order."""
    rnn = build(implementation, example, device)
    x, h0, _, _ = example.data()
    order = np.random.default_rng(example.seed).permutation(example.B)
    results = infer(rnn, x[:, order], h0[:, order])
    back = np.argsort(order)
    for name, array in results.items():
        require_shape(name, array, example.expected().values[name].shape)
    return agree(example.expected(), {name: array[:, back] for name, array in results.items()}, when=f"order {order}")


def check_batch_independence(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> Measured:
    """A sequence's results do not depend on the others in its batch."""
    rnn = build(implementation, example, device)
    x, h0, _, _ = example.data()
    others = np.arange(example.B) != example.B // 2
    x[:, others] *= -3
    h0[:, others] *= -3
    results = infer(rnn, x, h0)
    return agree(example.expected(), _fill_in(example, results, others), when="other sequences changed")


def check_nan(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> Measured:
    """NaN in x makes its own sequence NaN from its own step on, and nothing else."""
    rnn = build(implementation, example, device)
    x, h0, _, _ = example.data()
    step, sequence = example.T // 2, example.B // 2
    x[step, sequence, 0] = np.nan
    results = infer(rnn, x, h0)
    where = f"x[{step}, {sequence}, 0] is NaN"
    for name, array in results.items():
        require_shape(name, array, example.expected().values[name].shape, when=where)
    require(bool(np.isnan(results["y"][step, sequence]).all()), f"{where}, but y[{step}, {sequence}] is a number")
    reached = np.arange(example.B) == sequence
    if not example.config.bidirectional:
        last = results["y"][step:, sequence]
        require(bool(np.isnan(last).all()), f"{where}, but y[{step}:, {sequence}] has numbers: it must stay NaN")
        require(bool(np.isnan(results["h_n"][:, sequence]).all()), f"{where}, but h_n[:, {sequence}] has numbers")
        results["y"][step:, sequence] = example.expected().values["y"][step:, sequence]
        results["h_n"][:, sequence] = example.expected().values["h_n"][:, sequence]
        reached[:] = False
    return agree(example.expected(), _fill_in(example, results, reached), when=where)


def check_large_input(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> None:
    """Large x gives finite y and h_n, within [-1, 1] for tanh."""
    rnn = build(implementation, example, device)
    x, h0, _, _ = _large(example)
    results = infer(rnn, x, h0)
    _require_finite(results)
    if example.config.nonlinearity == "tanh":
        for name, array in results.items():
            require(bool((np.abs(array) <= 1).all()), f"{name} reaches {np.abs(array).max()}; tanh is at most 1")


def check_gradients_of_large_input(implementation: type[Rnn[Any]], example: Example, device: str = "cpu") -> None:
    """Large x gives finite gradients."""
    rnn = build(implementation, example, device)
    _require_finite(train(rnn, _large(example)))


def _check_outputs(implementation: type[Rnn[Any]], example: Example, device: str) -> Measured:
    rnn = build(implementation, example, device)
    x, h0, _, _ = example.data()
    return agree(example.expected(), infer(rnn, x, h0))


def _check_gradients(implementation: type[Rnn[Any]], example: Example, device: str) -> Measured:
    rnn = build(implementation, example, device)
    return agree(example.expected(), train(rnn, example.data()))


def _large(example: Example) -> Data:
    """The example's data with large x; relu does not bound what float16 has to hold, so there it is smaller."""
    data = example.data()
    scale = LARGE if example.config.nonlinearity == "tanh" else LARGE / 10
    return data._replace(x=data.x * data.x.dtype.type(scale))


def _fill_in(example: Example, results: dict[str, NumpyArray], sequences: NumpyArray) -> dict[str, NumpyArray]:
    """The results with the given sequences' replaced by what is expected of the unchanged data."""
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
