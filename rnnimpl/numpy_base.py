"""What every NumPy implementation shares: stacking layers, running the reverse direction, collecting gradients.

A NumPy implementation is written as one layer in one direction, forward and backward.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

from rnnimpl.dtypes import Precision
from rnnimpl.interface import (
    CellWeights,
    Grads,
    NumpyArray,
    Rnn,
    RnnConfig,
    Unsupported,
    Weights,
    cell_weight_names,
)


class LayerGrads(NamedTuple):
    """Gradients of one layer: x (T, B, I), h0 (B, H), w_ih (H, I), w_hh (H, H), b (H,) of either bias."""

    x: NumpyArray
    h0: NumpyArray
    w_ih: NumpyArray
    w_hh: NumpyArray
    b: NumpyArray


class NumpyRnn(Rnn[NumpyArray]):
    """A network of NumPy layers; a subclass says how one layer in one direction runs."""

    def __init__(self, config: RnnConfig, weights: Weights, device: str = "cpu") -> None:
        super().__init__(config, weights, device)
        if config.dtype == "bfloat16":
            raise Unsupported("NumPy has no bfloat16")
        self._dtype = config.carrier
        self.cells = {cell: weights.cell(*cell) for cell in config.cells()}

    @classmethod
    def configure_process(cls, *, threads: int, precision: Precision) -> None:
        super().configure_process(threads=threads, precision=precision)
        threadpool_limits(limits=threads, user_api="blas")

    @abc.abstractmethod
    def layer_forward(self, x: NumpyArray, h0: NumpyArray, weights: CellWeights[NumpyArray]) -> NumpyArray:
        """x (T, B, I), h0 (B, H) -> the state after each step (T, B, H)."""

    @abc.abstractmethod
    def layer_backward(
        self, dy: NumpyArray, x: NumpyArray, h0: NumpyArray, y: NumpyArray, weights: CellWeights[NumpyArray]
    ) -> LayerGrads:
        """Gradients from dy (T, B, H), given what the layer took (x, h0) and gave (y)."""

    def from_numpy(self, array: NumpyArray) -> NumpyArray:
        self.check_dtype(array)
        return array.copy()

    def to_numpy(self, array: NumpyArray) -> NumpyArray:
        return array.copy()

    def forward(self, x: NumpyArray, h0: NumpyArray | None = None) -> tuple[NumpyArray, NumpyArray]:
        y, h_n, _ = self._run(x, h0)
        return y, h_n

    def vjp(
        self, x: NumpyArray, h0: NumpyArray | None = None
    ) -> tuple[NumpyArray, NumpyArray, Callable[[NumpyArray, NumpyArray], Grads[NumpyArray]]]:
        y, h_n, layers = self._run(x, h0)

        def pullback(dy: NumpyArray, dh_n: NumpyArray) -> Grads[NumpyArray]:
            self.check_dtypes(self._dtype, dy=dy, dh_n=dh_n)
            self.check_cotangents(dy, dh_n, y, h_n)
            return self._backward(dy, dh_n, layers)

        return y, h_n, pullback

    def describe(self) -> dict[str, str]:
        loaded = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
        # NumPy's wheels bring a BLAS of their own, and so do SciPy's, which something else may have loaded.
        own = [pool for pool in loaded if any(part.startswith("numpy") for part in Path(pool["filepath"]).parts)]
        pools = own or loaded
        return {
            "library": f"numpy {np.__version__}",
            "blas": ", ".join(f"{pool['internal_api']} {pool['version']}" for pool in pools) or "not known",
            "threads": ", ".join(str(pool["num_threads"]) for pool in pools) or "not known",
        }

    def _run(
        self, x: NumpyArray, h0: NumpyArray | None
    ) -> tuple[NumpyArray, NumpyArray, dict[tuple[int, int], _LayerRun]]:
        """Run all layers; also return what each took and gave, which the backward pass needs."""
        self.check_dtypes(self._dtype, x=x, h0=h0)
        self.check_shapes(x, h0)
        config = self.config
        D = config.num_directions
        if h0 is None:
            h0 = np.zeros((config.num_layers * D, x.shape[1], config.hidden_size), dtype=x.dtype)
        runs: dict[tuple[int, int], _LayerRun] = {}
        layer_input = x
        for layer in range(config.num_layers):
            outputs = []
            for direction in range(D):
                # The reverse direction is the same layer on reversed time.
                ordered = layer_input[::-1] if direction else layer_input  # (T, B, I)
                start = h0[layer * D + direction]  # (B, H)
                y = self.layer_forward(ordered, start, self.cells[layer, direction])  # (T, B, H)
                runs[layer, direction] = _LayerRun(ordered, start, y)
                outputs.append(y[::-1] if direction else y)
            layer_input = np.concatenate(outputs, axis=2) if D == 2 else outputs[0]  # (T, B, D*H)
        h_n = np.stack([run.y[-1] for run in runs.values()])  # (L*D, B, H)
        return layer_input, h_n, runs

    def _backward(self, dy: NumpyArray, dh_n: NumpyArray, runs: dict[tuple[int, int], _LayerRun]) -> Grads[NumpyArray]:
        """Walk the layers backwards; `dy` becomes the gradient of each layer's input in turn."""
        config = self.config
        D, H = config.num_directions, config.hidden_size
        dh0 = np.empty_like(dh_n)
        grads: dict[str, NumpyArray] = {}
        for layer in reversed(range(config.num_layers)):
            dx: NumpyArray | None = None
            for direction in range(D):
                run = runs[layer, direction]
                part = dy[:, :, direction * H : (direction + 1) * H]
                part = (part[::-1] if direction else part).copy()  # (T, B, H)
                # The last state is the last output, so its gradient joins there.
                part[-1] += dh_n[layer * D + direction]
                layer_grads = self.layer_backward(part, run.x, run.h0, run.y, self.cells[layer, direction])
                names = cell_weight_names(layer, direction)
                grads[names.w_ih] = layer_grads.w_ih
                grads[names.w_hh] = layer_grads.w_hh
                if config.bias:
                    # Both biases enter the same sum, so both have the same gradient.
                    grads[names.b_ih] = layer_grads.b
                    grads[names.b_hh] = layer_grads.b.copy()
                dh0[layer * D + direction] = layer_grads.h0
                layer_dx = layer_grads.x[::-1] if direction else layer_grads.x
                dx = layer_dx if dx is None else dx + layer_dx
            assert dx is not None
            dy = dx
        return Grads(dy, dh0, {name: grads[name] for name in config.weight_shapes()})


class _LayerRun(NamedTuple):
    """What one layer in one direction took and gave, in the order in which it ran through time."""

    x: NumpyArray
    h0: NumpyArray
    y: NumpyArray
