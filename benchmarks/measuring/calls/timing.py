"""Timing by a clock: its resolution, when calls are steady, how many calls make a sample, blocks of samples, turns.

Every function takes its clock, so that tests can move one by hand.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from typing import NamedTuple

Clock = Callable[[], float]
"""Seconds since an arbitrary start, never decreasing: `time.perf_counter`."""


class CallSeconds(NamedTuple):
    """Seconds of one call: all of it, and in training the backward pass (0 in inference)."""

    total: float
    backward: float


Timed = Callable[[], CallSeconds]
"""Makes one call, waits for its result, and returns its time."""

RESOLUTION_SHARE = 0.001
"""The clock's resolution is at most this share of a sample."""
STEADY_SHARE = 0.05
"""Calls are steady when the last windows differ by at most this share."""
WINDOWS = 3


def resolution(clock: Clock) -> float:
    """The smallest step between two readings of the clock, in seconds; reading it is part of each sample."""
    steps = []
    for _ in range(100):
        start = clock()
        while (now := clock()) == start:
            pass
        steps.append(now - start)
    return min(steps)


class WarmUp(NamedTuple):
    """The end of a warm-up: its seconds, the seconds of a call, and whether calls had become steady."""

    elapsed: float
    call: float
    steady: bool


def warm_up(timed: Timed, clock: Clock, *, least: float, most: float) -> WarmUp:
    """Call until calls are steady, for at least `least` seconds and, but for the last call, at most `most`."""
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
    """The number of calls whose mean is a sample: enough for the clock, and for `samples` samples to fill a block."""
    long_enough = clock_resolution / RESOLUTION_SHARE
    return max(1, math.ceil(max(long_enough, block_seconds / samples) / max(call_seconds, clock_resolution) - 0.5))


def sample_block(
    timed: Timed, clock: Clock, *, calls: int, block_seconds: float, samples: int, least_calls: int = 1
) -> list[CallSeconds]:
    """Take samples of `calls` calls each until `block_seconds` have passed or there are `samples`.

    At least `least_calls` calls are made, however long they take.
    """
    found: list[CallSeconds] = []
    start = clock()
    while len(found) * calls < least_calls or (len(found) < samples and clock() - start < block_seconds):
        total = backward = 0.0
        for _ in range(calls):
            call = timed()
            total += call.total
            backward += call.backward
        found.append(CallSeconds(total / calls, backward / calls))
    return found


def timed_in_turns(calls: Sequence[Callable[[], object]], clock: Clock, seconds: float) -> list[tuple[float, ...]]:
    """The seconds of each call, turn by turn: calls take turns until `seconds` have passed, one turn at least."""
    turns: list[tuple[float, ...]] = []
    end = clock() + seconds
    while not turns or clock() < end:
        times = []
        for call in calls:
            start = clock()
            call()
            times.append(clock() - start)
        turns.append(tuple(times))
    return turns
