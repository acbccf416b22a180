"""Implementations that are each wrong in one way, and the name of the check that must find it.

Each is `Sound` but for what its docstring says. The class is all there is of the fault.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from rnnimpl import Grads, Rnn, RnnConfig, Weights
from rnnimpl.impls.numpy_hoisted import NumpyHoisted
from rnnimpl.interface import CellWeights, NumpyArray
from rnnimpl.numpy_base import LayerGrads

Pullback = Callable[[NumpyArray, NumpyArray], Grads[NumpyArray]]

CAUGHT_BY: dict[type[Rnn[Any]], str] = {}
"""Each broken implementation, with the check that must find it."""

Broken = TypeVar("Broken", bound=type[Rnn[Any]])


def caught_by(check: str) -> Callable[[Broken], Broken]:
    """Register a broken implementation."""

    def register(broken: Broken) -> Broken:
        CAUGHT_BY[broken] = check
        return broken

    return register


class Sound(NumpyHoisted):
    """Nothing is wrong with it."""


class Spoilt(Sound):
    """Sound, with its outputs and gradients at hand to be spoilt."""

    def spoil_outputs(self, y: NumpyArray, h_n: NumpyArray) -> tuple[NumpyArray, NumpyArray]:
        return y, h_n

    def spoil_grads(self, grads: Grads[NumpyArray]) -> Grads[NumpyArray]:
        return grads

    def forward(self, x: NumpyArray, h0: NumpyArray | None = None) -> tuple[NumpyArray, NumpyArray]:
        return self.spoil_outputs(*super().forward(x, h0))

    def vjp(self, x: NumpyArray, h0: NumpyArray | None = None) -> tuple[NumpyArray, NumpyArray, Pullback]:
        y, h_n, pullback = super().vjp(x, h0)
        return y, h_n, lambda dy, dh_n: self.spoil_grads(pullback(dy, dh_n))


@caught_by("check_output")
class TransposedWeight(Sound):
    """Multiplies by w_hh where it should by its transpose."""

    def layer_forward(self, x: NumpyArray, h0: NumpyArray, weights: CellWeights[NumpyArray]) -> NumpyArray:
        return super().layer_forward(x, h0, weights._replace(w_hh=weights.w_hh.T))


@caught_by("check_output")
class ForgottenBias(Sound):
    """Adds no bias."""

    def layer_forward(self, x: NumpyArray, h0: NumpyArray, weights: CellWeights[NumpyArray]) -> NumpyArray:
        return super().layer_forward(x, h0, weights._replace(b_ih=None, b_hh=None))


@caught_by("check_output")
class LastStepForAll(Spoilt):
    """Gives the last step's output for every step, as the program this project grew from."""

    def spoil_outputs(self, y: NumpyArray, h_n: NumpyArray) -> tuple[NumpyArray, NumpyArray]:
        return np.broadcast_to(y[-1], y.shape).copy(), h_n


@caught_by("check_output")
class ReverseNotTurnedBack(Spoilt):
    """Leaves the reverse direction's output in the order in which it was computed."""

    def spoil_outputs(self, y: NumpyArray, h_n: NumpyArray) -> tuple[NumpyArray, NumpyArray]:
        H = self.config.hidden_size
        y[:, :, H:] = y[::-1, :, H:].copy()
        return y, h_n


