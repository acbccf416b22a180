"""The stack of layers in PyTorch, for implementations written as one layer in one direction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch

from rnnimpl.interface import LayerWeights, RnnConfig, State, select_layer
from rnnimpl.layer_stack import run_stack

TorchState = State[torch.Tensor]
LayerFunction = Callable[
    [torch.Tensor, TorchState, LayerWeights[torch.Tensor], str, torch.Tensor | None], tuple[torch.Tensor, TorchState]
]
"""One layer in one direction: x (T, B, I), state, weights, cell, valid steps -> y (T, B, H) and the last state.

A state is a tuple of arrays (B, H): (h,), or (h, c) of an LSTM. The valid steps (T, B, 1) are true but in padding,
where a layer keeps its state; None: there is no padding.
"""


def run_layers(
    config: RnnConfig,
    weights: Mapping[str, torch.Tensor],
    layer: LayerFunction,
    x: torch.Tensor,
    state: TorchState,
    valid: torch.Tensor | None = None,
) -> tuple[torch.Tensor, TorchState]:
    """Run `layer` for each layer and direction: x (T, B, I), state (L*D, B, H) -> y (T, B, D*H), the final state.

    With padding, the reverse direction keeps its first state until it comes to a sequence's own last step.
    """

    def run_layer(number: int, direction: int, x: torch.Tensor, start: TorchState) -> tuple[torch.Tensor, TorchState]:
        # The reverse direction is the same layer on reversed time.
        ordered = x.flip(0) if direction else x
        own_valid = valid.flip(0) if valid is not None and direction else valid
        own_weights = select_layer(config, weights, number, direction)
        y, last = layer(ordered, start, own_weights, config.cell, own_valid)
        return y.flip(0) if direction else y, last

    if valid is None:
        return run_stack(config, run_layer, x, state, concatenate=_concatenate, stack=torch.stack)
    y, state_n = run_stack(
        config, run_layer, without_padding(x, valid), state, concatenate=_concatenate, stack=torch.stack
    )
    return without_padding(y, valid), state_n


def valid_steps(x: torch.Tensor, lengths: tuple[int, ...]) -> torch.Tensor:
    """Whether a step of x (T, B, I) belongs to its sequence and is no padding: (T, B, 1)."""
    ends = torch.tensor(lengths, device=x.device)
    return (torch.arange(x.shape[0], device=x.device)[:, None] < ends)[:, :, None]


def keep_in_padding(valid: torch.Tensor | None, new: TorchState, old: TorchState) -> TorchState:
    """The state after a step, (B, H) each: the new one of sequences whose step is valid (B, 1), else the old one."""
    if valid is None:
        return new
    return tuple([torch.where(valid, *both) for both in zip(new, old, strict=True)])


def steps_of(valid: torch.Tensor | None, T: int) -> Sequence[torch.Tensor | None]:
    """The valid sequences (B, 1) of each step; T times None without padding."""
    return [None] * T if valid is None else valid.unbind(0)


def without_padding(array: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    """The array (T, B, N) with zeros in the padding, whose gradient is zero there, whatever it held."""
    return torch.where(valid, array, array.new_zeros(()))


def _concatenate(outputs: list[torch.Tensor]) -> torch.Tensor:
    """The outputs (T, B, H) of both directions as one (T, B, 2*H)."""
    return torch.cat(outputs, dim=2)
