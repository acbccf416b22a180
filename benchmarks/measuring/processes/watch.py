"""The time for which a process was watched; a suspension of the machine or of the watching process does not count."""

from __future__ import annotations

import time

from benchmarks.measuring.calls.timing import Clock

LONGEST_STEP_SECONDS = 5.0
"""The watching process ticks several times a second; a longer gap than this means that it was suspended."""


def now() -> float:
    """Seconds on a clock that advances while the machine sleeps, where there is one."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class Watch:
    """Adds up the time between ticks; a gap that is too long counts as a suspension instead."""

    def __init__(self, limit_seconds: float, clock: Clock | None = None) -> None:
        self.limit_seconds = limit_seconds
        self.watched_seconds = 0.0
        self.suspended_seconds = 0.0
        self._clock = now if clock is None else clock
        self._last = self._clock()

    def tick(self) -> None:
        """Add the time since the last tick, or count it as a suspension."""
        at = self._clock()
        step, self._last = at - self._last, at
        if step > LONGEST_STEP_SECONDS:
            self.suspended_seconds += step
        else:
            self.watched_seconds += step

    def is_over(self) -> bool:
        """Tick, and return whether the watched time has reached the limit."""
        self.tick()
        return self.watched_seconds > self.limit_seconds