@caught_by("check_output")
class DirectionsSwapped(Spoilt):
    """Puts the reverse direction's output first."""

    def spoil_outputs(self, y: NumpyArray, h_n: NumpyArray) -> tuple[NumpyArray, NumpyArray]:
        return np.roll(y, y.shape[2] // 2, axis=2) if self.config.bidirectional else y, h_n


@caught_by("check_output")
class Float16Inside(Sound):
    """Computes in float16 and gives float32."""

    def layer_forward(self, x: NumpyArray, h0: NumpyArray, weights: CellWeights[NumpyArray]) -> NumpyArray:
        narrow = CellWeights(*(None if w is None else w.astype(np.float16) for w in weights))
        y = super().layer_forward(x.astype(np.float16), h0.astype(np.float16), narrow)  # type: ignore[arg-type]
        return y.astype(x.dtype)


@caught_by("check_output")
class SlightlyWrongTanh(Spoilt):
    """Its tanh is wrong by 1e-5, as a cheap rational approximation may be."""

    def spoil_outputs(self, y: NumpyArray, h_n: NumpyArray) -> tuple[NumpyArray, NumpyArray]:
        return y + (y.dtype.type(1e-5) * (1 - y * y) if self.config.nonlinearity == "tanh" else 0), h_n


@caught_by("check_output")
class LastStepNotWritten(Spoilt):
    """Leaves one step of its result as the allocator gave it."""

    def spoil_outputs(self, y: NumpyArray, h_n: NumpyArray) -> tuple[NumpyArray, NumpyArray]:
        shape, dtype = y.shape, y.dtype
        written = y[:-1].copy()
        del y
        y = np.empty(shape, dtype)
        y[:-1] = written
        return y, h_n


@caught_by("check_final_state")
class LastLayersStateForAll(Spoilt):
    """Gives the last layer's final state for every layer."""

    def spoil_outputs(self, y: NumpyArray, h_n: NumpyArray) -> tuple[NumpyArray, NumpyArray]:
        D = self.config.num_directions
        return y, np.concatenate([h_n[-D:]] * self.config.num_layers)


@caught_by("check_final_state")
class FinalStateOfReverseAtTheEnd(Spoilt):
    """Takes the reverse direction's final state from the last step, which it reads first."""

    def spoil_outputs(self, y: NumpyArray, h_n: NumpyArray) -> tuple[NumpyArray, NumpyArray]:
        if self.config.bidirectional:
            h_n[-1] = y[-1, :, self.config.hidden_size :]
        return y, h_n


@caught_by("check_initial_state")
class InitialStateIgnored(Sound):
    """Starts from zeros whatever it is given."""

    def forward(self, x: NumpyArray, h0: NumpyArray | None = None) -> tuple[NumpyArray, NumpyArray]:
        self.check_shapes(x, h0)
        return super().forward(x)


@caught_by("check_outputs_of_vjp")
class OtherOutputInTraining(Sound):
    """Drops a unit in training."""

    def vjp(self, x: NumpyArray, h0: NumpyArray | None = None) -> tuple[NumpyArray, NumpyArray, Pullback]:
        y, h_n, pullback = super().vjp(x, h0)
        y[:, :, 0] = 0
        return y, h_n, pullback


@caught_by("check_gradient_of_x")
class RecurrentTermMissing(Sound):
    """Sends nothing back through time."""

    def layer_backward(
        self, dy: NumpyArray, x: NumpyArray, h0: NumpyArray, y: NumpyArray, weights: CellWeights[NumpyArray]
    ) -> LayerGrads:
        return super().layer_backward(dy, x, h0, y, weights._replace(w_hh=np.zeros_like(weights.w_hh)))


@caught_by("check_gradient_of_weights")
class FirstStepMissingInGradient(Sound):
    """Leaves the initial state out of the gradient of w_hh."""

    def layer_backward(
        self, dy: NumpyArray, x: NumpyArray, h0: NumpyArray, y: NumpyArray, weights: CellWeights[NumpyArray]
    ) -> LayerGrads:
        return super().layer_backward(dy, x, np.zeros_like(h0), y, weights)


@caught_by("check_gradient_of_h0")
class GradientOfInitialStateDropped(Spoilt):
    """Gives zeros for the gradient of h0."""

    def spoil_grads(self, grads: Grads[NumpyArray]) -> Grads[NumpyArray]:
        return Grads(grads.x, np.zeros_like(grads.h0), grads.weights)


@caught_by("check_gradient_of_weights")
class GradientOfBiasMissing(Spoilt):
    """Has no gradient of the second bias."""

    def spoil_grads(self, grads: Grads[NumpyArray]) -> Grads[NumpyArray]:
        kept = {name: grad for name, grad in grads.weights.items() if "bias_hh" not in name}
        return Grads(grads.x, grads.h0, kept)


@caught_by("check_gradient_through_final_state")
class FinalStatesGradientIgnored(Sound):
    """Takes no notice of dh_n."""

    def vjp(self, x: NumpyArray, h0: NumpyArray | None = None) -> tuple[NumpyArray, NumpyArray, Pullback]:
        y, h_n, pullback = super().vjp(x, h0)
        return y, h_n, lambda dy, dh_n: pullback(dy, np.zeros_like(dh_n))


@caught_by("check_single_step")
class SqueezesSteps(Spoilt):
    """Drops the axis of time when there is one step."""

    def spoil_outputs(self, y: NumpyArray, h_n: NumpyArray) -> tuple[NumpyArray, NumpyArray]:
        return y.squeeze(0) if len(y) == 1 else y, h_n


@caught_by("check_single_sequence")
class SqueezesBatch(Spoilt):
    """Drops the axis of the batch when there is one sequence."""

    def spoil_outputs(self, y: NumpyArray, h_n: NumpyArray) -> tuple[NumpyArray, NumpyArray]:
        return y.squeeze(), h_n.squeeze()


@caught_by("check_noncontiguous_input")
class ReadsMemoryAsItLies(Sound):
    """Takes the memory of an array for its elements in order, whatever its strides."""

    def from_numpy(self, array: NumpyArray) -> NumpyArray:
        self.check_dtype(array)
        return np.ravel(array, order="K").reshape(array.shape).copy()


@caught_by("check_batch_independence")
class BatchMixed(Spoilt):
    """Adds to each sequence a little of the next: right where all are alike."""

    def spoil_outputs(self, y: NumpyArray, h_n: NumpyArray) -> tuple[NumpyArray, NumpyArray]:
        return y, h_n + h_n.dtype.type(1e-3) * np.roll(h_n, 1, axis=1)


@caught_by("check_nan")
class SwallowsNan(Spoilt):
    """Replaces NaN by zero."""

    def spoil_outputs(self, y: NumpyArray, h_n: NumpyArray) -> tuple[NumpyArray, NumpyArray]:
        return np.nan_to_num(y, posinf=np.inf, neginf=-np.inf), h_n


@caught_by("check_large_input")
class OverflowingTanh(Sound):
    """Computes tanh as (exp(2a) - 1) / (exp(2a) + 1), which is infinity by infinity for large a."""

    def layer_forward(self, x: NumpyArray, h0: NumpyArray, weights: CellWeights[NumpyArray]) -> NumpyArray:
        if self.config.nonlinearity != "tanh":
            return super().layer_forward(x, h0, weights)
        with np.errstate(over="ignore", invalid="ignore"):
            h, states = h0, []
            for x_t in x:
                bias = 0 if weights.b_ih is None or weights.b_hh is None else weights.b_ih + weights.b_hh
                e = np.exp(2 * (x_t @ weights.w_ih.T + h @ weights.w_hh.T + bias))
                h = (e - 1) / (e + 1)
                states.append(h)
        return np.stack(states)


@caught_by("check_inputs_unchanged")
class ChangesInput(Sound):
    """Uses x as scratch memory once it is read."""

    def forward(self, x: NumpyArray, h0: NumpyArray | None = None) -> tuple[NumpyArray, NumpyArray]:
        results = super().forward(x, h0)
        x *= 2
        return results


@caught_by("check_inputs_of_vjp_unchanged")
class ChangesCotangent(Sound):
    """Adds dh_n to the dy that it was given."""

    def vjp(self, x: NumpyArray, h0: NumpyArray | None = None) -> tuple[NumpyArray, NumpyArray, Pullback]:
        y, h_n, pullback = super().vjp(x, h0)

        def spoiling(dy: NumpyArray, dh_n: NumpyArray) -> Grads[NumpyArray]:
            grads = pullback(dy, dh_n)
            dy[-1] += 1
            return grads

        return y, h_n, spoiling


@caught_by("check_repeatable")
class StateKept(Sound):
    """Starts a call without h0 where the call before ended, if the sizes allow it."""

    def __init__(self, config: RnnConfig, weights: Weights, device: str = "cpu") -> None:
        super().__init__(config, weights, device)
        self.state: NumpyArray | None = None

    def forward(self, x: NumpyArray, h0: NumpyArray | None = None) -> tuple[NumpyArray, NumpyArray]:
        if h0 is None and self.state is not None and self.state.shape[1] == x.shape[1]:
            h0 = self.state
        y, self.state = super().forward(x, h0)
        return y, self.state


@caught_by("check_results_kept")
class ResultsShareOneBuffer(Sound):
    """Gives the same memory at each call."""

    def __init__(self, config: RnnConfig, weights: Weights, device: str = "cpu") -> None:
        super().__init__(config, weights, device)
        self.buffer = np.empty(0, dtype=config.carrier)

    def forward(self, x: NumpyArray, h0: NumpyArray | None = None) -> tuple[NumpyArray, NumpyArray]:
        y, h_n = super().forward(x, h0)
        if self.buffer.shape != y.shape:
            self.buffer = np.empty_like(y)
        self.buffer[:] = y
        return self.buffer, h_n


@caught_by("check_gradients_kept")
class GradientsShareOneBuffer(Spoilt):
    """Gives the same memory for the gradient of h0 at each call."""

    buffer: NumpyArray | None = None

    def spoil_grads(self, grads: Grads[NumpyArray]) -> Grads[NumpyArray]:
        if self.buffer is None or self.buffer.shape != grads.h0.shape:
            self.buffer = np.empty_like(grads.h0)
        self.buffer[:] = grads.h0
        return Grads(grads.x, self.buffer, grads.weights)


@caught_by("check_pullback_after_other_calls")
class PullbackOfTheLastCall(Sound):
    """Keeps what the backward pass needs on the instance, where the next call overwrites it."""

    def vjp(self, x: NumpyArray, h0: NumpyArray | None = None) -> tuple[NumpyArray, NumpyArray, Pullback]:
        y, h_n, self.pullback = super().vjp(x, h0)
        return y, h_n, lambda dy, dh_n: self.pullback(dy, dh_n)


@caught_by("check_instances_independent")
class WeightsShared(Sound):
    """Keeps its weights on the class: the instance built last sets them for all."""

    shared: dict[tuple[int, int], CellWeights[NumpyArray]]

    def __init__(self, config: RnnConfig, weights: Weights, device: str = "cpu") -> None:
        super().__init__(config, weights, device)
        type(self).shared = self.cells

    def forward(self, x: NumpyArray, h0: NumpyArray | None = None) -> tuple[NumpyArray, NumpyArray]:
        self.cells = self.shared
        return super().forward(x, h0)


@caught_by("check_weights_unchanged")
class StepsByItself(Spoilt):
    """Moves its weights against their gradients when it computes them."""

    def spoil_grads(self, grads: Grads[NumpyArray]) -> Grads[NumpyArray]:
        self.cells = {
            cell: weights._replace(w_ih=weights.w_ih - weights.w_ih.dtype.type(0.1))
            for cell, weights in self.cells.items()
        }
        return grads


@caught_by("check_wrong_shapes")
class ShapesNotChecked(Sound):
    """Lets NumPy say what is wrong with a shape, or broadcast it."""

    def check_shapes(self, x: Any, h0: Any | None) -> None:
        pass


@caught_by("check_wrong_dtype")
class DtypeNotChecked(Sound):
    """Converts whatever it is given."""

    def from_numpy(self, array: NumpyArray) -> NumpyArray:
        return array.astype(self.config.carrier)


@caught_by("check_result_types")
class GivesFloat64(Spoilt):
    """Gives float64 whatever the config says."""

    def spoil_outputs(self, y: NumpyArray, h_n: NumpyArray) -> tuple[NumpyArray, NumpyArray]:
        return y.astype(np.float64), h_n.astype(np.float64)


@caught_by("check_gradient_types")
class GivesFloat64Gradients(Spoilt):
    """Gives a gradient in float64."""

    def spoil_grads(self, grads: Grads[NumpyArray]) -> Grads[NumpyArray]:
        return Grads(grads.x.astype(np.float64), grads.h0, grads.weights)


@caught_by("check_describe")
class SaysNothing(Sound):
    """Describes itself by nothing."""

    def describe(self) -> dict[str, str]:
        return {}


@caught_by("check_two_halves")
class ShortSequencesFromZero(Sound):
    """Has another path for short sequences, and that one ignores h0."""

    def forward(self, x: NumpyArray, h0: NumpyArray | None = None) -> tuple[NumpyArray, NumpyArray]:
        return super().forward(x, h0 if len(x) > 8 else None)


@caught_by("check_batch_permutation")
class FirstSequencesStateForAll(Sound):
    """Starts every sequence from the first one's h0."""

    def forward(self, x: NumpyArray, h0: NumpyArray | None = None) -> tuple[NumpyArray, NumpyArray]:
        return super().forward(x, h0 if h0 is None else np.broadcast_to(h0[:, :1], h0.shape))


@caught_by("check_gradients_of_single_step")
class SqueezesStepsOfGradient(Spoilt):
    """Drops the axis of time of a gradient when there is one step."""

    def spoil_grads(self, grads: Grads[NumpyArray]) -> Grads[NumpyArray]:
        return Grads(grads.x.squeeze(0) if len(grads.x) == 1 else grads.x, grads.h0, grads.weights)


@caught_by("check_gradients_of_single_sequence")
class SqueezesBatchOfGradient(Spoilt):
    """Drops the axis of the batch of a gradient when there is one sequence."""

    def spoil_grads(self, grads: Grads[NumpyArray]) -> Grads[NumpyArray]:
        return Grads(grads.x, grads.h0.squeeze(), grads.weights)


@caught_by("check_gradients_of_large_input")
class OverflowingSlope(Sound):
    """Computes tanh' as 4 exp(2a) / (exp(2a) + 1)^2, which is infinity by infinity for large a."""

    def layer_backward(
        self, dy: NumpyArray, x: NumpyArray, h0: NumpyArray, y: NumpyArray, weights: CellWeights[NumpyArray]
    ) -> LayerGrads:
        if self.config.nonlinearity == "tanh":
            with np.errstate(all="ignore"):
                e = np.exp(2 * np.arctanh(y))
                dy = dy + 0 * (4 * e / (e + 1) ** 2)
        return super().layer_backward(dy, x, h0, y, weights)


@caught_by("check_wrong_shapes_in_vjp")
class ShapesNotCheckedInTraining(ShapesNotChecked):
    """Looks at shapes in `forward` alone."""

    def forward(self, x: NumpyArray, h0: NumpyArray | None = None) -> tuple[NumpyArray, NumpyArray]:
        Sound.check_shapes(self, x, h0)
        return Sound.forward(self, x, h0)


@caught_by("check_wrong_weights")
class WeightsNotChecked(Sound):
    """Takes the config from the weights and does not look at the one it is given."""

    def __init__(self, config: RnnConfig, weights: Weights, device: str = "cpu") -> None:
        super().__init__(weights.config, weights, device)
