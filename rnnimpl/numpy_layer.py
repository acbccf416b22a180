"""One layer in one direction in NumPy, which an implementation writes for each cell."""

from __future__ import annotations

import abc
from typing import Any, NamedTuple

from rnnimpl.interface import LayerWeights, NumpyArray, State


class LayerGrads(NamedTuple):
    """Gradients of one layer in one direction: x (T, B, I), each array of the state (B, H), and the weights."""

    x: NumpyArray
    state: State[NumpyArray]
    weights: LayerWeights[NumpyArray]


class Layer(abc.ABC):
    """One layer in one direction, with its weights: w_ih (G*H, I), w_hh (G*H, H), b_ih and b_hh (G*H,) or None."""

    def __init__(self, weights: LayerWeights[NumpyArray]) -> None:
        self.weights = weights

    @abc.abstractmethod
    def forward(self, x: NumpyArray, state: State[NumpyArray]) -> tuple[NumpyArray, State[NumpyArray], Any]:
        """x (T, B, I), the state (B, H) -> y (T, B, H), the last state (B, H), and the values that `backward` needs."""

    @abc.abstractmethod
    def backward(self, dy: NumpyArray, dstate_n: State[NumpyArray], saved: Any) -> LayerGrads:
        """The gradients, from those of y (T, B, H) and of the last state (B, H) and what `forward` saved.

        `dy` may be written to. Gradients of biases are returned also without biases, and are then not used.
        """
