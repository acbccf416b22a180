"""Implementations that are wrong at some sizes alone, as kernels with tiles, thresholds and special cases are."""

from __future__ import annotations

import numpy as np

from rnnimpl import Grads
from rnnimpl.interface import LayerWeights, NumpyArray
from rnnimpl.numpy_base import Layer
from tests.broken.base import (
    Forward,
    Hooked,
    NumpyState,
    Pullback,
    Reweighted,
    Sound,
    Spoilt,
    caught_by,
    zeros_like,
)


class _OutputsSpoilt(Sound):
    """Sound, with a hook that changes y (T, B, D*H) of inference in place, given its x."""

    def spoil(self, y: NumpyArray, x: NumpyArray) -> None:
        raise NotImplementedError

    def forward(self, x: NumpyArray, state: NumpyState | None = None) -> tuple[NumpyArray, NumpyState]:
        y, state_n = super().forward(x, state)
        self.spoil(y, x)
        return y, state_n


@caught_by("check_outputs_at_sizes")
class WholeBlocksOfUnits(_OutputsSpoilt):
    """Gives zeros where H is a multiple of 16."""

    def spoil(self, y: NumpyArray, x: NumpyArray) -> None:
        y *= self.config.hidden_size % 16 != 0


@caught_by("check_outputs_at_sizes")
class WholeBlocksOfEverything(_OutputsSpoilt):
    """Has a wrong fast path for sizes that are multiples of 16 on every axis."""

    def spoil(self, y: NumpyArray, x: NumpyArray) -> None:
        if all(size % 16 == 0 for size in (*x.shape, self.config.hidden_size)):
            y[-1, -1, -1] += 1


@caught_by("check_outputs_at_sizes")
class BatchesOfAHundred(_OutputsSpoilt):
    """Computes the first 100 sequences of a batch."""

    def spoil(self, y: NumpyArray, x: NumpyArray) -> None:
        y[:, 100:] = 0


@caught_by("check_outputs_at_sizes")
class LongSequences(_OutputsSpoilt):
    """Repeats the 64th step for all later steps."""

    def spoil(self, y: NumpyArray, x: NumpyArray) -> None:
        y[64:] = y[63:64]


@caught_by("check_outputs_at_sizes")
class LastRowOfABlock(_OutputsSpoilt):
    """Leaves out the last sequence where the batch is one more than whole blocks of 16."""

    def spoil(self, y: NumpyArray, x: NumpyArray) -> None:
        if x.shape[1] > 1 and x.shape[1] % 16 == 1:
            y[:, -1] = 0


@caught_by("check_outputs_at_sizes")
class LastColumnOfABlock(_OutputsSpoilt):
    """Leaves out the last unit where there is one more than whole blocks of 16."""

    def spoil(self, y: NumpyArray, x: NumpyArray) -> None:
        if self.config.hidden_size > 1 and self.config.hidden_size % 16 == 1:
            y[:, :, -1] = 0


@caught_by("check_outputs_at_sizes")
class IndexOf16Bits(_OutputsSpoilt):
    """Writes y by a 16-bit index, which starts again after 65,536 elements."""

    def spoil(self, y: NumpyArray, x: NumpyArray) -> None:
        flat = y.reshape(-1)
        flat[1 << 16 :] = np.resize(flat[: 1 << 16], flat[1 << 16 :].shape)


@caught_by("check_outputs_at_sizes")
class OneUnit(_OutputsSpoilt):
    """Sums over the batch where there is one unit, by broadcasting."""

    def spoil(self, y: NumpyArray, x: NumpyArray) -> None:
        if self.config.hidden_size == 1 and self.config.num_layers == 1:
            y[:] = y.mean(axis=1, keepdims=True)


@caught_by("check_outputs_at_sizes")
class OneSequenceOfManyUnits(_OutputsSpoilt):
    """Has a special path for one sequence and 64 units or more that swaps two units."""

    def spoil(self, y: NumpyArray, x: NumpyArray) -> None:
        if x.shape[1] == 1 and self.config.hidden_size >= 64:
            y[:, :, :2] = y[:, :, 1::-1]


