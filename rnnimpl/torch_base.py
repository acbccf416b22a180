"""What every PyTorch implementation shares: tensors, devices, precision, gradients by autograd, stacking layers.

A PyTorch implementation says in `run` how x and h0 become y and h_n; where it is written as one layer in one
direction, `run_layers` stacks it.
"""

from __future__ import annotations

import abc
import re
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch.nn import functional

from rnnimpl.dtypes import Precision
from rnnimpl.interface import CellWeights, Grads, NumpyArray, Rnn, RnnConfig, Unavailable, Weights, select_cell

Layer = Callable[[torch.Tensor, torch.Tensor, CellWeights[torch.Tensor], str], torch.Tensor]
"""One layer in one direction: x (T, B, I), h0 (B, H), weights, nonlinearity -> the state after each step (T, B, H)."""


class TorchRnn(Rnn[torch.Tensor]):
    """A network whose forward is PyTorch code and whose gradients are autograd's."""

    def __init__(self, config: RnnConfig, weights: Weights, device: str = "cpu") -> None:
        super().__init__(config, weights, device)
        check_device(device)
        self.dtype: torch.dtype = getattr(torch, config.dtype)
        self.weights: Mapping[str, torch.Tensor] = {
            name: torch.tensor(array, dtype=self.dtype, device=device, requires_grad=True)
            for name, array in weights.arrays.items()
        }

    @classmethod
    def configure_process(cls, *, threads: int, precision: Precision) -> None:
        torch.set_num_threads(threads)
        # cuDNN's RNN takes TF32 unless told otherwise, matmul does not: both are pinned to the same.
        torch.backends.cuda.matmul.fp32_precision = precision
        torch.backends.cudnn.rnn.fp32_precision = precision  # type: ignore[attr-defined]  # set at run time by torch

    @abc.abstractmethod
    def run(self, x: torch.Tensor, h0: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """x (T, B, I), h0 (L*D, B, H) -> y (T, B, D*H), h_n (L*D, B, H), differentiable in all that takes part."""

    def from_numpy(self, array: NumpyArray) -> torch.Tensor:
        self.check_dtype(array)
        # PyTorch takes no negative strides, which a reversed view has.
        return torch.tensor(np.ascontiguousarray(array), dtype=self.dtype, device=self.device)

    def to_numpy(self, array: torch.Tensor) -> NumpyArray:
        on_host = array.detach().cpu()
        result: NumpyArray = (on_host.float() if on_host.dtype == torch.bfloat16 else on_host).numpy().copy()
        return result

    def forward(self, x: torch.Tensor, h0: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        # As PyTorch advises for inference: recording no gradients alone, small operators take a sixth longer.
        with torch.inference_mode():
            return self.run(*self._inputs(x, h0))

    def vjp(
        self, x: torch.Tensor, h0: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor, Callable[[torch.Tensor, torch.Tensor], Grads[torch.Tensor]]]:
        x, h0 = (_leaf(array) for array in self._inputs(x, h0))
        with torch.enable_grad():
            y, h_n = self.run(x, h0)
        leaves = (x, h0, *self.weights.values())

        def pullback(dy: torch.Tensor, dh_n: torch.Tensor) -> Grads[torch.Tensor]:
            # Autograd would convert a cotangent of another dtype.
            self.check_dtypes(self.dtype, dy=dy, dh_n=dh_n)
            self.check_cotangents(dy, dh_n, y, h_n)
            dx, dh0, *dweights = torch.autograd.grad((y, h_n), leaves, (dy, dh_n))
            return Grads(dx, dh0, dict(zip(self.weights, dweights, strict=True)))

        return y.detach(), h_n.detach(), pullback

    def synchronize(self) -> None:
        if self.device != "cpu":
            torch.cuda.synchronize(self.device)

    def describe(self) -> dict[str, str]:
        described = {"library": f"torch {torch.__version__}"}
        if self.device == "cpu":
            return described | {"path": "ATen", "blas": blas(), "threads": str(torch.get_num_threads())}
        return described | {
            "path": f"CUDA {torch.version.cuda}",
            "precision": str(torch.backends.cuda.matmul.fp32_precision),
            "device": torch.cuda.get_device_name(self.device),
        }

    def _inputs(self, x: torch.Tensor, h0: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        """Check x and h0, and put zeros where h0 is not given."""
        self.check_dtypes(self.dtype, x=x, h0=h0)
        self.check_shapes(x, h0)
        if h0 is None:
            config = self.config
            h0 = x.new_zeros(config.num_layers * config.num_directions, x.shape[1], config.hidden_size)
        return x, h0


def _leaf(array: torch.Tensor) -> torch.Tensor:
    """The same values as the beginning of a graph; a copy of what `forward` gave, which can be in none."""
    return (array.clone() if array.is_inference() else array.detach()).requires_grad_()


def run_layers(
    config: RnnConfig, weights: Mapping[str, torch.Tensor], layer: Layer, x: torch.Tensor, h0: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Stack a single-layer function: layers one above the other, the reverse direction on reversed time."""
    D = config.num_directions
    last_states = []
    for number in range(config.num_layers):
        outputs = []
        for direction in range(D):
            cell = select_cell(config, weights, number, direction)
            ordered = x.flip(0) if direction else x  # (T, B, I)
            y = layer(ordered, h0[number * D + direction], cell, config.nonlinearity)  # (T, B, H)
            last_states.append(y[-1])
            outputs.append(y.flip(0) if direction else y)
        x = torch.cat(outputs, dim=2) if D == 2 else outputs[0]  # (T, B, D*H)
    return x, torch.stack(last_states)  # (L*D, B, H)


def hoisted_layer(
    x: torch.Tensor, h0: torch.Tensor, weights: CellWeights[torch.Tensor], nonlinearity: str
) -> torch.Tensor:
    """A `Layer` whose input projection of all steps is one product; each step is a fused multiply-add and a squash."""
    squash = torch.tanh if nonlinearity == "tanh" else torch.relu
    bias = None if weights.b_ih is None or weights.b_hh is None else weights.b_ih + weights.b_hh
    projection = functional.linear(x, weights.w_ih, bias)  # (T, B, H)
    w_hh_transposed = weights.w_hh.t()
    states = []
    h = h0  # (B, H)
    for projection_t in projection.unbind(0):  # (B, H)
        h = squash(torch.addmm(projection_t, h, w_hh_transposed))
        states.append(h)
    return torch.stack(states)


def check_device(device: str) -> None:
    """Raise Unavailable, with what is missing, unless PyTorch can compute on `device`."""
    if device == "cpu":
        return
    if torch.version.cuda is None:
        raise Unavailable(f"device {device}: torch {torch.__version__} is built without CUDA; install a CUDA build")
    if not torch.cuda.is_available():
        raise Unavailable(f"device {device}: torch {torch.__version__} finds no CUDA device; see nvidia-smi")
    if torch.device(device).index is not None and torch.device(device).index >= torch.cuda.device_count():
        raise Unavailable(f"device {device}: there are {torch.cuda.device_count()} CUDA devices, counted from 0")


def blas() -> str:
    """The library that does PyTorch's CPU matrix products, as its build says."""
    found = re.search(r"BLAS_INFO=(\w+)", torch.__config__.show())
    return found.group(1) if found else "not known"
