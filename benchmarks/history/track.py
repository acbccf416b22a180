"""Measure revisions in groups of interleaved processes, and append them to the machine's history.

The speed of a shared machine changes from minute to minute, so that times of two sessions cannot be compared as they
are. Therefore one revision, the anchor, is in every group: the effect of a session on the anchor is its effect on the
others. Recorded processes are not measured again, so the same command continues an interrupted one.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import statistics
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from benchmarks.files import check_writable, lay, scratch_folder
from benchmarks.history import folder as histories
from benchmarks.history.commits import checked_out
from benchmarks.history.plan import TrackPlan
from benchmarks.history.record import CaseTimes, Measurement
from benchmarks.history.suite_check import refuse_suite_with_code
from benchmarks.measuring.conditions.lock import measuring_alone
from benchmarks.presentation.plain_text import count
from benchmarks.regression.control import ControlTimes
from benchmarks.regression.dry_run import dry_run
from benchmarks.regression.measuring import REPETITIONS, SECONDS_A_CASE
from benchmarks.regression.pairing import measure_together
from benchmarks.regression.preparing import Preparation
from benchmarks.regression.process_record import ProcessRecord
from benchmarks.regression.pytest_command import Side
from benchmarks.regression.revisions import Revision, remove_abandoned
from benchmarks.regression.suite_process import WARM_UP_REPETITIONS

TOGETHER = 4
"""The most processes of a group, with the anchor's: each holds a framework in memory."""
_CONTROLS = {"product": "fixed matrix product", "loop": "fixed Python loop"}


class NoBenchmarks(ValueError):
    """The suite ran and has no benchmark; the message names the suite."""


class MeasureTogether(Protocol):
    """Measures the cases on several sides in interleaved processes: `measure_together` with the settings of `track`."""

    def __call__(
        self, sides: Sequence[Side], cases: Sequence[str], *, number: int
    ) -> tuple[Sequence[ProcessRecord], Sequence[Sequence[ControlTimes]]]: ...


def measure_as_regress(
    sides: Sequence[Side], cases: Sequence[str], *, number: int
) -> tuple[Sequence[ProcessRecord], Sequence[Sequence[ControlTimes]]]:
    """Measure the cases as `regress` measures its pairs."""
    return measure_together(sides, cases, number=number, repetitions=REPETITIONS, seconds_a_case=SECONDS_A_CASE)


def track(
    plan: TrackPlan,
    say: Callable[[str], None],
    *,
    dry_run: Callable[[Side], ProcessRecord] = dry_run,
    measure: MeasureTogether = measure_as_regress,
    clock: Callable[[], float] = time.perf_counter,
) -> int:
    """Measure the processes that the plan still needs, and return how many were recorded, with the anchor's.

    An interrupt keeps the groups that were recorded. Raises NoBenchmarks when the suite has none, StoreError where the
    history cannot be added to.
    """
    histories.check(plan.folder, plan.machine)
    for problem in histories.read(plan.folder, plan.machine)[1]:
        say(problem)
    missing = plan.missing()
    there = sum(plan.processes - lacking for lacking in missing.values())
    if there:
        total = plan.processes * len(missing)
        say(f"{there} of {total} processes were recorded before or cannot be: they are not measured again")
    missing = {revision: lacking for revision, lacking in missing.items() if lacking}
    if not missing:
        return 0
    check_writable("--history", plan.folder)
    remove_abandoned(say)
    with contextlib.ExitStack() as stack:
        stack.enter_context(measuring_alone("a track of revisions", say))
        prepared = _PreparedRevisions(plan, stack, dry_run, say)
        anchor = next((revision for revision in plan.anchors() if prepared.cases_of(revision)), None)
        runs = {revision: lacking for revision, lacking in missing.items() if prepared.cases_of(revision)}
        turns = list(groups(runs, anchor)) if anchor is not None and runs else []
        recorded = prepared.failures
        began = clock()
        earlier = plan.processes - max(runs.values(), default=0)
        for done, (number, revisions) in enumerate(turns, start=1):
            cases = list(dict.fromkeys(case for revision in revisions for case in prepared.cases_of(revision)))
            records = [new_record(plan, revision, plan.packages) for revision in revisions]
            sides = [prepared.sides[revision] for revision in revisions]
            recorded += measure_group(
                plan.folder, plan.machine, records, sides, cases, number=earlier + number, measure=measure, say=say
            )
            left = (clock() - began) / done * (len(turns) - done)
            say(f"{done} of {len(turns)} groups; about {max(0.0, left) / 60:.1f} minutes left")
    return recorded


