"""Implementations with one fault each in single steps and sequences, in batches, with NaN or large numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnimpl import Grads
from rnnimpl.impls.numpy_hoisted import TanhLayer
from rnnimpl.interface import NumpyArray
from rnnimpl.numpy_base import Layer, LayerGrads
from tests.broken.base import (
    Hooked,
    NumpyState,
    Sound,
    Spoilt,
    caught_by,
)


@caught_by("check_single_step")
class SqueezesSteps(Spoilt):
    """Drops the axis of time when there is one step."""

    def spoil_outputs(self, y: NumpyArray, state_n: NumpyState) -> tuple[NumpyArray, NumpyState]:
        return y.squeeze(0) if len(y) == 1 else y, state_n


@caught_by("check_single_sequence")
class SqueezesBatch(Spoilt):
    """Drops the axis of the batch when there is one sequence."""

    def spoil_outputs(self, y: NumpyArray, state_n: NumpyState) -> tuple[NumpyArray, NumpyState]:
        return y.squeeze(), tuple(array.squeeze() for array in state_n)


@caught_by("check_noncontiguous_input")
class ReadsMemoryAsItLies(Sound):
    """Reads the memory of an array in order and ignores its strides."""

    def from_numpy(self, array: NumpyArray) -> NumpyArray:
        self.check_dtype(array)
        return np.ravel(array, order="K").reshape(array.shape).copy()


@caught_by("check_batch_independence")
class BatchMixed(Spoilt):
    """Adds a little of the next sequence to each sequence's final state."""

    def spoil_outputs(self, y: NumpyArray, state_n: NumpyState) -> tuple[NumpyArray, NumpyState]:
        return y, tuple(array + array.dtype.type(1e-3) * np.roll(array, 1, axis=1) for array in state_n)


@caught_by("check_nan")
class SwallowsNan(Spoilt):
    """Replaces NaN by zero."""

    def spoil_outputs(self, y: NumpyArray, state_n: NumpyState) -> tuple[NumpyArray, NumpyState]:
        return np.nan_to_num(y, posinf=np.inf, neginf=-np.inf), state_n


class OverflowingTanhLayer(TanhLayer):
    """tanh layer with tanh as (exp(2a) - 1) / (exp(2a) + 1)."""

    def squash(self, a: NumpyArray) -> None:
        with np.errstate(over="ignore", invalid="ignore"):
            e = np.exp(2 * a)
            a[:] = (e - 1) / (e + 1)


@caught_by("check_large_input")
class OverflowingTanh(Sound):
    """Computes tanh as (exp(2a) - 1) / (exp(2a) + 1), which is infinity by infinity for large a."""

    layer_types = {**Sound.layer_types, "tanh": OverflowingTanhLayer}  # noqa: RUF012  # never written


class RationalTanhLayer(TanhLayer):
    """tanh layer with a quotient for tanh that is right up to 20 and grows beyond."""

    def squash(self, a: NumpyArray) -> None:
        near = np.abs(a) < 20
        # Up to there it is right; beyond, this is its error.
        a[:] = np.where(near, np.tanh(a), a / 20)


@caught_by("check_bound")
class UnlimitedTanh(Sound):
    """Computes tanh by a quotient that exceeds 1 for large a."""

    layer_types = {**Sound.layer_types, "tanh": RationalTanhLayer}  # noqa: RUF012  # never written


@caught_by("check_two_halves")
class ShortSequencesFromZero(Sound):
    """Has a special path for short sequences that ignores the state."""

    def forward(self, x: NumpyArray, state: NumpyState | None = None) -> tuple[NumpyArray, NumpyState]:
        return super().forward(x, state if len(x) > 8 else None)


@caught_by("check_batch_permutation")
class FirstSequencesStateForAll(Sound):
    """Starts every sequence from the first one's state."""

    def forward(self, x: NumpyArray, state: NumpyState | None = None) -> tuple[NumpyArray, NumpyState]:
        if state is not None:
            state = tuple(np.broadcast_to(array[:, :1], array.shape) for array in state)
        return super().forward(x, state)


@caught_by("check_gradients_of_single_step")
class SqueezesStepsOfGradient(Spoilt):
    """Drops the axis of time of a gradient when there is one step."""

    def spoil_grads(self, grads: Grads[NumpyArray]) -> Grads[NumpyArray]:
        return Grads(grads.x.squeeze(0) if len(grads.x) == 1 else grads.x, grads.state, grads.weights)


@caught_by("check_gradients_of_single_sequence")
class SqueezesBatchOfGradient(Spoilt):
    """Drops the axis of the batch of a gradient when there is one sequence."""

    def spoil_grads(self, grads: Grads[NumpyArray]) -> Grads[NumpyArray]:
        return Grads(grads.x, tuple(array.squeeze() for array in grads.state), grads.weights)


@caught_by("check_gradients_of_large_input")
class OverflowingSlope(Hooked):
    """Computes tanh' as 4 exp(2a) / (exp(2a) + 1)^2, which is infinity by infinity for large a."""

    def layer_backward(self, layer: Layer, dy: NumpyArray, dstate_n: NumpyState, saved: Any) -> LayerGrads:
        if self.config.cell == "tanh":
            with np.errstate(all="ignore"):
                e = np.exp(2 * np.arctanh(saved[2]))
                dy = dy + 0 * (4 * e / (e + 1) ** 2)
        return layer.backward(dy, dstate_n, saved)
