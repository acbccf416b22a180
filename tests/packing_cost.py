"""What it costs to see whether weights changed and to pack them: `python -m tests.packing_cost`, on one thread."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

import torch

import rnnimpl.torch
from benchmarks.presentation.plain_text import seconds, table
from rnnimpl.torch.packed_weights import Structure, packed_weights
from tests.replace_speedup import heading

HIDDEN = (64, 256, 1024)
CALLS = ((1, 1), (64, 16))
REPEATS = 31
MOST_SECONDS = 1.0


def median_seconds(call: Callable[[], object], before: Callable[[], object] = lambda: None) -> float:
    """The median time of a call, without what comes before it."""
    times: list[float] = []
    until = time.perf_counter() + MOST_SECONDS
    while len(times) < REPEATS or (time.perf_counter() < until and len(times) < 100 * REPEATS):
        before()
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def row(H: int) -> Sequence[str]:
    """Of an LSTM of H features and units: its weights, checking them, packing them, and calls of it in inference."""
    module = rnnimpl.torch.LSTM(H, H)
    structure, weights = Structure("lstm", 1, False), tuple(module.parameters())

    def of_weights() -> object:
        return packed_weights(structure, weights)

    def change() -> None:
        for weight in weights:
            weight.detach().mul_(1)

    found = [median_seconds(of_weights), median_seconds(of_weights, change)]
    with torch.inference_mode():
        inputs = [torch.randn(T, B, H) for T, B in CALLS]
        found += [median_seconds(lambda x=x: module(x)) for x in inputs]  # type: ignore[misc]  # x is bound
    return [str(H), f"{sum(weight.numel() for weight in weights):,}", *map(seconds, found)]


def main() -> None:
    """Measure and print the table."""
    torch.set_num_threads(1)
    header = ("H", "weights", "checking", "packing", *(f"a call, T {T}, B {B}" for T, B in CALLS))
    print(f"{heading()}\n\n{table(header, map(row, HIDDEN))}")


if __name__ == "__main__":
    main()
