"""What unequal lengths cost `fused_cpu`, and what bounds it: `python -m tests.steps_at_their_rows`, on one thread.

A step of a batch of unequal lengths has as many rows as sequences go on. Its time is measured in batches of so many
sequences of equal length, and their sum over all steps is what the batch would take if nothing came on top.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Mapping

import numpy as np

from benchmarks.presentation.plain_text import table
from benchmarks.sequence_lengths import LENGTHS, draw_lengths
from rnnimpl import RnnConfig, Weights
from rnnimpl.impls.fused_cpu import FusedCpu
from rnnimpl.lengths import Lengths
from rnnimpl.network import CellName
from tests.replace_speedup import heading

T, H = 128, 256
CELLS: tuple[CellName, ...] = ("lstm", "tanh")
BATCHES = (16, 64)
ROWS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
"""Rows of a step that are measured; the time of others lies between."""
TURNS = 9
Call = Callable[[], object]


def median_seconds(calls: Mapping[str, Call]) -> dict[str, float]:
    """The median time of each call, in turns, after two that are not counted."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn, (name, call) in itertools.product(range(TURNS + 2), calls.items()):
        start = time.perf_counter()
        call()
        if turn >= 2:
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(found) for name, found in times.items()}


def call_of(rnn: FusedCpu, mode: str, B: int, lengths: Lengths) -> Call:
    """A call on B sequences of these lengths, T each if None."""
    generator = np.random.default_rng(0)
    x, dy = generator.standard_normal((2, T, B, H), dtype=np.float32)
    if mode == "inference":
        return lambda: rnn.forward(x, None, lengths)
    dstate = tuple(generator.standard_normal((1, B, H), dtype=np.float32) for _ in rnn.config.state_names)

    def train() -> None:
        _, _, pullback = rnn.vjp(x, None, lengths)
        pullback(dy, dstate)

    return train


def rows(cell: CellName, mode: str) -> list[list[str]]:
    """A row a batch: the time per valid step over that at equal lengths, and in parentheses the sum of its steps."""
    config = RnnConfig(input_size=H, hidden_size=H, cell=cell)
    rnn = FusedCpu(config, Weights.init(config, seed=0))
    alone = [median_seconds({"equal": call_of(rnn, mode, n, None)})["equal"] / T for n in ROWS]
    found = []
    for B in BATCHES:
        drawn = {name: draw_lengths(name, T, B) for name in LENGTHS}
        seconds = median_seconds({name: call_of(rnn, mode, B, lengths) for name, lengths in drawn.items()})
        cells = [f"{cell}, {mode}, B {B}"]
        for name in LENGTHS[1:]:
            lengths = np.array(drawn[name])
            equal = seconds["equal"] * lengths.sum() / (T * B)
            of_steps = sum(np.interp([(lengths > t).sum() for t in range(T)], ROWS, alone))
            cells.append(f"{seconds[name] / equal:.2f} ({of_steps / equal:.2f})")
        found.append(cells)
    return found


def main() -> None:
    """Measure and print the table."""
    FusedCpu.configure_process(threads=1, precision="ieee")
    measured = [row for cell in CELLS for mode in ("inference", "training") for row in rows(cell, mode)]
    print(f"{heading()}\n\n{table(('', *LENGTHS[1:]), measured)}")


if __name__ == "__main__":
    main()
