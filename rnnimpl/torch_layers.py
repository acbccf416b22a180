"""The stack of layers in PyTorch, for implementations written as one layer in one direction."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

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


def _concatenate(outputs: list[torch.Tensor]) -> torch.Tensor:
    """The outputs (T, B, H) of both directions as one (T, B, 2*H)."""
    return torch.cat(outputs, dim=2)
