"""How long something has been watched: a suspension of the machine, or of this process, is not held against it."""

from __future__ import annotations

import time

from benchmarks.measuring.timing import Clock

LONGEST_STEP_SECONDS = 5.0
"""Who watches looks several times a second. Where it did not for longer than this, it was not running."""


def now() -> float:
    """Seconds on a clock that goes on while the machine sleeps, where there is one."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class Watch:
    """Adds up the time between one look and the next; a step that is too long counts as a suspension instead."""

    def __init__(self, limit_seconds: float, clock: Clock | None = None) -> None:
        self.limit_seconds = limit_seconds
        self.watched_seconds = 0.0
        self.suspended_seconds = 0.0
        self._clock = now if clock is None else clock
        self._last = self._clock()

    def tick(self) -> None:
        """Look at the clock."""
        at = self._clock()
        step, self._last = at - self._last, at
        if step > LONGEST_STEP_SECONDS:
            self.suspended_seconds += step
        else:
            self.watched_seconds += step

    def is_over(self) -> bool:
        """Whether the limit has been watched for, now."""
        self.tick()
        return self.watched_seconds > self.limit_seconds
