"""The first, unmeasured run of a suite on both sides: what is there, what works, and how much of the budget it took."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from benchmarks.regression.measuring import first_limits
from benchmarks.regression.session import BudgetOver, Side, look
from benchmarks.regression.session_record import Measured


class FirstRuns:
    """Runs a suite once on base and then on head, within the budget of what is measured.

    Both run again where they have to be built. Then the time counts from base's last run on: building and what led to
    it are no part of the budget.
    """

    def __init__(self, budget_seconds: float) -> None:
        self._budget_seconds = budget_seconds
        self.seconds = 0.0

    def look(self, side: Side) -> Measured:
        """What the side's suite holds and what of it works; one that is not there on base holds nothing.

        Raises ValueError where head has no suite, and where the budget ends meanwhile.
        """
        if side.name == "base":
            self.seconds = 0.0
        if not (side.folder / side.suite).exists():
            if side.name == "head":
                raise ValueError(
                    f"--suite is {side.suite}, which head does not have; expected a folder or file of tests"
                )
            return Measured({}, {}, {}, {}, {}, 0, "")
        began = time.monotonic()
        try:
            return look(side, first_limits(self._budget_seconds, began + self._budget_seconds - self.seconds))
        except BudgetOver as over:
            raise ValueError(
                f"--budget is {self._budget_seconds:.0f}s, which ended in the first, unmeasured run of the suite on "
                f"{side.name}{f', in {over}' if str(over) else ''}: give more, or a smaller --suite"
            ) from None
        finally:
            self.seconds += time.monotonic() - began


def say_failures(both: Sequence[Side], found: Sequence[Measured], say: Callable[[str], None]) -> None:
    """Say which tests failed in the first run, on which side and why."""
    for side, measured in zip(both, found, strict=True):
        for case, (outcome, reason) in measured.outcomes.items():
            if outcome == "failed":
                say(f"{case} failed on {side.name}: {reason}")
