"""The control: a fixed matrix product and a fixed Python loop, none of the code that is judged.

It runs next to both sides' turns. Where it comes out different for the two, the machine was, and not the code.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

_SIZE = 160
_STEPS = 12_000
_REPEATS = 5


class Control(NamedTuple):
    """Seconds of the fixed product and of the fixed loop, the least of a few repeats."""

    product: float
    loop: float


def measure_control(clock: Callable[[], float] = time.perf_counter) -> Control:
    """Take the control once: some milliseconds."""
    matrix = np.full((_SIZE, _SIZE), 0.5, dtype=np.float32)
    return Control(_least(lambda: matrix @ matrix, clock), _least(_loop, clock))


def _loop() -> int:
    total = 0
    for step in range(_STEPS):
        total += step & 7
    return total


def _least(work: Callable[[], object], clock: Callable[[], float]) -> float:
    taken = []
    for _ in range(_REPEATS):
        start = clock()
        work()
        taken.append(clock() - start)
    return min(taken)
