"""The time of a short call at its best, without the microseconds that reading the clock would add."""

from __future__ import annotations

import statistics
from collections.abc import Callable

BLOCKS = 3
"""The most blocks; each gives the median of its samples, and the smallest of these medians is the result."""
SAMPLES = 5
"""The most samples of a block."""
LEAST_SAMPLES = 3
"""The fewest samples of a block, also when time is up: a single sample may hold an interruption."""


def seconds_per_call(
    call: Callable[[], object], synchronize: Callable[[], object], clock: Callable[[], float], seconds: float
) -> float:
    """Seconds of one call: the smallest median of a few blocks, within about `seconds`, one block at least.

    The calls of a sample follow each other without a wait, as those of a recurrent network's time steps do;
    `synchronize` then waits until a GPU has done them all. `clock` gives seconds.
    """

    def sample(calls: int) -> float:
        start = clock()
        for _ in range(calls):
            call()
        synchronize()
        return clock() - start

    sample(1)  # libraries pick and load their kernels on first use
    start = clock()
    calls = 1
    while sample(calls) < seconds / (BLOCKS * SAMPLES) and clock() - start < seconds:
        calls *= 2
    medians: list[float] = []
    while not medians or (len(medians) < BLOCKS and clock() - start < seconds):
        block: list[float] = []
        while len(block) < LEAST_SAMPLES or (len(block) < SAMPLES and clock() - start < seconds):
            block.append(sample(calls) / calls)
        medians.append(statistics.median(block))
    return min(medians)
