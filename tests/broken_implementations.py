"""Implementations that are each wrong in one way, and the name of the check that must find it.

Each is `Sound` but for what its docstring says. The class is all there is of the fault.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from rnnimpl import Grads, Rnn, RnnConfig, Weights
from rnnimpl.impls.numpy_hoisted import NumpyHoisted, TanhLayer
from rnnimpl.interface import LayerWeights, NumpyArray, State
from rnnimpl.numpy_base import Layer, LayerGrads

NumpyState = State[NumpyArray]
Forward = tuple[NumpyArray, NumpyState, Any]
"""What a layer's forward gives: y, the last state, and what its backward needs."""
Pullback = Callable[[NumpyArray, NumpyState], Grads[NumpyArray]]

CAUGHT_BY: dict[type[Rnn[Any]], str] = {}
"""Each broken implementation, with the check that must find it."""

Broken = TypeVar("Broken", bound=type[Rnn[Any]])


def caught_by(check: str) -> Callable[[Broken], Broken]:
    """Register a broken implementation."""

    def register(broken: Broken) -> Broken:
        CAUGHT_BY[broken] = check
        return broken

    return register


def only(*cells: str) -> Callable[[Broken], Broken]:
    """Name the cells that a class computes, where they are fewer than those of its base."""

    def name(broken: Broken) -> Broken:
        broken.cells = cells
        return broken

    return name


class Sound(NumpyHoisted):
    """Nothing is wrong with it."""


class Spoilt(Sound):
    """Sound, with its outputs and gradients at hand to be spoilt."""

    def spoil_outputs(self, y: NumpyArray, state_n: NumpyState) -> tuple[NumpyArray, NumpyState]:
        return y, state_n

    def spoil_grads(self, grads: Grads[NumpyArray]) -> Grads[NumpyArray]:
        return grads

    def forward(self, x: NumpyArray, state: NumpyState | None = None) -> tuple[NumpyArray, NumpyState]:
        return self.spoil_outputs(*super().forward(x, state))

    def vjp(self, x: NumpyArray, state: NumpyState | None = None) -> tuple[NumpyArray, NumpyState, Pullback]:
        y, state_n, pullback = super().vjp(x, state)
        return y, state_n, lambda dy, dstate_n: self.spoil_grads(pullback(dy, dstate_n))


class Reweighted(Sound):
    """Sound, with each layer's weights at hand to be changed before it is built."""

    def change(self, weights: LayerWeights[NumpyArray]) -> LayerWeights[NumpyArray]:
        raise NotImplementedError

    def __init__(self, config: RnnConfig, weights: Weights, device: str = "cpu") -> None:
        super().__init__(config, weights, device)
        self.layers = {key: type(layer)(self.change(layer.weights)) for key, layer in self.layers.items()}


class HookedLayer(Layer):
    """A layer whose calls go through the network that it is part of."""

    def __init__(self, layer: Layer, network: Hooked) -> None:
        super().__init__(layer.weights)
        self.layer, self.network = layer, network

    def forward(self, x: NumpyArray, state: NumpyState) -> Forward:
        return self.network.layer_forward(self.layer, x, state)

    def backward(self, dy: NumpyArray, dstate_n: NumpyState, saved: Any) -> LayerGrads:
        return self.network.layer_backward(self.layer, dy, dstate_n, saved)


class Hooked(Sound):
    """Sound, with each layer's calls at hand to be changed."""

    def __init__(self, config: RnnConfig, weights: Weights, device: str = "cpu") -> None:
        super().__init__(config, weights, device)
        self.layers = {key: HookedLayer(layer, self) for key, layer in self.layers.items()}

    def layer_forward(self, layer: Layer, x: NumpyArray, state: NumpyState) -> Forward:
        return layer.forward(x, state)

    def layer_backward(self, layer: Layer, dy: NumpyArray, dstate_n: NumpyState, saved: Any) -> LayerGrads:
        return layer.backward(dy, dstate_n, saved)


def zeros_like(state: NumpyState) -> NumpyState:
    """A state of zeros of the same shapes."""
    return tuple(np.zeros_like(array) for array in state)


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
    """Gives the last step's output for every step, as the program this project grew from."""

    def spoil_outputs(self, y: NumpyArray, state_n: NumpyState) -> tuple[NumpyArray, NumpyState]:
        return np.broadcast_to(y[-1], y.shape).copy(), state_n


@caught_by("check_output")
class ReverseNotTurnedBack(Spoilt):
    """Leaves the reverse direction's output in the order in which it was computed."""

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
    """Leaves one step of its result as the allocator gave it."""

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
    """Gives an array where a tuple of one is expected."""

    def spoil_outputs(self, y: NumpyArray, state_n: NumpyState) -> tuple[NumpyArray, Any]:
        return y, state_n[0] if len(state_n) == 1 else state_n


