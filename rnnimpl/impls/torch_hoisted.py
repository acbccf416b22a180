"""The PyTorch loop with the input projection of all steps taken out of it, in one large product."""

from __future__ import annotations

import torch

from rnnimpl.torch_base import TorchRnn, hoisted_layer, run_layers


class TorchHoisted(TorchRnn):
    """Each step is one fused multiply-add of matrices and a nonlinearity: what must wait for the step before."""

    devices = ("cpu", "cuda")
    requires = ("torch>=2.11",)

    def run(self, x: torch.Tensor, h0: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return run_layers(self.config, self.weights, hoisted_layer, x, h0)
