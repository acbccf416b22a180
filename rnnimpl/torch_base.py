"""The base of PyTorch implementations: tensors, devices, precision, gradients by autograd.

An implementation computes y and the final state in `run`. Where it is written as one layer in one direction,
`torch_layers.run_layers` stacks it.
"""

from __future__ import annotations

import abc
import re
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from rnnimpl.dtypes import Precision
from rnnimpl.interface import Grads, Lengths, NumpyArray, Pullback, Rnn, RnnConfig, Unavailable, Weights
from rnnimpl.torch_layers import TorchState

__all__ = ["TorchRnn", "TorchState", "blas", "check_device"]


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
        # The default of cuDNN's RNN is TF32, that of matmul is not: both are set to the same.
        torch.backends.cuda.matmul.fp32_precision = precision
        torch.backends.cudnn.rnn.fp32_precision = precision  # type: ignore[attr-defined]  # set at run time by torch
        # oneDNN computes nn.LSTM on a CPU, and could use bfloat16 or TF32 for float32.
        torch.backends.mkldnn.rnn.fp32_precision = "ieee"  # type: ignore[attr-defined]  # the same
        torch.backends.mkldnn.matmul.fp32_precision = "ieee"  # type: ignore[attr-defined]  # the same

    @abc.abstractmethod
    def run(self, x: torch.Tensor, state: TorchState) -> tuple[torch.Tensor, TorchState]:
        """x (T, B, I), state (L*D, B, H) -> y (T, B, D*H) and the final state, differentiable in all of these."""

    def run_lengths(
        self, x: torch.Tensor, state: TorchState, lengths: tuple[int, ...]
    ) -> tuple[torch.Tensor, TorchState]:
        """As `run`, with sequences of unequal lengths, as `Rnn.forward` defines them; Unsupported unless overridden."""
        self.refuse_lengths(lengths, x)
        return self.run(x, state)

    def from_numpy(self, array: NumpyArray) -> torch.Tensor:
        self.check_dtype(array)
        # PyTorch takes no negative strides, which a reversed view has.
        return torch.tensor(np.ascontiguousarray(array), dtype=self.dtype, device=self.device)

    def to_numpy(self, array: torch.Tensor) -> NumpyArray:
        on_host = array.detach().cpu()
        result: NumpyArray = (on_host.float() if on_host.dtype == torch.bfloat16 else on_host).numpy().copy()
        return result

    def forward(
        self, x: torch.Tensor, state: TorchState | None = None, lengths: Lengths = None
    ) -> tuple[torch.Tensor, TorchState]:
        # PyTorch advises it for inference; no_grad alone makes small operators slower.
        with torch.inference_mode():
            x, start = self._inputs(x, state)
            return self._run(x, start, self.check_lengths(lengths, x))

    def vjp(
        self, x: torch.Tensor, state: TorchState | None = None, lengths: Lengths = None
    ) -> tuple[torch.Tensor, TorchState, Pullback[torch.Tensor]]:
        x, given = self._inputs(x, state)
        lengths = self.check_lengths(lengths, x)
        x, start = _leaf(x), tuple(map(_leaf, given))
        with torch.enable_grad():
            y, state_n = self._run(x, start, lengths)

        def pullback(dy: torch.Tensor, dstate_n: TorchState) -> Grads[torch.Tensor]:
            # Without this check autograd converts a cotangent of another dtype.
            self.check_cotangents(dy, dstate_n, y, self.dtype)
            return self.as_grads(
                torch.autograd.grad((y, *state_n), (x, *start, *self.weights.values()), (dy, *dstate_n))
            )

        return y.detach(), tuple(each.detach() for each in state_n), pullback

    def as_grads(self, arrays: Sequence[torch.Tensor]) -> Grads[torch.Tensor]:
        """Grads of a sequence: x, each array of the state, each weight in the order of `self.weights`."""
        states = len(self.config.state_names)
        dx, dstate, dweights = arrays[0], tuple(arrays[1 : 1 + states]), arrays[1 + states :]
        return Grads(dx, dstate, dict(zip(self.weights, dweights, strict=True)))

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

    def _run(self, x: torch.Tensor, state: TorchState, lengths: Lengths) -> tuple[torch.Tensor, TorchState]:
        return self.run(x, state) if lengths is None else self.run_lengths(x, state, lengths)

    def _inputs(self, x: torch.Tensor, state: TorchState | None) -> tuple[torch.Tensor, TorchState]:
        """x and the state, zeros where none is given, after checking them."""
        self.check_inputs(x, state, self.dtype)
        if state is None:
            # Made on the device: NumPy's zeros would be copied to it in each call.
            state = tuple(x.new_zeros(shape) for shape in self.config.state_shapes(x.shape[1]))
        return x, state


def _leaf(array: torch.Tensor) -> torch.Tensor:
    """The values as a leaf of autograd's graph, copied where they are an inference tensor, which cannot be one."""
    return (array.clone() if array.is_inference() else array.detach()).requires_grad_()


def check_device(device: str) -> None:
    """Raise Unavailable, naming what is missing, unless PyTorch can compute on `device`."""
    if device == "cpu":
        return
    if torch.version.cuda is None:
        raise Unavailable(f"device {device}: torch {torch.__version__} is built without CUDA; install a CUDA build")
    if not torch.cuda.is_available():
        raise Unavailable(f"device {device}: torch {torch.__version__} finds no CUDA device; see nvidia-smi")
    if torch.device(device).index is not None and torch.device(device).index >= torch.cuda.device_count():
        raise Unavailable(f"device {device}: there are {torch.cuda.device_count()} CUDA devices, counted from 0")


def blas() -> str:
    """The library of PyTorch's matrix products on a CPU, by its build settings."""
    found = re.search(r"BLAS_INFO=(\w+)", torch.__config__.show())
    return found.group(1) if found else "not known"
