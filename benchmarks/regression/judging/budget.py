"""The time budget of a comparison: what is spent, and whether another pair of processes would end within it."""

from __future__ import annotations

import math


def cases_within(seconds: float, *, pairs: int, start_seconds: float, seconds_a_case: float) -> int:
    """The number of cases of which this many pairs end within the seconds.

    A pair takes the time until its processes begin their first tests, and a time for each case.
    """
    return max(0, math.floor((seconds / pairs - start_seconds) / seconds_a_case))


class Budget:
    """Seconds that all pairs may take together, less those that are `spent` before. A pair of few cases takes less."""

    def __init__(self, seconds: float, *, spent: float = 0.0) -> None:
        self.seconds = seconds
        self._spent = spent
        self._pairs: list[tuple[int, float]] = []

    @property
    def spent(self) -> float:
        """Seconds that are spent; never less than was spent before the pairs."""
        return self._spent

    @property
    def left(self) -> float:
        """Seconds that are not spent."""
        return max(0.0, self.seconds - self._spent)

    def spend(self, cases: int, seconds: float) -> None:
        """Count a pair of this many cases and its duration."""
        self._spent += seconds
        self._pairs.append((cases, seconds))

    def spend_the_rest(self) -> None:
        """Count all that is left, for a pair that did not end within it."""
        self._spent = max(self._spent, self.seconds)

    def expected(self, cases: int) -> float:
        """The longest duration to expect of a pair of this many cases; 0 before any was measured.

        It is that of the longest pair among the smallest with at least as many cases.
        """
        as_many = [(measured, seconds) for measured, seconds in self._pairs if measured >= cases]
        least = min((measured for measured, _ in as_many), default=0)
        return max((seconds for measured, seconds in as_many if measured == least), default=0.0)

    def allows(self, cases: int) -> bool:
        """Whether another pair of this many cases is expected to end in time."""
        return self._spent + self.expected(cases) <= self.seconds
