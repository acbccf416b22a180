"""The PyTorch loop with the input projection of all steps in one product before it."""

from __future__ import annotations

import torch

from rnnimpl.torch_base import TorchRnn, TorchState
from rnnimpl.torch_hoisted_layer import hoisted_layer
from rnnimpl.torch_layers import run_layers, valid_steps


class TorchHoisted(TorchRnn):
    """A step is one fused multiply-add of matrices and the gates: all that depends on the step before."""

    devices = ("cpu", "cuda")
    cells = ("tanh", "relu", "lstm", "gru")
    requires = ("torch>=2.11",)

    def run(self, x: torch.Tensor, state: TorchState) -> tuple[torch.Tensor, TorchState]:
        return run_layers(self.config, self.weights, hoisted_layer, x, state)

    def run_lengths(
        self, x: torch.Tensor, state: TorchState, lengths: tuple[int, ...]
    ) -> tuple[torch.Tensor, TorchState]:
        return run_layers(self.config, self.weights, hoisted_layer, x, state, valid_steps(x, lengths))
