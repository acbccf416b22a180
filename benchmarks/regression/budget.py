"""How much of a time is spent, and whether another pair of processes would still end within it."""

from __future__ import annotations


class Budget:
    """Seconds that pairs may take together. A pair of few cases takes less than one of all."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.spent = 0.0
        self._taken: list[tuple[int, float]] = []

    @property
    def left(self) -> float:
        """Seconds that are not spent."""
        return max(0.0, self.seconds - self.spent)

    def spend(self, cases: int, seconds: float) -> None:
        """Count a pair of so many cases that took so long."""
        self.spent += seconds
        self._taken.append((cases, seconds))

    def spend_the_rest(self) -> None:
        """Count all that is left, for a pair that did not end in it."""
        self.spent = max(self.spent, self.seconds)

    def expected(self, cases: int) -> float:
        """How long a pair of so many cases will take at most: as the longest of the smallest that were no smaller."""
        as_many = [(measured, seconds) for measured, seconds in self._taken if measured >= cases]
        least = min((measured for measured, _ in as_many), default=0)
        return max((seconds for measured, seconds in as_many if measured == least), default=0.0)

    def allows(self, cases: int) -> bool:
        """Whether another pair of so many cases is expected to end in time."""
        return self.spent + self.expected(cases) <= self.seconds
