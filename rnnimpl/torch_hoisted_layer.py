"""One layer in one direction in PyTorch with its input projection hoisted, for each cell.

`torch_hoisted` runs it unchanged, `torch_compile` compiles it, `torch_cudagraph` captures it.
`rnnimpl.impls.numpy_loop` derives the formulas.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from rnnimpl.interface import LayerWeights
from rnnimpl.torch_layers import TorchState, keep_in_padding, steps_of


def hoisted_layer(
    x: torch.Tensor,
    state: TorchState,
    weights: LayerWeights[torch.Tensor],
    cell: str,
    valid: torch.Tensor | None = None,
) -> tuple[torch.Tensor, TorchState]:
    """A `LayerFunction` with one product for the input projection of all steps; a step adds one product and gates."""
    if cell == "lstm":
        return _lstm(x, state, weights, valid)
    if cell == "gru":
        return _gru(x, state, weights, valid)
    return _elman(x, state, weights, cell, valid)


def _elman(
    x: torch.Tensor, state: TorchState, weights: LayerWeights[torch.Tensor], cell: str, valid: torch.Tensor | None
) -> tuple[torch.Tensor, TorchState]:
    squash = torch.tanh if cell == "tanh" else torch.relu
    w_hh_transposed = weights.w_hh.t()
    states = []
    (h,) = state  # (B, H)
    projections = functional.linear(x, weights.w_ih, _merged_bias(weights)).unbind(0)  # (B, H) each
    for projection_t, valid_t in zip(projections, steps_of(valid, len(x)), strict=True):
        (h,) = keep_in_padding(valid_t, (squash(torch.addmm(projection_t, h, w_hh_transposed)),), (h,))
        states.append(h)
    return torch.stack(states), (h,)


def _lstm(
    x: torch.Tensor, state: TorchState, weights: LayerWeights[torch.Tensor], valid: torch.Tensor | None
) -> tuple[torch.Tensor, TorchState]:
    w_hh_transposed = weights.w_hh.t()
    outputs = []
    h, c = state  # (B, H) each
    projections = functional.linear(x, weights.w_ih, _merged_bias(weights)).unbind(0)  # (B, 4*H) each
    for projection_t, valid_t in zip(projections, steps_of(valid, len(x)), strict=True):
        i, f, g, o = torch.addmm(projection_t, h, w_hh_transposed).chunk(4, dim=1)
        new_c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h, c = keep_in_padding(valid_t, (torch.sigmoid(o) * torch.tanh(new_c), new_c), (h, c))
        outputs.append(h)
    return torch.stack(outputs), (h, c)


def _gru(
    x: torch.Tensor, state: TorchState, weights: LayerWeights[torch.Tensor], valid: torch.Tensor | None
) -> tuple[torch.Tensor, TorchState]:
    outputs = []
    (h,) = state  # (B, H)
    H = h.shape[1]
    projections = functional.linear(x, weights.w_ih, weights.b_ih).unbind(0)  # (B, 3*H) each
    for projection_t, valid_t in zip(projections, steps_of(valid, len(x)), strict=True):
        recurrent = functional.linear(h, weights.w_hh, weights.b_hh)  # (B, 3*H)
        r, z = torch.sigmoid(projection_t[:, : 2 * H] + recurrent[:, : 2 * H]).chunk(2, dim=1)
        n = torch.tanh(torch.addcmul(projection_t[:, 2 * H :], r, recurrent[:, 2 * H :]))
        (h,) = keep_in_padding(valid_t, (torch.lerp(n, h, z),), (h,))  # (1 - z) * n + z * h
        outputs.append(h)
    return torch.stack(outputs), (h,)


def _merged_bias(weights: LayerWeights[torch.Tensor]) -> torch.Tensor | None:
    """b_ih + b_hh, for a cell in which both enter the same sum; None without biases."""
    return None if weights.b_ih is None or weights.b_hh is None else weights.b_ih + weights.b_hh
