"""The loop over time in PyTorch, compiled by TorchScript (`torch.jit.script`), which is deprecated."""

from __future__ import annotations

import warnings

import torch
from torch.nn import functional

from rnnimpl.interface import CellWeights, NotCopied, RnnConfig, Unavailable, Weights
from rnnimpl.torch_base import TorchRnn, run_layers


class TorchScriptLoop(NotCopied, TorchRnn):
    """The statements of `torch_loop`, run by TorchScript's interpreter in place of Python's."""

    devices = ("cpu", "cuda")
    requires = ("torch>=2.11", "python<3.14")

    def __init__(self, config: RnnConfig, weights: Weights, device: str = "cpu") -> None:
        super().__init__(config, weights, device)
        script = getattr(torch.jit, "script", None)
        if script is None:
            raise Unavailable(f"torch {torch.__version__} has no torch.jit.script any more")
        with warnings.catch_warnings():
            # Exactly TorchScript's own: that it is deprecated is said above, every other warning stays one.
            warnings.filterwarnings("ignore", r"`torch\.jit\.script` is deprecated", DeprecationWarning)
            try:
                self.scripted = script(scan)
            except RuntimeError as error:
                raise Unavailable(f"torch {torch.__version__} cannot script the loop: {error}") from error

    def run(self, x: torch.Tensor, h0: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return run_layers(self.config, self.weights, self.layer, x, h0)

    def layer(
        self, x: torch.Tensor, h0: torch.Tensor, weights: CellWeights[torch.Tensor], nonlinearity: str
    ) -> torch.Tensor:
        """x (T, B, I), h0 (B, H) -> the state after each step (T, B, H)."""
        states: torch.Tensor = self.scripted(x, h0, *weights, nonlinearity == "tanh")
        return states


def scan(
    x: torch.Tensor,
    h0: torch.Tensor,
    w_ih: torch.Tensor,
    w_hh: torch.Tensor,
    b_ih: torch.Tensor | None,
    b_hh: torch.Tensor | None,
    tanh: bool,
) -> torch.Tensor:
    """The loop itself, in the part of Python that TorchScript compiles."""
    states: list[torch.Tensor] = []
    h = h0  # (B, H)
    for x_t in x.unbind(0):  # (B, I)
        a = functional.linear(x_t, w_ih, b_ih) + functional.linear(h, w_hh, b_hh)
        h = torch.tanh(a) if tanh else torch.relu(a)
        states.append(h)
    return torch.stack(states)
