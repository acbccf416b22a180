"""One layer in one direction in PyTorch with its input projection hoisted, for each cell, and the stack of layers.

`torch_hoisted` runs these as they are, `torch_compile` compiles them, `torch_cudagraph` captures them. The formulas are
derived in `rnnimpl.impls.numpy_loop`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch.nn import functional

from rnnimpl.interface import LayerWeights, RnnConfig, State, select_layer
from rnnimpl.layer_stack import run_stack

TorchState = State[torch.Tensor]
LayerFunction = Callable[[torch.Tensor, TorchState, LayerWeights[torch.Tensor], str], tuple[torch.Tensor, TorchState]]
"""One layer in one direction: x (T, B, I), state (B, H), weights, cell -> y (T, B, H) and the last state (B, H)."""


def run_layers(
    config: RnnConfig, weights: Mapping[str, torch.Tensor], layer: LayerFunction, x: torch.Tensor, state: TorchState
) -> tuple[torch.Tensor, TorchState]:
    """Run `layer` for each layer and direction: x (T, B, I), state (L*D, B, H) -> y (T, B, D*H), the final state."""

    def run_layer(number: int, direction: int, x: torch.Tensor, start: TorchState) -> tuple[torch.Tensor, TorchState]:
        # The reverse direction is the same layer on reversed time.
        ordered = x.flip(0) if direction else x
        y, last = layer(ordered, start, select_layer(config, weights, number, direction), config.cell)
        return y.flip(0) if direction else y, last

    return run_stack(config, run_layer, x, state, concatenate=_concatenate, stack=torch.stack)


def hoisted_layer(
    x: torch.Tensor, state: TorchState, weights: LayerWeights[torch.Tensor], cell: str
) -> tuple[torch.Tensor, TorchState]:
    """A `LayerFunction` with one product for the input projection of all steps; a step adds one product and gates."""
    if cell == "lstm":
        return _lstm(x, state, weights)
    if cell == "gru":
        return _gru(x, state, weights)
    return _elman(x, state, weights, cell)


def _elman(
    x: torch.Tensor, state: TorchState, weights: LayerWeights[torch.Tensor], cell: str
) -> tuple[torch.Tensor, TorchState]:
    squash = torch.tanh if cell == "tanh" else torch.relu
    w_hh_transposed = weights.w_hh.t()
    states = []
    (h,) = state  # (B, H)
    for projection_t in functional.linear(x, weights.w_ih, _merged_bias(weights)).unbind(0):  # (B, H)
        h = squash(torch.addmm(projection_t, h, w_hh_transposed))
        states.append(h)
    return torch.stack(states), (h,)


def _lstm(x: torch.Tensor, state: TorchState, weights: LayerWeights[torch.Tensor]) -> tuple[torch.Tensor, TorchState]:
    w_hh_transposed = weights.w_hh.t()
    outputs = []
    h, c = state  # (B, H) each
    for projection_t in functional.linear(x, weights.w_ih, _merged_bias(weights)).unbind(0):  # (B, 4*H)
        i, f, g, o = torch.addmm(projection_t, h, w_hh_transposed).chunk(4, dim=1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        outputs.append(h)
    return torch.stack(outputs), (h, c)


def _gru(x: torch.Tensor, state: TorchState, weights: LayerWeights[torch.Tensor]) -> tuple[torch.Tensor, TorchState]:
    outputs = []
    (h,) = state  # (B, H)
    H = h.shape[1]
    for projection_t in functional.linear(x, weights.w_ih, weights.b_ih).unbind(0):  # (B, 3*H)
        recurrent = functional.linear(h, weights.w_hh, weights.b_hh)  # (B, 3*H)
        r, z = torch.sigmoid(projection_t[:, : 2 * H] + recurrent[:, : 2 * H]).chunk(2, dim=1)
        n = torch.tanh(torch.addcmul(projection_t[:, 2 * H :], r, recurrent[:, 2 * H :]))
        h = torch.lerp(n, h, z)  # (1 - z) * n + z * h
        outputs.append(h)
    return torch.stack(outputs), (h,)


def _concatenate(outputs: list[torch.Tensor]) -> torch.Tensor:
    """The outputs (T, B, H) of both directions as one (T, B, 2*H)."""
    return torch.cat(outputs, dim=2)


def _merged_bias(weights: LayerWeights[torch.Tensor]) -> torch.Tensor | None:
    """b_ih + b_hh, for a cell in which both enter the same sum; None without biases."""
    return None if weights.b_ih is None or weights.b_hh is None else weights.b_ih + weights.b_hh
