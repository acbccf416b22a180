"""The recurrence of `fused_cuda` with a product and a pointwise kernel in each step, for weights beyond registers."""

from __future__ import annotations

import torch


def run_steps(
    given: torch.Tensor,
    weights: torch.Tensor,
    nonlinearity: str,
    *,
    initial: torch.Tensor | None,
    addend: torch.Tensor | None,
    states: torch.Tensor | None,
) -> torch.Tensor:
    """The recurrence of one layer, as `recurrence.cu` has it, by PyTorch -> (T, B, D*H).

    `given` (T, B, D*H) is the projection, `weights` (D, H, H) w_hh, `initial` (D, B, H) h before the first step. In a
    backward pass `given` is dy, `weights` are transposed, `addend` (D, B, H) is the gradient of the final state and
    `states` (T, B, D*H) are the outputs.
    """
    backward = states is not None
    output = torch.empty_like(given)
    slope = given if states is None else _slope(states, nonlinearity)
    for direction, weight in enumerate(weights.unbind(0)):
        steps = [
            array.tensor_split(len(weights), dim=2)[direction].unbind(0) for array in (given, slope, output)
        ]  # T times (B, H)
        transposed = weight.t()
        before = None if initial is None else initial[direction]  # (B, H)
        descending = (direction == 1) != backward
        for number, (term, slope_t, out) in enumerate(list(zip(*steps, strict=True))[:: -1 if descending else 1]):
            if number == 0 and addend is not None:
                term = term + addend[direction]
            if before is None:
                out.copy_(term)
            else:
                torch.addmm(term, before, transposed, out=out)
            if backward:
                out.mul_(slope_t)
            elif nonlinearity == "tanh":
                out.tanh_()
            else:
                out.relu_()
            before = out
    return output


def _slope(states: torch.Tensor, nonlinearity: str) -> torch.Tensor:
    """The slope of the nonlinearity in terms of its results `states`; NaN stays NaN."""
    if nonlinearity == "tanh":
        return 1 - states * states
    return torch.where(states.isnan(), states, (states > 0).to(states.dtype))
