"""The base of broken implementations: a sound one with hooks, and the register of the checks that find faults.

A class is broken by what its docstring says and by nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from rnnimpl import Grads, Rnn, RnnConfig, Weights
from rnnimpl.impls.numpy_hoisted import NumpyHoisted
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
    """`numpy_hoisted` without a change."""


class Spoilt(Sound):
    """Sound, with hooks that change its outputs and gradients."""

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
    """Sound, with a hook that changes each layer's weights."""

    def change(self, weights: LayerWeights[NumpyArray]) -> LayerWeights[NumpyArray]:
        raise NotImplementedError

    def __init__(self, config: RnnConfig, weights: Weights, device: str = "cpu") -> None:
        super().__init__(config, weights, device)
        self.layers = {key: type(layer)(self.change(layer.weights)) for key, layer in self.layers.items()}


class HookedLayer(Layer):
    """A layer whose calls go through hooks of its network."""

    def __init__(self, layer: Layer, network: Hooked) -> None:
        super().__init__(layer.weights)
        self.layer, self.network = layer, network

    def forward(self, x: NumpyArray, state: NumpyState) -> Forward:
        return self.network.layer_forward(self.layer, x, state)

    def backward(self, dy: NumpyArray, dstate_n: NumpyState, saved: Any) -> LayerGrads:
        return self.network.layer_backward(self.layer, dy, dstate_n, saved)


class Hooked(Sound):
    """Sound, with hooks in place of each layer's calls."""

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
