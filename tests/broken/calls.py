"""Implementations with one fault each in the effects of calls, the types of results or errors for wrong arguments."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnimpl import Grads, RnnConfig, Weights
from rnnimpl.interface import NumpyArray
from rnnimpl.numpy_base import Layer
from tests.broken.base import (
    NumpyState,
    Pullback,
    Sound,
    Spoilt,
    caught_by,
    only,
)


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
    """Starts a call without a state from the final state of the call before, if the batch sizes agree."""

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
    """Returns y in the same memory at each call."""

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
    """Returns the gradient of x in the same memory at each call."""

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
    """Keeps the values of the backward pass on the instance, where the next call overwrites them."""

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
    """Changes its weights when it computes gradients, as an optimizer does."""

    def spoil_grads(self, grads: Grads[NumpyArray]) -> Grads[NumpyArray]:
        for key, layer in self.layers.items():
            moved = layer.weights.w_ih - layer.weights.w_ih.dtype.type(0.1)
            self.layers[key] = type(layer)(layer.weights._replace(w_ih=moved))
        return grads


@caught_by("check_wrong_shapes")
class ShapesNotChecked(Sound):
    """Leaves wrong shapes to NumPy, which broadcasts them or raises an error of its own."""

    def check_inputs(self, x: Any, state: Any, dtype: Any) -> None:
        pass


@caught_by("check_wrong_dtype")
class DtypeNotChecked(Sound):
    """Converts an array of any dtype in `from_numpy`."""

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
    """Gives an empty description."""

    def describe(self) -> dict[str, str]:
        return {}


@caught_by("check_wrong_shapes_in_vjp")
class ShapesNotCheckedInTraining(ShapesNotChecked):
    """Checks shapes in `forward` alone."""

    def forward(self, x: NumpyArray, state: NumpyState | None = None) -> tuple[NumpyArray, NumpyState]:
        Sound.check_inputs(self, x, state, self.config.carrier)
        return Sound.forward(self, x, state)


@caught_by("check_wrong_weights")
class WeightsNotChecked(Sound):
    """Takes the config of the weights and ignores the one that it is given."""

    def __init__(self, config: RnnConfig, weights: Weights, device: str = "cpu") -> None:
        super().__init__(weights.config, weights, device)


@caught_by("check_other_cells")
@only("tanh")
class ComputesWhatItDoesNotName(Sound):
    """Names one cell and computes all."""

    def __init__(self, config: RnnConfig, weights: Weights, device: str = "cpu") -> None:
        self.cells = Sound.cells  # type: ignore[misc]  # that is the fault
        super().__init__(config, weights, device)
