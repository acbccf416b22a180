"""Implementations with one fault each in their outputs, final states or gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnimpl import Grads
from rnnimpl.interface import LayerWeights, NumpyArray
from rnnimpl.numpy_base import Layer, LayerGrads
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


@caught_by("check_output")
class TransposedWeight(Reweighted):
    """Multiplies by w_hh where it should by its transpose."""

    def change(self, weights: LayerWeights[NumpyArray]) -> LayerWeights[NumpyArray]:
        H = self.config.hidden_size
        turned = weights.w_hh.reshape(-1, H, H).transpose(0, 2, 1).reshape(-1, H)
        return weights._replace(w_hh=turned)


@caught_by("check_output")
class ForgottenBias(Reweighted):
    """Adds no bias."""

    def change(self, weights: LayerWeights[NumpyArray]) -> LayerWeights[NumpyArray]:
        return weights._replace(b_ih=None, b_hh=None)


@caught_by("check_output")
class LastStepForAll(Spoilt):
    """Gives the last step's output for every step."""

    def spoil_outputs(self, y: NumpyArray, state_n: NumpyState) -> tuple[NumpyArray, NumpyState]:
        return np.broadcast_to(y[-1], y.shape).copy(), state_n


@caught_by("check_output")
class ReverseNotTurnedBack(Spoilt):
    """Leaves the reverse direction's output in reversed time."""

    def spoil_outputs(self, y: NumpyArray, state_n: NumpyState) -> tuple[NumpyArray, NumpyState]:
        H = self.config.hidden_size
        y[:, :, H:] = y[::-1, :, H:].copy()
        return y, state_n


@caught_by("check_output")
class DirectionsSwapped(Spoilt):
    """Puts the reverse direction's output first."""

    def spoil_outputs(self, y: NumpyArray, state_n: NumpyState) -> tuple[NumpyArray, NumpyState]:
        return np.roll(y, y.shape[2] // 2, axis=2) if self.config.bidirectional else y, state_n


@caught_by("check_output")
class Float16Inside(Hooked):
    """Computes in float16 and gives float32."""

    def layer_forward(self, layer: Layer, x: NumpyArray, state: NumpyState) -> Forward:
        narrow = LayerWeights(*(None if w is None else w.astype(np.float16) for w in layer.weights))
        given = tuple(array.astype(np.float16) for array in state)
        y, last, saved = type(layer)(narrow).forward(x.astype(np.float16), given)  # type: ignore[arg-type]
        return y.astype(x.dtype), tuple(array.astype(x.dtype) for array in last), saved


@caught_by("check_output")
class SlightlyWrongTanh(Spoilt):
    """Its tanh is wrong by 1e-5, as a cheap rational approximation may be."""

    def spoil_outputs(self, y: NumpyArray, state_n: NumpyState) -> tuple[NumpyArray, NumpyState]:
        return y + (y.dtype.type(1e-5) * (1 - y * y) if self.config.cell == "tanh" else 0), state_n


@caught_by("check_output")
class LastStepNotWritten(Spoilt):
    """Leaves the last step of its result unwritten."""

    def spoil_outputs(self, y: NumpyArray, state_n: NumpyState) -> tuple[NumpyArray, NumpyState]:
        shape, dtype = y.shape, y.dtype
        written = y[:-1].copy()
        del y
        y = np.empty(shape, dtype)
        y[:-1] = written
        return y, state_n


@caught_by("check_final_state")
class LastLayersStateForAll(Spoilt):
    """Gives the last layer's final state for every layer."""

    def spoil_outputs(self, y: NumpyArray, state_n: NumpyState) -> tuple[NumpyArray, NumpyState]:
        D = self.config.num_directions
        return y, tuple(np.concatenate([array[-D:]] * self.config.num_layers) for array in state_n)


@caught_by("check_final_state")
class FinalStateOfReverseAtTheEnd(Spoilt):
    """Takes the reverse direction's final state from the last step, which it reads first."""

    def spoil_outputs(self, y: NumpyArray, state_n: NumpyState) -> tuple[NumpyArray, NumpyState]:
        if self.config.bidirectional:
            state_n[0][-1] = y[-1, :, self.config.hidden_size :]
        return y, state_n


@caught_by("check_final_state")
class LayersFromTheLast(Spoilt):
    """Gives the final states of the layers in the order from the last to the first."""

    def spoil_outputs(self, y: NumpyArray, state_n: NumpyState) -> tuple[NumpyArray, NumpyState]:
        L, D, H = self.config.num_layers, self.config.num_directions, self.config.hidden_size
        return y, tuple(array.reshape(L, D, -1, H)[::-1].reshape(array.shape) for array in state_n)


@caught_by("check_final_state")
class BareFinalState(Spoilt):
    """Gives the final state as an array in place of a tuple of one."""

    def spoil_outputs(self, y: NumpyArray, state_n: NumpyState) -> tuple[NumpyArray, Any]:
        return y, state_n[0] if len(state_n) == 1 else state_n


@caught_by("check_initial_state")
class InitialStateIgnored(Sound):
    """Starts from zeros whatever state is given."""

    def forward(self, x: NumpyArray, state: NumpyState | None = None) -> tuple[NumpyArray, NumpyState]:
        self.check_inputs(x, state, x.dtype)
        return super().forward(x)


@caught_by("check_outputs_of_vjp")
class OtherOutputInTraining(Sound):
    """Drops a unit in training."""

    def vjp(self, x: NumpyArray, state: NumpyState | None = None) -> tuple[NumpyArray, NumpyState, Pullback]:
        y, state_n, pullback = super().vjp(x, state)
        y[:, :, 0] = 0
        return y, state_n, pullback


@caught_by("check_gradient_of_x")
class RecurrentTermMissing(Hooked):
    """Leaves the product with w_hh out of the backward pass."""

    def layer_backward(self, layer: Layer, dy: NumpyArray, dstate_n: NumpyState, saved: Any) -> LayerGrads:
        without = layer.weights._replace(w_hh=np.zeros_like(layer.weights.w_hh))
        return type(layer)(without).backward(dy, dstate_n, saved)


@caught_by("check_gradient_of_weights")
class FirstStepMissingInGradient(Hooked):
    """Leaves the initial state out of the gradient of w_hh."""

    def layer_backward(self, layer: Layer, dy: NumpyArray, dstate_n: NumpyState, saved: Any) -> LayerGrads:
        x, h0, *rest = saved
        return layer.backward(dy, dstate_n, (x, np.zeros_like(h0), *rest))


@caught_by("check_gradient_of_initial_state")
class GradientOfInitialStateDropped(Spoilt):
    """Gives zeros for the gradient of the initial state."""

    def spoil_grads(self, grads: Grads[NumpyArray]) -> Grads[NumpyArray]:
        return Grads(grads.x, zeros_like(grads.state), grads.weights)


@caught_by("check_gradient_of_weights")
class GradientOfBiasMissing(Spoilt):
    """Has no gradient of the second bias."""

    def spoil_grads(self, grads: Grads[NumpyArray]) -> Grads[NumpyArray]:
        kept = {name: grad for name, grad in grads.weights.items() if "bias_hh" not in name}
        return Grads(grads.x, grads.state, kept)


@caught_by("check_gradient_through_final_state")
class FinalStatesGradientIgnored(Sound):
    """Ignores dstate_n."""

    def vjp(self, x: NumpyArray, state: NumpyState | None = None) -> tuple[NumpyArray, NumpyState, Pullback]:
        y, state_n, pullback = super().vjp(x, state)
        return y, state_n, lambda dy, dstate_n: pullback(dy, zeros_like(dstate_n))
