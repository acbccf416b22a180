"""The PyTorch loop with the input projection of all steps taken out of it, in one large product."""

from __future__ import annotations

import torch
from torch.nn import functional

from rnnimpl.interface import CellWeights
from rnnimpl.torch_base import TorchRnn, run_layers


class TorchHoisted(TorchRnn):
    """Each step is one fused multiply-add of matrices and a nonlinearity: what must wait for the step before."""

    devices = ("cpu", "cuda")
    requires = ("torch>=2.11",)

    def run(self, x: torch.Tensor, h0: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return run_layers(self.config, self.weights, layer, x, h0)


def layer(x: torch.Tensor, h0: torch.Tensor, weights: CellWeights[torch.Tensor], nonlinearity: str) -> torch.Tensor:
    """x (T, B, I), h0 (B, H) -> the state after each step (T, B, H)."""
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
