"""Time on a clock: how finely it resolves, when calls are steady, how many calls make a sample.

Every function takes its clock, so that tests bring one that they move by hand.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from typing import NamedTuple

Clock = Callable[[], float]
"""Seconds since an arbitrary moment, never going back: `time.perf_counter`."""


class CallSeconds(NamedTuple):
    """What one call took: all of it, and in training the part after the forward pass (0 in inference)."""

    total: float
    backward: float


Timed = Callable[[], CallSeconds]
"""Makes one call, waits for its result, and says what it took."""

RESOLUTION_SHARE = 0.001
"""The clock's resolution may be this share of a sample at most."""
STEADY_SHARE = 0.05
"""Calls are steady when the last three windows differ by this share at most."""
WINDOWS = 3


def resolution(clock: Clock) -> float:
    """The smallest step between two readings of the clock, in seconds: reading it is part of each sample."""
    steps = []
    for _ in range(100):
        start = clock()
        while (now := clock()) == start:
            pass
        steps.append(now - start)
    return min(steps)


class WarmUp(NamedTuple):
    """How a warm-up ended: seconds spent, seconds a call takes now, and whether calls had become steady."""

    elapsed: float
    call: float
    steady: bool


def warm_up(timed: Timed, clock: Clock, *, least: float, most: float) -> WarmUp:
    """Call until steady, for `least` seconds at least and (but for the call under way) `most` at most."""
    start = clock()
    window_seconds = least / 5
    windows: list[float] = []
    while True:
        calls: list[float] = []
        window_start = clock()
        while not calls or clock() - window_start < window_seconds:
            calls.append(timed().total)
        windows.append(statistics.median(calls))
        elapsed = clock() - start
        recent = windows[-WINDOWS:]
        steady = len(recent) == WINDOWS and max(recent) <= min(recent) * (1 + STEADY_SHARE)
        if (steady and elapsed >= least) or elapsed >= most:
            return WarmUp(elapsed, windows[-1], steady)


def calls_per_sample(call_seconds: float, *, clock_resolution: float, block_seconds: float, samples: int) -> int:
    """How many calls one sample takes the mean of: long enough for the clock, and `samples` of them fill a block."""
    long_enough = clock_resolution / RESOLUTION_SHARE
    return max(1, math.ceil(max(long_enough, block_seconds / samples) / max(call_seconds, clock_resolution) - 0.5))


def sample_block(
    timed: Timed, clock: Clock, *, calls: int, block_seconds: float, samples: int, least_calls: int = 1
) -> list[CallSeconds]:
    """Take samples of `calls` calls each until `block_seconds` have passed or there are `samples`.

    `least_calls` calls are made however long they take.
    """
    taken: list[CallSeconds] = []
    start = clock()
    while len(taken) * calls < least_calls or (len(taken) < samples and clock() - start < block_seconds):
        total = backward = 0.0
        for _ in range(calls):
            call = timed()
            total += call.total
            backward += call.backward
        taken.append(CallSeconds(total / calls, backward / calls))
    return taken
