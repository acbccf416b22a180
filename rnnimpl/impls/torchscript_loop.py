"""The loop over time in PyTorch, compiled by TorchScript (`torch.jit.script`), which is deprecated."""

from __future__ import annotations

import warnings

import torch
from torch.nn import functional

from rnnimpl.interface import LayerWeights, NotCopied, RnnConfig, Unavailable, Weights
from rnnimpl.torch_base import TorchRnn, TorchState
from rnnimpl.torch_layers import run_layers


class TorchScriptLoop(NotCopied, TorchRnn):
    """The statements of `torch_loop`, run by TorchScript's interpreter in place of Python's."""

    devices = ("cpu", "cuda")
    cells = ("tanh", "relu", "lstm", "gru")
    requires = ("torch>=2.11", "python<3.14")

    def __init__(self, config: RnnConfig, weights: Weights, device: str = "cpu") -> None:
        super().__init__(config, weights, device)
        script = getattr(torch.jit, "script", None)
        if script is None:
            raise Unavailable(f"torch {torch.__version__} has no torch.jit.script any more")
        with warnings.catch_warnings():
            # This one warning is expected, as the docstring says; every other stays a warning.
            warnings.filterwarnings("ignore", r"`torch\.jit\.script` is deprecated", DeprecationWarning)
            try:
                self.scripted = script(SCANS[config.cell])
            except RuntimeError as error:
                raise Unavailable(f"torch {torch.__version__} cannot script the loop: {error}") from error

    def run(self, x: torch.Tensor, state: TorchState) -> tuple[torch.Tensor, TorchState]:
        return run_layers(self.config, self.weights, self.layer, x, state)

    def layer(
        self, x: torch.Tensor, state: TorchState, weights: LayerWeights[torch.Tensor], *_: object
    ) -> tuple[torch.Tensor, TorchState]:
        """A `LayerFunction`: x (T, B, I), a state of arrays (B, H) -> y (T, B, H) and the last state, alike.

        The cell is that of the network, and no sequence has padding, so both further arguments are left aside.
        """
        y, last = self.scripted(x, list(state), *weights)
        return y, tuple(last)


# The loops below are written in the part of Python that TorchScript compiles. Of a cell with G gates, the weights w_ih
# are (G*H, I), w_hh (G*H, H), and the biases (G*H,), or None in a network without them.


def scan_tanh(
    x: torch.Tensor,
    state: list[torch.Tensor],
    w_ih: torch.Tensor,
    w_hh: torch.Tensor,
    b_ih: torch.Tensor | None,
    b_hh: torch.Tensor | None,
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """A tanh layer: x (T, B, I), the state [h] -> the outputs (T, B, H) and the last state."""
    outputs: list[torch.Tensor] = []
    h = state[0]  # (B, H)
    for x_t in x.unbind(0):  # (B, I)
        a = functional.linear(x_t, w_ih, b_ih) + functional.linear(h, w_hh, b_hh)
        h = torch.tanh(a)
        outputs.append(h)
    return torch.stack(outputs), [h]


def scan_relu(
    x: torch.Tensor,
    state: list[torch.Tensor],
    w_ih: torch.Tensor,
    w_hh: torch.Tensor,
    b_ih: torch.Tensor | None,
    b_hh: torch.Tensor | None,
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """A relu layer: x (T, B, I), the state [h] -> the outputs (T, B, H) and the last state."""
    outputs: list[torch.Tensor] = []
    h = state[0]  # (B, H)
    for x_t in x.unbind(0):  # (B, I)
        a = functional.linear(x_t, w_ih, b_ih) + functional.linear(h, w_hh, b_hh)
        h = torch.relu(a)
        outputs.append(h)
    return torch.stack(outputs), [h]


def scan_lstm(
    x: torch.Tensor,
    state: list[torch.Tensor],
    w_ih: torch.Tensor,
    w_hh: torch.Tensor,
    b_ih: torch.Tensor | None,
    b_hh: torch.Tensor | None,
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """An LSTM layer: x (T, B, I), the state [h, c] -> the outputs (T, B, H) and the last state."""
    outputs: list[torch.Tensor] = []
    h, c = state[0], state[1]  # (B, H) each
    for x_t in x.unbind(0):  # (B, I)
        a = functional.linear(x_t, w_ih, b_ih) + functional.linear(h, w_hh, b_hh)
        i, f, g, o = a.chunk(4, dim=1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        outputs.append(h)
    return torch.stack(outputs), [h, c]


def scan_gru(
    x: torch.Tensor,
    state: list[torch.Tensor],
    w_ih: torch.Tensor,
    w_hh: torch.Tensor,
    b_ih: torch.Tensor | None,
    b_hh: torch.Tensor | None,
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """A GRU layer: x (T, B, I), the state [h] -> the outputs (T, B, H) and the last state."""
    outputs: list[torch.Tensor] = []
    h = state[0]  # (B, H)
    for x_t in x.unbind(0):  # (B, I)
        input_r, input_z, input_n = functional.linear(x_t, w_ih, b_ih).chunk(3, dim=1)
        state_r, state_z, state_n = functional.linear(h, w_hh, b_hh).chunk(3, dim=1)
        r, z = torch.sigmoid(input_r + state_r), torch.sigmoid(input_z + state_z)
        n = torch.tanh(input_n + r * state_n)
        h = (1 - z) * n + z * h
        outputs.append(h)
    return torch.stack(outputs), [h]


SCANS = {"tanh": scan_tanh, "relu": scan_relu, "lstm": scan_lstm, "gru": scan_gru}
