"""The loop over time in PyTorch, one operator call after another, gradients by autograd."""

from __future__ import annotations

import torch
from torch.nn import functional

from rnnimpl.interface import LayerWeights
from rnnimpl.torch_base import TorchRnn, TorchState
from rnnimpl.torch_layers import keep_in_padding, run_layers, steps_of, valid_steps

Weights = LayerWeights[torch.Tensor]


class TorchLoop(TorchRnn):
    """A step is two linear maps and the cell's formula, operator by operator."""

    devices = ("cpu", "cuda")
    cells = ("tanh", "relu", "lstm", "gru")
    requires = ("torch>=2.11",)

    def run(self, x: torch.Tensor, state: TorchState) -> tuple[torch.Tensor, TorchState]:
        return run_layers(self.config, self.weights, layer, x, state)

    def run_lengths(
        self, x: torch.Tensor, state: TorchState, lengths: tuple[int, ...]
    ) -> tuple[torch.Tensor, TorchState]:
        return run_layers(self.config, self.weights, layer, x, state, valid_steps(x, lengths))


def layer(
    x: torch.Tensor, state: TorchState, weights: Weights, cell: str, valid: torch.Tensor | None
) -> tuple[torch.Tensor, TorchState]:
    """One layer in one direction, a `LayerFunction`: x (T, B, I), state (B, H) -> y (T, B, H) and the last state."""
    step = STEPS[cell]
    outputs = []
    for x_t, valid_t in zip(x.unbind(0), steps_of(valid, len(x)), strict=True):  # (B, I), (B, 1)
        of_input = functional.linear(x_t, weights.w_ih, weights.b_ih)  # (B, G*H)
        of_state = functional.linear(state[0], weights.w_hh, weights.b_hh)
        state = keep_in_padding(valid_t, step(of_input, of_state, state), state)
        outputs.append(state[0])
    return torch.stack(outputs), state


def step_tanh(of_input: torch.Tensor, of_state: torch.Tensor, _: TorchState) -> TorchState:
    """h[t] = tanh(of_input + of_state), both (B, H)."""
    return (torch.tanh(of_input + of_state),)


def step_relu(of_input: torch.Tensor, of_state: torch.Tensor, _: TorchState) -> TorchState:
    """h[t] = max(of_input + of_state, 0), both (B, H)."""
    return (torch.relu(of_input + of_state),)


def step_lstm(of_input: torch.Tensor, of_state: torch.Tensor, state: TorchState) -> TorchState:
    """Sums (B, 4*H) in the order i, f, g, o: c[t] = f * c[t-1] + i * g, h[t] = o * tanh(c[t])."""
    _, c = state
    i, f, g, o = (of_input + of_state).chunk(4, dim=1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def step_gru(of_input: torch.Tensor, of_state: torch.Tensor, state: TorchState) -> TorchState:
    """Sums (B, 3*H) in the order r, z, n: h[t] = (1 - z) * n + z * h[t-1], with the reset gate after the product."""
    (h,) = state
    input_r, input_z, input_n = of_input.chunk(3, dim=1)
    state_r, state_z, state_n = of_state.chunk(3, dim=1)
    r, z = torch.sigmoid(input_r + state_r), torch.sigmoid(input_z + state_z)
    n = torch.tanh(input_n + r * state_n)
    return ((1 - z) * n + z * h,)


STEPS = {"tanh": step_tanh, "relu": step_relu, "lstm": step_lstm, "gru": step_gru}
