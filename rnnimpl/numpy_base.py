"""The base of NumPy implementations: it stacks layers, runs the reverse direction and collects gradients.

An implementation is written as one layer in one direction, forward and backward, for each cell.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

from rnnimpl.dtypes import Precision
from rnnimpl.interface import (
    Grads,
    Lengths,
    NumpyArray,
    Pullback,
    RnnConfig,
    State,
    Weights,
    layer_weight_names,
)
from rnnimpl.layer_stack import run_stack
from rnnimpl.numpy_arrays import NumpyArrays
from rnnimpl.numpy_layer import Layer, LayerGrads
from rnnimpl.numpy_segments import SegmentedLayer, turned

__all__ = ["Layer", "LayerGrads", "NumpyRnn", "sigmoid"]


class NumpyRnn(NumpyArrays):
    """A network of NumPy layers; a subclass names the layer of each cell in `layer_types`."""

    layer_types: ClassVar[Mapping[str, type[Layer]]]

    def __init__(self, config: RnnConfig, weights: Weights, device: str = "cpu") -> None:
        super().__init__(config, weights, device)
        self.layers = {key: self.layer_types[config.cell](weights.layer(*key)) for key in config.layers()}

    @classmethod
    def configure_process(cls, *, threads: int, precision: Precision) -> None:
        super().configure_process(threads=threads, precision=precision)
        threadpool_limits(limits=threads, user_api="blas")

    def forward(
        self, x: NumpyArray, state: State[NumpyArray] | None = None, lengths: Lengths = None
    ) -> tuple[NumpyArray, State[NumpyArray]]:
        self.check_inputs(x, state, self._dtype)
        y, state_n, _ = self._run(x, state, self.check_lengths(lengths, x))
        return y, state_n

    def vjp(
        self, x: NumpyArray, state: State[NumpyArray] | None = None, lengths: Lengths = None
    ) -> tuple[NumpyArray, State[NumpyArray], Pullback[NumpyArray]]:
        self.check_inputs(x, state, self._dtype)
        lengths = self.check_lengths(lengths, x)
        y, state_n, saved = self._run(x, state, lengths)

        def pullback(dy: NumpyArray, dstate_n: State[NumpyArray]) -> Grads[NumpyArray]:
            self.check_cotangents(dy, dstate_n, y, self._dtype)
            return self._backward(dy, dstate_n, saved, lengths)

        return y, state_n, pullback

    def describe(self) -> dict[str, str]:
        loaded = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
        # NumPy's wheels have a BLAS, and so do SciPy's, which another import may have loaded.
        own = [pool for pool in loaded if any(part.startswith("numpy") for part in Path(pool["filepath"]).parts)]
        pools = own or loaded
        return {
            "library": f"numpy {np.__version__}",
            "blas": ", ".join(f"{pool['internal_api']} {pool['version']}" for pool in pools) or "not known",
            "threads": ", ".join(str(pool["num_threads"]) for pool in pools) or "not known",
        }

    def _layer(self, key: tuple[int, int], lengths: Lengths) -> Layer:
        return self.layers[key] if lengths is None else SegmentedLayer(self.layers[key], lengths)

    def _run(
        self, x: NumpyArray, state: State[NumpyArray] | None, lengths: Lengths
    ) -> tuple[NumpyArray, State[NumpyArray], dict[tuple[int, int], Any]]:
        """Run all layers -> y (T, B, D*H), the final state, and what each layer and direction saved."""
        saved: dict[tuple[int, int], Any] = {}

        def run_layer(
            layer: int, direction: int, x: NumpyArray, start: State[NumpyArray]
        ) -> tuple[NumpyArray, State[NumpyArray]]:
            # The reverse direction is the same layer on reversed time.
            ordered = turned(x, lengths) if direction else x
            y, last, saved[layer, direction] = self._layer((layer, direction), lengths).forward(ordered, start)
            return turned(y, lengths) if direction else y, last

        start = self.config.zero_state(x.shape[1]) if state is None else state
        y, state_n = run_stack(self.config, run_layer, x, start, concatenate=_concatenate, stack=np.stack)
        return y, state_n, saved

    def _backward(
        self, dy: NumpyArray, dstate_n: State[NumpyArray], saved: Mapping[tuple[int, int], Any], lengths: Lengths
    ) -> Grads[NumpyArray]:
        """The gradients from dy (T, B, D*H), the last layer first; `dy` is then the gradient of each layer's input."""
        config = self.config
        D, H = config.num_directions, config.hidden_size
        dstate = tuple(np.empty_like(each) for each in dstate_n)
        grads: dict[str, NumpyArray] = {}
        for layer in reversed(range(config.num_layers)):
            dx: NumpyArray | None = None
            for direction in range(D):
                place = layer * D + direction
                part = dy[:, :, direction * H : (direction + 1) * H]
                part = (turned(part, lengths) if direction else part).copy()  # (T, B, H)
                last = tuple(each[place] for each in dstate_n)  # each (B, H)
                of_layer = self._layer((layer, direction), lengths).backward(part, last, saved[layer, direction])
                for name, gradient in zip(layer_weight_names(layer, direction), of_layer.weights, strict=True):
                    assert gradient is not None
                    grads[name] = gradient
                for whole, own in zip(dstate, of_layer.state, strict=True):
                    whole[place] = own
                layer_dx = turned(of_layer.x, lengths) if direction else of_layer.x
                dx = layer_dx if dx is None else dx + layer_dx
            assert dx is not None
            dy = dx
        return Grads(dy, dstate, {name: grads[name] for name in config.weight_shapes()})


def _concatenate(outputs: list[NumpyArray]) -> NumpyArray:
    """The outputs (T, B, H) of both directions as one (T, B, 2*H)."""
    return np.concatenate(outputs, axis=2)


def sigmoid(a: NumpyArray) -> NumpyArray:
    """1 / (1 + exp(-a)), computed as (1 + tanh(a / 2)) / 2, in which nothing overflows."""
    half: NumpyArray = np.tanh(a * a.dtype.type(0.5))
    half += 1
    half *= a.dtype.type(0.5)
    return half
