"""The loop over time in PyTorch, one operator call after another, gradients by autograd."""

from __future__ import annotations

import torch
from torch.nn import functional

from rnnimpl.interface import CellWeights
from rnnimpl.torch_base import TorchRnn, run_layers


class TorchLoop(TorchRnn):
    """Every step is two linear maps, a sum and a nonlinearity, as the formula is written."""

    devices = ("cpu", "cuda")
    requires = ("torch>=2.11",)

    def run(self, x: torch.Tensor, h0: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return run_layers(self.config, self.weights, layer, x, h0)


def layer(x: torch.Tensor, h0: torch.Tensor, weights: CellWeights[torch.Tensor], nonlinearity: str) -> torch.Tensor:
    """x (T, B, I), h0 (B, H) -> the state after each step (T, B, H)."""
    squash = torch.tanh if nonlinearity == "tanh" else torch.relu
    states = []
    h = h0  # (B, H)
    for x_t in x.unbind(0):  # (B, I)
        a = functional.linear(x_t, weights.w_ih, weights.b_ih) + functional.linear(h, weights.w_hh, weights.b_hh)
        h = squash(a)
        states.append(h)
    return torch.stack(states)