class _PreparedRevisions:
    """Revisions that are ready to be measured, with their cases; one that cannot run the suite is recorded so."""

    def __init__(
        self,
        plan: TrackPlan,
        stack: contextlib.ExitStack,
        dry_run: Callable[[Side], ProcessRecord],
        say: Callable[[str], None],
    ) -> None:
        self._plan, self._stack, self._dry_run, self._say = plan, stack, dry_run, say
        self._cases: dict[str, list[str]] = {}
        self._said: set[str] = set()
        self.sides: dict[str, Side] = {}
        self.failures = 0

    def _say_once(self, note: str) -> None:
        """Say a note on the suite, which holds for every revision, once."""
        if note not in self._said:
            self._said.add(note)
            self._say(note)

    def cases_of(self, revision: str) -> list[str]:
        """The cases that run on a revision, by a dry run of it; none where the suite cannot run."""
        if revision not in self._cases:
            failure = self._prepare(revision)
            if self._cases[revision]:
                self._say(f"{revision[:10]} is ready: {count(len(self._cases[revision]), 'case')}")
            else:
                self._say(f"{revision[:10]} cannot run the suite: {failure}")
                plan = self._plan
                histories.append(plan.folder, plan.machine, new_record(plan, revision, plan.packages, failure))
                self.failures += 1
        return self._cases[revision]

    def _prepare(self, revision: str) -> str:
        """Prepare a revision; why no case of it runs, or an empty text where one does.

        Raises ValueError where it would run other code than its own.
        """
        plan = self._plan
        files = self._stack.enter_context(checked_out(plan.top, revision))
        # Every revision is measured by the same suite, that of the checkout.
        for note in lay(plan.top, files, plan.suite):
            self._say_once(note)
        builds = self._stack.enter_context(scratch_folder("builds"))
        preparation = Preparation(plan.top, plan.suite, builds, dry_run=self._dry_run, say=self._say)
        ready = preparation.one(revision[:10], Revision(revision, revision, dirty=False, folder=files))
        refuse_suite_with_code(plan.suite, ready)
        self.sides[revision] = ready.side
        self._cases[revision] = [case for case in ready.dry_run.outcomes if ready.dry_run.passed(case)]
        return "" if self._cases[revision] else failure_of(plan.suite, ready.dry_run)


def groups(missing: Mapping[str, int], anchor: str) -> Iterator[tuple[int, list[str]]]:
    """The groups to measure: the number of the round from 0, and the revisions, of which the anchor is the first.

    `missing` are {revision: processes that it lacks}. A round has each revision that lacks one more. Neighbours in the
    history are kept apart: the noise of the anchor in a group is shared by all of its members, and would make a step of
    neighbours.
    """
    for number in range(max(missing.values())):
        turn = [revision for revision, lacking in missing.items() if lacking > number and revision != anchor]
        apart = max(1, math.ceil(len(turn) / (TOGETHER - 1)))
        for start in range(apart):
            yield number, [anchor, *turn[start::apart]]


def measure_group(
    folder: Path,
    machine: str,
    members: Sequence[Measurement],
    sides: Sequence[Side],
    cases: Sequence[str],
    *,
    number: int,
    measure: MeasureTogether,
    say: Callable[[str], None],
) -> int:
    """Measure one group, record its processes together at its end, and return how many there are.

    `members` are the records of the sides without their times; those of a group share its name and beginning.
    """
    records, controls = measure(sides, cases, number=number)
    recorded = 0
    for member, side, record, control_times in zip(members, sides, records, controls, strict=True):
        times = {
            case: CaseTimes.of_repetitions(counted)
            for case in record.repetitions
            if record.passed(case)
            and (counted := [each for each in record.seconds(case)[WARM_UP_REPETITIONS:] if each])
        }
        if not times:
            say(f"a process of {side.name} ended with {record.status} before it had measured: not recorded")
            continue
        control = {
            name: statistics.median(getattr(each, field) for each in control_times) for field, name in _CONTROLS.items()
        }
        one = dataclasses.replace(
            member, cases=times, controls=control, group=members[0].group, measured_at=members[0].measured_at
        )
        histories.append(folder, machine, one)
        recorded += 1
    return recorded


class RecordedPlan(Protocol):
    """What a plan says of every process that it records."""

    @property
    def suite(self) -> str: ...

    @property
    def suite_digest(self) -> str: ...

    @property
    def system(self) -> Mapping[str, str]: ...


def new_record(
    plan: RecordedPlan, revision: str, packages: Mapping[str, str], failure: str | None = None
) -> Measurement:
    """The record of a process of a group that begins now, without its times."""
    return Measurement(
        revision=revision,
        suite=plan.suite,
        suite_digest=plan.suite_digest,
        group=uuid.uuid4().hex[:12],
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        packages=packages,
        system=plan.system,
        cases={},
        failure=failure,
    )


def failure_of(suite: str, record: ProcessRecord) -> str:
    """Why no case runs, by the record of a dry run. Raises NoBenchmarks when the suite has none to run."""
    reasons = [*record.broken.values(), *(outcome.reason for outcome in record.outcomes.values() if outcome.reason)]
    if record.status in (0, 5) and not record.broken and not record.failures:
        raise NoBenchmarks(
            f"suite {suite} has no benchmark: expected tests that use pytest-benchmark's `benchmark` fixture"
            + (f" (skipped: {reasons[0]})" if reasons else "")
        )
    if reasons:
        return reasons[0][:300]
    lines = [line for line in record.output.splitlines() if line.strip()]
    return lines[-1][:300] if lines else f"pytest ended with {record.status}"
