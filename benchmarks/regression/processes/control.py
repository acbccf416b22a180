"""The control: a fixed matrix product and a fixed Python loop, which use none of the code under test.

It runs next to the turns of both sides. A difference between the two sides is the machine's.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

_SIZE = 160
_STEPS = 12_000
_REPEATS = 5


class ControlTimes(NamedTuple):
    """Seconds of the fixed product and of the fixed loop, each the least of a few repeats."""

    product: float
    loop: float


def measure_control(clock: Callable[[], float] = time.perf_counter) -> ControlTimes:
    """Time the control once, which takes some milliseconds."""
    matrix = np.full((_SIZE, _SIZE), 0.5, dtype=np.float32)
    return ControlTimes(_least(lambda: matrix @ matrix, clock), _least(_loop, clock))


def _loop() -> int:
    total = 0
    for step in range(_STEPS):
        total += step & 7
    return total


def _least(work: Callable[[], object], clock: Callable[[], float]) -> float:
    durations = []
    for _ in range(_REPEATS):
        start = clock()
        work()
        durations.append(clock() - start)
    return min(durations)
