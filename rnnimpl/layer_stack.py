"""The walk over the layers and directions of a network, for implementations written as one layer in one direction."""

from __future__ import annotations

from collections.abc import Callable

from rnnimpl.interface import Array, RnnConfig, State


def run_stack(
    config: RnnConfig,
    run_layer: Callable[[int, int, Array, State[Array]], tuple[Array, State[Array]]],
    x: Array,
    state: State[Array],
    *,
    concatenate: Callable[[list[Array]], Array],
    stack: Callable[[list[Array]], Array],
) -> tuple[Array, State[Array]]:
    """Run each layer on the output of the one before -> y (T, B, D*H) and the final state, arrays (L*D, B, H).

    Args:
        config: The network.
        run_layer: (layer, direction, its input (T, B, I or D*H), its state (B, H)) -> its output (T, B, H) in the order
            of x, and its last state (B, H). In direction 1 it reads its input from the end.
        x: (T, B, I).
        state: Arrays (L*D, B, H).
        concatenate: Joins the outputs of both directions in the last axis.
        stack: Joins arrays in a new first axis.
    """
    last_states: list[State[Array]] = []
    for layer in range(config.num_layers):
        outputs = []
        for direction in range(config.num_directions):
            start = tuple([each[len(last_states)] for each in state])  # type: ignore[index]  # frameworks' arrays have it
            y, last = run_layer(layer, direction, x, start)
            last_states.append(last)
            outputs.append(y)
        x = concatenate(outputs) if len(outputs) == 2 else outputs[0]
    return x, tuple([stack([*each]) for each in zip(*last_states, strict=True)])