@caught_by("check_initial_state")
class InitialStateIgnored(Sound):
    """Starts from zeros whatever it is given."""

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
    """Sends nothing back through the product with w_hh."""

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
    """Takes no notice of dstate_n."""

    def vjp(self, x: NumpyArray, state: NumpyState | None = None) -> tuple[NumpyArray, NumpyState, Pullback]:
        y, state_n, pullback = super().vjp(x, state)
        return y, state_n, lambda dy, dstate_n: pullback(dy, zeros_like(dstate_n))


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
    """Takes the memory of an array for its elements in order, whatever its strides."""

    def from_numpy(self, array: NumpyArray) -> NumpyArray:
        self.check_dtype(array)
        return np.ravel(array, order="K").reshape(array.shape).copy()


@caught_by("check_batch_independence")
class BatchMixed(Spoilt):
    """Adds to each sequence a little of the next: right where all are alike."""

    def spoil_outputs(self, y: NumpyArray, state_n: NumpyState) -> tuple[NumpyArray, NumpyState]:
        return y, tuple(array + array.dtype.type(1e-3) * np.roll(array, 1, axis=1) for array in state_n)


@caught_by("check_nan")
class SwallowsNan(Spoilt):
    """Replaces NaN by zero."""

    def spoil_outputs(self, y: NumpyArray, state_n: NumpyState) -> tuple[NumpyArray, NumpyState]:
        return np.nan_to_num(y, posinf=np.inf, neginf=-np.inf), state_n


class OverflowingTanhLayer(TanhLayer):
    """tanh as (exp(2a) - 1) / (exp(2a) + 1)."""

    def squash(self, a: NumpyArray) -> None:
        with np.errstate(over="ignore", invalid="ignore"):
            e = np.exp(2 * a)
            a[:] = (e - 1) / (e + 1)


@caught_by("check_large_input")
class OverflowingTanh(Sound):
    """Computes tanh as (exp(2a) - 1) / (exp(2a) + 1), which is infinity by infinity for large a."""

    layer_types = {**Sound.layer_types, "tanh": OverflowingTanhLayer}  # noqa: RUF012  # never written


class RationalTanhLayer(TanhLayer):
    """tanh as a quotient of two polynomials, without limits."""

    def squash(self, a: NumpyArray) -> None:
        near = np.abs(a) < 20
        # Up to there it is right; beyond, this is its error.
        a[:] = np.where(near, np.tanh(a), a / 20)


@caught_by("check_bound")
class UnlimitedTanh(Sound):
    """Computes tanh by a quotient that is right for all but large a, where it grows."""

    layer_types = {**Sound.layer_types, "tanh": RationalTanhLayer}  # noqa: RUF012  # never written


@caught_by("check_inputs_unchanged")
class ChangesInput(Sound):
    """Uses x as scratch memory once it is read."""

    def forward(self, x: NumpyArray, state: NumpyState | None = None) -> tuple[NumpyArray, NumpyState]:
        results = super().forward(x, state)
        x *= 2
        return results


@caught_by("check_inputs_of_vjp_unchanged")
class ChangesCotangent(Sound):
    """Adds to the dy that it was given."""

    def vjp(self, x: NumpyArray, state: NumpyState | None = None) -> tuple[NumpyArray, NumpyState, Pullback]:
        y, state_n, pullback = super().vjp(x, state)

        def spoiling(dy: NumpyArray, dstate_n: NumpyState) -> Grads[NumpyArray]:
            grads = pullback(dy, dstate_n)
            dy[-1] += 1
            return grads

        return y, state_n, spoiling


@caught_by("check_repeatable")
class StateKept(Sound):
    """Starts a call without a state where the call before ended, if the sizes allow it."""

    def __init__(self, config: RnnConfig, weights: Weights, device: str = "cpu") -> None:
        super().__init__(config, weights, device)
        self.kept: NumpyState | None = None

    def forward(self, x: NumpyArray, state: NumpyState | None = None) -> tuple[NumpyArray, NumpyState]:
        if state is None and self.kept is not None and self.kept[0].shape[1] == x.shape[1]:
            state = self.kept
        y, self.kept = super().forward(x, state)
        return y, self.kept


@caught_by("check_results_kept")
class ResultsShareOneBuffer(Sound):
    """Gives the same memory at each call."""

    def __init__(self, config: RnnConfig, weights: Weights, device: str = "cpu") -> None:
        super().__init__(config, weights, device)
        self.buffer = np.empty(0, dtype=config.carrier)

    def forward(self, x: NumpyArray, state: NumpyState | None = None) -> tuple[NumpyArray, NumpyState]:
        y, state_n = super().forward(x, state)
        if self.buffer.shape != y.shape:
            self.buffer = np.empty_like(y)
        self.buffer[:] = y
        return self.buffer, state_n