@caught_by("check_outputs_at_sizes")
class SquareWeightTransposed(Reweighted):
    """Infers the layout of w_ih from its shape, which is ambiguous where I is H."""

    def change(self, weights: LayerWeights[NumpyArray]) -> LayerWeights[NumpyArray]:
        if self.config.num_layers == 1 and weights.w_ih.shape[0] == weights.w_ih.shape[1]:
            weights = weights._replace(w_ih=np.ascontiguousarray(weights.w_ih.T))
        return weights


@caught_by("check_outputs_at_sizes")
class FewerFeaturesThanUnits(Hooked):
    """Ignores the last feature where I is less than H."""

    def layer_forward(self, layer: Layer, x: NumpyArray, state: NumpyState) -> Forward:
        if x.shape[2] < self.config.hidden_size and self.config.num_layers == 1:
            x = x.copy()
            x[:, :, -1] = 0
        return layer.forward(x, state)


@caught_by("check_outputs_at_sizes")
class ManyFeatures(Hooked):
    """Multiplies the first 1,024 features."""

    def layer_forward(self, layer: Layer, x: NumpyArray, state: NumpyState) -> Forward:
        narrow = layer.weights._replace(w_ih=layer.weights.w_ih[:, :1024])
        return type(layer)(narrow).forward(x[:, :, :1024], state)


@caught_by("check_outputs_at_sizes")
class StateOfLargeBatchesIgnored(Sound):
    """Starts batches of more than 64 from zeros, whatever state is given."""

    def forward(self, x: NumpyArray, state: NumpyState | None = None) -> tuple[NumpyArray, NumpyState]:
        return super().forward(x, state if state is None or x.shape[1] <= 64 else zeros_like(state))


@caught_by("check_outputs_at_sizes")
class ZerosOfLargeBatchesNotWritten(Sound):
    """Starts batches of more than 64 from ones where no state is given."""

    def forward(self, x: NumpyArray, state: NumpyState | None = None) -> tuple[NumpyArray, NumpyState]:
        if state is None and x.shape[1] > 64:
            state = tuple(np.ones(shape, self.config.carrier) for shape in self.config.state_shapes(x.shape[1]))
        return super().forward(x, state)


@caught_by("check_gradients_at_sizes")
class GradientOfLargeBatches(Sound):
    """Sums the gradients of weights over the first 100 sequences."""

    def vjp(self, x: NumpyArray, state: NumpyState | None = None) -> tuple[NumpyArray, NumpyState, Pullback]:
        y, state_n, pullback = super().vjp(x, state)
        if x.shape[1] <= 100 or state is None:
            return y, state_n, pullback
        _, _, of_first = super().vjp(x[:, :100], tuple(array[:, :100] for array in state))

        def spoilt(dy: NumpyArray, dstate_n: NumpyState) -> Grads[NumpyArray]:
            grads = pullback(dy, dstate_n)
            first = of_first(dy[:, :100], tuple(array[:, :100] for array in dstate_n))
            return Grads(grads.x, grads.state, first.weights)

        return y, state_n, spoilt


@caught_by("check_gradients_at_sizes")
class GradientOfWholeBlocks(Spoilt):
    """Leaves one row of the gradient of w_hh as zeros where H is a multiple of 64."""

    def spoil_grads(self, grads: Grads[NumpyArray]) -> Grads[NumpyArray]:
        if self.config.hidden_size % 64 == 0:
            grads.weights["weight_hh_l0"][-1] = 0
        return grads


@caught_by("check_gradients_at_sizes")
class GradientOfLongSequences(Spoilt):
    """Gives the gradient of x for the first 128 steps."""

    def spoil_grads(self, grads: Grads[NumpyArray]) -> Grads[NumpyArray]:
        grads.x[128:] = 0
        return grads


@caught_by("check_gradients_at_sizes")
class GradientOfOneFeature(Spoilt):
    """Drops the last axis of the gradient of w_ih where there is one feature."""

    def spoil_grads(self, grads: Grads[NumpyArray]) -> Grads[NumpyArray]:
        squeezed = {name: grad.squeeze() if "weight_ih" in name else grad for name, grad in grads.weights.items()}
        return Grads(grads.x, grads.state, squeezed) if self.config.input_size == 1 else grads
