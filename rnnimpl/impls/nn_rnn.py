"""`torch.nn.RNN`, the common choice: cuDNN on a GPU, ATen's own loop on a CPU."""

from __future__ import annotations

import torch

from rnnimpl.interface import RnnConfig, Unavailable, Weights
from rnnimpl.torch_base import TorchRnn


class NnRnn(TorchRnn):
    """The module as it comes. On CUDA it is cuDNN or it is unavailable, never ATen's kernels in silence."""

    devices = ("cpu", "cuda")
    requires = ("torch>=2.11",)

    def __init__(self, config: RnnConfig, weights: Weights, device: str = "cpu") -> None:
        super().__init__(config, weights, device)
        self.module = torch.nn.RNN(
            config.input_size,
            config.hidden_size,
            config.num_layers,
            nonlinearity=config.nonlinearity,
            bias=config.bias,
            bidirectional=config.bidirectional,
            device=device,
            dtype=self.dtype,
        )
        self.module.load_state_dict(self.weights)
        self.weights = dict(self.module.named_parameters())
        if device != "cpu":
            self._require_cudnn()

    def run(self, x: torch.Tensor, h0: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if self.module.training != torch.is_grad_enabled():
            # As whoever infers with a module would: in training mode cuDNN keeps what a backward pass needs.
            self.module.train(torch.is_grad_enabled())
        y, h_n = self.module(x, h0)
        return y, h_n

    def describe(self) -> dict[str, str]:
        described = super().describe()
        if self.device != "cpu":
            described["path"] = f"cuDNN {torch.backends.cudnn.version()}"  # type: ignore[no-untyped-call]  # torch leaves it untyped
            described["precision"] = str(torch.backends.cudnn.rnn.fp32_precision)  # type: ignore[attr-defined]  # set at run time
        return described

    def _require_cudnn(self) -> None:
        """Run one step and look at which operator autograd recorded: the path taken, not the one expected."""
        if not torch.backends.cudnn.is_available():  # type: ignore[no-untyped-call]  # torch leaves it untyped
            raise Unavailable(f"torch {torch.__version__} is built without cuDNN")
        if not torch.backends.cudnn.enabled:
            raise Unavailable("cuDNN is switched off: torch.backends.cudnn.enabled is False")
        x = torch.zeros(1, 1, self.config.input_size, dtype=self.dtype, device=self.device)
        y, _ = self.module(x)
        operator = y.grad_fn.name()
        if "cudnn" not in operator.lower():
            raise Unavailable(f"cuDNN does not take {self.config}: nn.RNN ran {operator} in its place")