@caught_by("check_gradients_kept")
class GradientsShareOneBuffer(Spoilt):
    """Gives the same memory for the gradient of x at each call."""

    buffer: NumpyArray | None = None

    def spoil_grads(self, grads: Grads[NumpyArray]) -> Grads[NumpyArray]:
        if self.buffer is None or self.buffer.shape != grads.x.shape:
            self.buffer = np.empty_like(grads.x)
        self.buffer[:] = grads.x
        return Grads(self.buffer, grads.state, grads.weights)


@caught_by("check_gradients_repeatable")
class GradientsAdded(Spoilt):
    """Adds each gradient of a weight to those of the calls before, as a module's `.grad` does."""

    def __init__(self, config: RnnConfig, weights: Weights, device: str = "cpu") -> None:
        super().__init__(config, weights, device)
        self.sums = {name: np.zeros(shape, config.carrier) for name, shape in config.weight_shapes().items()}

    def spoil_grads(self, grads: Grads[NumpyArray]) -> Grads[NumpyArray]:
        self.sums = {name: total + grads.weights[name] for name, total in self.sums.items()}
        return Grads(grads.x, grads.state, self.sums)


@caught_by("check_pullback_after_other_calls")
class PullbackOfTheLastCall(Sound):
    """Keeps what the backward pass needs on the instance, where the next call overwrites it."""

    def vjp(self, x: NumpyArray, state: NumpyState | None = None) -> tuple[NumpyArray, NumpyState, Pullback]:
        y, state_n, self.pullback = super().vjp(x, state)
        return y, state_n, lambda dy, dstate_n: self.pullback(dy, dstate_n)


@caught_by("check_instances_independent")
class WeightsShared(Sound):
    """Keeps its weights on the class: the instance built last sets them for all."""

    shared: dict[tuple[int, int], Layer]

    def __init__(self, config: RnnConfig, weights: Weights, device: str = "cpu") -> None:
        super().__init__(config, weights, device)
        type(self).shared = self.layers

    def forward(self, x: NumpyArray, state: NumpyState | None = None) -> tuple[NumpyArray, NumpyState]:
        self.layers = self.shared
        return super().forward(x, state)


@caught_by("check_weights_unchanged")
class StepsByItself(Spoilt):
    """Moves its weights against their gradients when it computes them."""

    def spoil_grads(self, grads: Grads[NumpyArray]) -> Grads[NumpyArray]:
        for key, layer in self.layers.items():
            moved = layer.weights.w_ih - layer.weights.w_ih.dtype.type(0.1)
            self.layers[key] = type(layer)(layer.weights._replace(w_ih=moved))
        return grads


@caught_by("check_wrong_shapes")
class ShapesNotChecked(Sound):
    """Lets NumPy say what is wrong with a shape, or broadcast it."""

    def check_inputs(self, x: Any, state: Any, dtype: Any) -> None:
        pass


@caught_by("check_wrong_dtype")
class DtypeNotChecked(Sound):
    """Converts whatever it is given."""

    def from_numpy(self, array: NumpyArray) -> NumpyArray:
        return array.astype(self.config.carrier)


@caught_by("check_result_types")
class GivesFloat64(Spoilt):
    """Gives float64 whatever the config says."""

    def spoil_outputs(self, y: NumpyArray, state_n: NumpyState) -> tuple[NumpyArray, NumpyState]:
        return y.astype(np.float64), tuple(array.astype(np.float64) for array in state_n)


@caught_by("check_gradient_types")
class GivesFloat64Gradients(Spoilt):
    """Gives a gradient in float64."""

    def spoil_grads(self, grads: Grads[NumpyArray]) -> Grads[NumpyArray]:
        return Grads(grads.x.astype(np.float64), grads.state, grads.weights)


@caught_by("check_describe")
class SaysNothing(Sound):
    """Describes itself by nothing."""

    def describe(self) -> dict[str, str]:
        return {}


@caught_by("check_two_halves")
class ShortSequencesFromZero(Sound):
    """Has another path for short sequences, and that one ignores the state."""

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


@caught_by("check_wrong_shapes_in_vjp")
class ShapesNotCheckedInTraining(ShapesNotChecked):
    """Looks at shapes in `forward` alone."""

    def forward(self, x: NumpyArray, state: NumpyState | None = None) -> tuple[NumpyArray, NumpyState]:
        Sound.check_inputs(self, x, state, self.config.carrier)
        return Sound.forward(self, x, state)


@caught_by("check_wrong_weights")
class WeightsNotChecked(Sound):
    """Takes the config from the weights and does not look at the one it is given."""

    def __init__(self, config: RnnConfig, weights: Weights, device: str = "cpu") -> None:
        super().__init__(weights.config, weights, device)
