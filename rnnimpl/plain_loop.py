"""One computation of the plain loop in a given arithmetic, on given or on perturbed data, and its errors."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from rnnimpl.arithmetic import Arithmetic
from rnnimpl.cells import CELLS
from rnnimpl.dtypes import round_to
from rnnimpl.expectation import name_arrays, relative
from rnnimpl.interface import Grads, Lengths, NumpyArray, State, Weights
from rnnimpl.reference import LayerKey, LayerRun, Sums, backward, run

Units: TypeAlias = npt.NDArray[np.bool_]
"""A mask of a layer's units (T, B, H)."""


@dataclasses.dataclass(frozen=True, eq=False)
class Problem:
    """The weights, inputs and cotangents of a computation."""

    weights: Weights
    x: NumpyArray
    state: State[NumpyArray] | None
    dy: NumpyArray | None
    dstate_n: State[NumpyArray] | None
    lengths: Lengths = None

    def perturbed(self, size: float, seed: int) -> Problem:
        """A copy with every number changed by at most `size`, relatively."""
        generator = np.random.default_rng(seed)

        def perturb(array: NumpyArray) -> NumpyArray:
            factors = 1 + size * generator.uniform(-1, 1, array.shape)
            return round_to(array.astype(np.float64) * factors, self.weights.config.dtype)

        weights = Weights(self.weights.config, {name: perturb(array) for name, array in self.weights.arrays.items()})
        return self._map(perturb, weights, self.lengths)

    def first_sequence(self) -> Problem:
        """The part of the first sequence, a batch of one."""
        lengths = None if self.lengths is None else self.lengths[:1]
        return self._map(lambda array: array[:, :1], self.weights, lengths)

    def _map(self, change: Callable[[NumpyArray], NumpyArray], weights: Weights, lengths: Lengths) -> Problem:
        state, dstate_n = (
            None if arrays is None else tuple(map(change, arrays)) for arrays in (self.state, self.dstate_n)
        )
        return Problem(weights, change(self.x), state, None if self.dy is None else change(self.dy), dstate_n, lengths)


class Computed(NamedTuple):
    """The results by name, with gradients where cotangents are given; the layers' runs; the gradients of their sums."""

    values: Mapping[str, NumpyArray]
    runs: Mapping[LayerKey, LayerRun]
    sums: Mapping[LayerKey, Sums]
    kinked: bool

    def arrays(self) -> dict[str | LayerKey, NumpyArray]:
        """All arrays that have an error: the results by name, and for a kinked cell the pre-activations by layer."""
        arrays: dict[str | LayerKey, NumpyArray] = {}
        if self.kinked:
            arrays |= {key: layer_run.saved(1) for key, layer_run in self.runs.items()}
        for name, value in self.values.items():
            arrays[name] = value
        return arrays


def compute(problem: Problem, arithmetic: Arithmetic, active: Mapping[LayerKey, Units] | None) -> Computed:
    """Run the reference's code in an arithmetic, with `active` as the masks of a kinked cell's units."""
    config = problem.weights.config
    y, state_n, runs = run(config, problem.weights, problem.x, problem.state, arithmetic, problem.lengths)
    grads: Grads[NumpyArray] | None = None
    sums: Mapping[LayerKey, Sums] = {}
    if problem.dy is not None and problem.dstate_n is not None:
        grads, sums = backward(config, runs, problem.dy, problem.dstate_n, arithmetic, active)
    return Computed(name_arrays(config, y, state_n, grads), runs, sums, CELLS[config.cell].kinked)


def largest_error(actual: NumpyArray, expected: NumpyArray) -> float:
    """The error of an array as `Expectation.error` has it; NaN where it is not finite."""
    return relative(float(np.abs(actual - expected).max()), expected)
