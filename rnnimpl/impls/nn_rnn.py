"""`torch.nn.RNN`, `nn.LSTM` and `nn.GRU`: cuDNN on a GPU, oneDNN or ATen's loop on a CPU."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from rnnimpl import onednn
from rnnimpl.interface import RnnConfig, Unavailable, Weights
from rnnimpl.torch_base import TorchRnn, TorchState

MODULES: Mapping[str, tuple[Callable[..., torch.nn.RNNBase], Mapping[str, Any]]] = {
    "tanh": (torch.nn.RNN, {"nonlinearity": "tanh"}),
    "relu": (torch.nn.RNN, {"nonlinearity": "relu"}),
    "lstm": (torch.nn.LSTM, {}),
    "gru": (torch.nn.GRU, {}),
}


class NnRnn(TorchRnn):
    """The module unchanged. On CUDA it is Unavailable where cuDNN does not take the config; ATen never replaces it."""

    devices = ("cpu", "cuda")
    cells = ("tanh", "relu", "lstm", "gru")
    requires = ("torch>=2.11",)

    def __init__(self, config: RnnConfig, weights: Weights, device: str = "cpu") -> None:
        super().__init__(config, weights, device)
        module, options = MODULES[config.cell]
        self.module = module(
            config.input_size,
            config.hidden_size,
            config.num_layers,
            **options,
            bias=config.bias,
            bidirectional=config.bidirectional,
            device=device,
            dtype=self.dtype,
        )
        self.module.load_state_dict(self.weights)
        self.weights = dict(self.module.named_parameters())
        if device != "cpu":
            self.require_cudnn()
        self.called: tuple[int, bool] = (1, False)
        """The last call's batch size, and whether it recorded gradients; `describe` names the kernel of such a call."""

    def run(self, x: torch.Tensor, state: TorchState) -> tuple[torch.Tensor, TorchState]:
        self.called = x.shape[1], torch.is_grad_enabled()
        y, state_n = self._call(x, state)
        return y, state_n

    def run_lengths(
        self, x: torch.Tensor, state: TorchState, lengths: tuple[int, ...]
    ) -> tuple[torch.Tensor, TorchState]:
        """As `run`: the sequences are packed, and the result is padded again, as PyTorch's documentation does it."""
        self.called = x.shape[1], torch.is_grad_enabled()
        packed = pack_padded_sequence(x, torch.tensor(lengths), enforce_sorted=False)
        y, state_n = self._call(packed, state)
        padded, _ = pad_packed_sequence(y, total_length=x.shape[0])
        return padded, state_n

    def _call(self, x: torch.Tensor | PackedSequence, state: TorchState) -> tuple[Any, TorchState]:
        if self.module.training != torch.is_grad_enabled():
            # In training mode cuDNN keeps what a backward pass needs; inference runs in eval mode.
            self.module.train(torch.is_grad_enabled())
        if len(state) > 1:
            y, state_n = self.module(x, state)
            return y, state_n
        y, h_n = self.module(x, state[0])
        return y, (h_n,)

    def describe(self) -> dict[str, str]:
        described = super().describe()
        if self.device != "cpu":
            described["path"] = f"cuDNN {torch.backends.cudnn.version()}"  # type: ignore[no-untyped-call]  # torch leaves it untyped
            described["precision"] = str(torch.backends.cudnn.rnn.fp32_precision)  # type: ignore[attr-defined]  # set at run time
        else:
            described["path"] = self._path()
        return described

    def _path(self) -> str:
        """The kernel that oneDNN reports for a short call like the last one; ATen where it reports no RNN primitive."""
        batch, trains = self.called
        x = torch.zeros(2, batch, self.config.input_size, dtype=self.dtype)

        def call() -> None:
            if trains:
                y, state_n, pullback = self.vjp(x)
                pullback(y, state_n)
            else:
                self.forward(x)

        executed = onednn.executed_by_torch(call)
        self.called = batch, trains
        if executed is not None and not any(each.kind == "rnn" for each in executed):
            return "ATen"
        return onednn.rnn_kernels(executed)

    def require_cudnn(self) -> None:
        """Raise Unavailable unless autograd records cuDNN's operator for one step, which shows the path that runs."""
        if not torch.backends.cudnn.is_available():  # type: ignore[no-untyped-call]  # torch leaves it untyped
            raise Unavailable(f"torch {torch.__version__} is built without cuDNN")
        if not torch.backends.cudnn.enabled:
            raise Unavailable("cuDNN is switched off: torch.backends.cudnn.enabled is False")
        x = torch.zeros(1, 1, self.config.input_size, dtype=self.dtype, device=self.device)
        y = self.module(x)[0]
        operator = y.grad_fn.name()
        if "cudnn" not in operator.lower():
            raise Unavailable(f"cuDNN does not take {self.config}: torch ran {operator} in its place")
