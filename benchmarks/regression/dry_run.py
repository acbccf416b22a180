"""The dry run: every test of a suite once, unmeasured, to see which cases there are, which work, and what they load."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence

from benchmarks.regression.measuring import dry_run_limits
from benchmarks.regression.plugins import ORIGINS
from benchmarks.regression.processes.outcomes import Outcome
from benchmarks.regression.processes.process_record import ProcessRecord, ending
from benchmarks.regression.processes.pytest_command import PLUGINS, Side
from benchmarks.regression.processes.suite_process import UNLIMITED, BudgetOver, SuiteProcess, TimeLimits


def dry_run(side: Side, limits: TimeLimits = UNLIMITED) -> ProcessRecord:
    """Run every test of the suite once, as quickly as pytest-benchmark can.

    A test that ends its process, or exceeds a limit, fails; the other tests run in a process without it. Raises
    BudgetOver at the deadline of the limits.
    """
    found = _run(side, None, limits)
    while left := [case for case in found.collected if case not in found.outcomes]:
        later = _run(side, left, limits)
        found = found.merged(later)
        if not set(left) & set(later.outcomes):
            failed = Outcome("failed", later.stopped or f"pytest {ending(later.status)} before it")
            found = dataclasses.replace(found, outcomes={**found.outcomes, **dict.fromkeys(left, failed)})
    return found


def _run(side: Side, only: Sequence[str] | None, limits: TimeLimits) -> ProcessRecord:
    quick = ("--benchmark-max-time=0", "--benchmark-min-rounds=1")
    with SuiteProcess(side, only=only, options=quick, plugins=(*PLUGINS, ORIGINS), limits=limits) as process:
        waiting = process.next_turn()
        while waiting:
            waiting = process.turn()
        return process.finish()


class DryRuns:
    """Dry runs of base and then of head, within the budget of the whole comparison.

    Both sides run again where they have to be built. `seconds` is the time of the last run of each: builds, and the
    dry runs that showed a need of them, are not part of the budget.
    """

    def __init__(self, budget_seconds: float) -> None:
        self._budget_seconds = budget_seconds
        self.seconds = 0.0

    def run(self, side: Side) -> ProcessRecord:
        """The dry run of a side, empty where base has no such suite.

        Raises ValueError where head has no such suite, and where the budget ends first.
        """
        if side.name == "base":
            self.seconds = 0.0
        if not (side.folder / side.suite).exists():
            if side.name == "head":
                raise ValueError(
                    f"--suite is {side.suite}, which head does not have; expected a folder or file of tests"
                )
            return ProcessRecord()
        began = time.monotonic()
        try:
            return dry_run(side, dry_run_limits(self._budget_seconds, began + self._budget_seconds - self.seconds))
        except BudgetOver as over:
            raise ValueError(
                f"--budget is {self._budget_seconds:.0f}s, which ended in the dry run of the suite on "
                f"{side.name}{f', in {over}' if str(over) else ''}: give more, or a smaller --suite"
            ) from None
        finally:
            self.seconds += time.monotonic() - began


def say_failures(both: Sequence[Side], found: Sequence[ProcessRecord], say: Callable[[str], None]) -> None:
    """Name the tests that failed in the dry runs, with the side and the reason."""
    for side, record in zip(both, found, strict=True):
        for case, reason in record.failures.items():
            say(f"{case} failed on {side.name}: {reason}")
