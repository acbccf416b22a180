"""Measure revisions in groups of interleaved processes, and append them to the machine's history.

Recorded processes are not measured again, so the same command continues an interrupted one.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

from benchmarks.files import check_writable, copy_across, scratch_folder
from benchmarks.history import folder as histories
from benchmarks.history.commits import checked_out
from benchmarks.history.grouping import (
    MeasureTogether,
    PreparedMembers,
    measure_as_regress,
    measure_missing,
    new_record,
)
from benchmarks.history.plan import TrackPlan
from benchmarks.history.record import Measurement
from benchmarks.history.suite_check import refuse_suite_with_code
from benchmarks.measuring.conditions.lock import measuring_alone
from benchmarks.regression.dry_run import dry_run
from benchmarks.regression.environments.preparing import Preparation
from benchmarks.regression.environments.revisions import Revision, remove_abandoned
from benchmarks.regression.processes.process_record import ProcessRecord
from benchmarks.regression.processes.pytest_command import Side


def track(
    plan: TrackPlan,
    say: Callable[[str], None],
    *,
    dry_run: Callable[[Side], ProcessRecord] = dry_run,
    measure: MeasureTogether = measure_as_regress,
    clock: Callable[[], float] = time.perf_counter,
) -> int:
    """Measure the processes that the plan still needs, and return how many were recorded.

    Those of the anchor, the revision that is in every group of interleaved processes, count too. `say` is told of
    problems and progress, `clock` gives seconds. An interrupt keeps the groups that were recorded. Raises NoBenchmarks
    when the suite has none, StoreError where the history cannot be added to.
    """
    histories.check(plan.folder, plan.machine)
    for problem in histories.read(plan.folder, plan.machine)[1]:
        say(problem)
    missing = plan.missing()
    recorded = sum(plan.processes - lacking for lacking in missing.values())
    if recorded:
        total = plan.processes * len(missing)
        why = "they were recorded before, or their revision cannot run the suite"
        say(f"{recorded} of {total} processes are not measured: {why}")
    missing = {revision: lacking for revision, lacking in missing.items() if lacking}
    if not missing:
        return 0
    check_writable("--history", plan.folder)
    remove_abandoned(say)
    with contextlib.ExitStack() as stack:
        stack.enter_context(measuring_alone("a track of revisions", say))
        prepared = _PreparedRevisions(plan, stack, dry_run, say)
        return measure_missing(plan, missing, prepared, say, measure=measure, clock=clock)


class _PreparedRevisions(PreparedMembers[TrackPlan]):
    """Revisions, each with its files checked out."""

    def __init__(
        self,
        plan: TrackPlan,
        stack: contextlib.ExitStack,
        dry_run: Callable[[Side], ProcessRecord],
        say: Callable[[str], None],
    ) -> None:
        super().__init__(plan, say)
        self._stack, self._dry_run = stack, dry_run
        self._said: set[str] = set()

    def record(self, member: str, failure: str | None = None) -> Measurement:
        return new_record(self._plan, member, self._plan.packages, failure)

    def name(self, member: str) -> str:
        return member[:10]

    def _prepare(self, member: str) -> tuple[Side, ProcessRecord]:
        """Raises ValueError where the revision would run other code than its own."""
        plan = self._plan
        files = self._stack.enter_context(checked_out(plan.top, member))
        # Every revision is measured by the same suite, that of the checkout.
        for note in copy_across(plan.top, files, plan.suite):
            self._say_once(note)
        builds = self._stack.enter_context(scratch_folder("builds"))
        preparation = Preparation(plan.top, plan.suite, builds, dry_run=self._dry_run, say=self._say)
        ready = preparation.one(self.name(member), Revision(member, member, dirty=False, folder=files))
        refuse_suite_with_code(plan.suite, ready)
        return ready.side, ready.dry_run

    def _say_once(self, note: str) -> None:
        """Say a note on the suite, which holds for every revision, once."""
        if note not in self._said:
            self._said.add(note)
            self._say(note)
