"""Groups of interleaved processes: how what a history compares is prepared, measured and recorded.

The members of a history are revisions or releases. The speed of a shared machine changes from minute to minute, so that
times of two sessions cannot be compared as they are. Therefore one member, the anchor, is in every group: the effect of
a session on the anchor is its effect on the others.
"""

from __future__ import annotations

import abc
import dataclasses
import math
import statistics
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from benchmarks.history import folder as histories
from benchmarks.history.record import CaseTimes, Measurement
from benchmarks.presentation.plain_text import count
from benchmarks.regression.measuring import REPETITIONS, SECONDS_A_CASE
from benchmarks.regression.processes.control import ControlTimes
from benchmarks.regression.processes.pairing import measure_together
from benchmarks.regression.processes.process_record import ProcessRecord
from benchmarks.regression.processes.pytest_command import Side
from benchmarks.regression.processes.suite_process import WARM_UP_REPETITIONS

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


class Plan(Protocol):
    """What is to be measured, and what is said of every process that is recorded."""

    @property
    def suite(self) -> str: ...

    @property
    def suite_digest(self) -> str: ...

    @property
    def system(self) -> Mapping[str, str]: ...

    @property
    def folder(self) -> Path: ...

    @property
    def machine(self) -> str: ...

    @property
    def processes(self) -> int: ...

    def anchors(self) -> list[str]:
        """The members that can be the anchor, the best first."""
        ...


_AnyPlan = TypeVar("_AnyPlan", bound=Plan)


class PreparedMembers(abc.ABC, Generic[_AnyPlan]):
    """Members that are ready to be measured, with their cases; one that cannot run the suite is recorded so."""

    def __init__(self, plan: _AnyPlan, say: Callable[[str], None]) -> None:
        self._plan, self._say = plan, say
        self._cases: dict[str, list[str]] = {}
        self.sides: dict[str, Side] = {}
        self.failures = 0

    def cases_of(self, member: str) -> list[str]:
        """The cases that run with a member, by a dry run; none where it cannot be built or the suite does not work."""
        if member not in self._cases:
            ready = self._prepare(member)
            self._cases[member] = []
            if not isinstance(ready, str):
                self.sides[member], record = ready
                self._cases[member] = [case for case in record.outcomes if record.passed(case)]
            if self._cases[member]:
                self._say(f"{self.name(member)} is ready: {count(len(self._cases[member]), 'case')}")
            else:
                failure = ready if isinstance(ready, str) else _failure_of(self._plan.suite, ready[1])
                self._say(f"{self.name(member)} cannot run the suite: {failure}")
                histories.append(self._plan.folder, self._plan.machine, self.record(member, failure))
                self.failures += 1
        return self._cases[member]

    @abc.abstractmethod
    def record(self, member: str, failure: str | None = None) -> Measurement:
        """The record of a process of a member that begins now, without its times."""

    @abc.abstractmethod
    def name(self, member: str) -> str:
        """A member as messages name it."""

    @abc.abstractmethod
    def _prepare(self, member: str) -> tuple[Side, ProcessRecord] | str:
        """The side of a member and its dry run, or why it cannot be built."""


def measure_missing(
    plan: Plan,
    missing: Mapping[str, int],
    prepared: PreparedMembers[Any],
    say: Callable[[str], None],
    *,
    measure: MeasureTogether,
    clock: Callable[[], float] = time.perf_counter,
) -> int:
    """Measure the processes that members lack, {member: how many}, and return how many were recorded.

    The anchor's are among them, and the failures of members. An interrupt keeps the groups that were recorded.
    """
    anchor = next((member for member in plan.anchors() if prepared.cases_of(member)), None)
    runs = {member: lacking for member, lacking in missing.items() if prepared.cases_of(member)}
    recorded = prepared.failures
    if anchor is None or not runs:
        return recorded
    turns = list(groups(runs, anchor))
    earlier = plan.processes - max(runs.values())
    began = clock()
    for done, (number, members) in enumerate(turns, start=1):
        sides = [prepared.sides[member] for member in members]
        cases = list(dict.fromkeys(case for member in members for case in prepared.cases_of(member)))
        records = [prepared.record(member) for member in members]
        recorded += _measure_group(plan, records, sides, cases, number=earlier + number, measure=measure, say=say)
        left = (clock() - began) / done * (len(turns) - done)
        say(f"{done} of {len(turns)} groups; about {left / 60:.1f} minutes left")
    return recorded


def groups(missing: Mapping[str, int], anchor: str) -> Iterator[tuple[int, list[str]]]:
    """The groups to measure: the number of the round from 0, and the members, of which the anchor is the first.

    `missing` are {member: processes that it lacks}. A round has each member that lacks one more. Neighbours in the
    history are kept apart where a round takes several groups: the noise of the anchor in a group is shared by all of
    its members, and would make a step of neighbours.
    """
    for number in range(max(missing.values())):
        turn = [member for member, lacking in missing.items() if lacking > number and member != anchor]
        apart = max(1, math.ceil(len(turn) / (TOGETHER - 1)))
        for start in range(apart):
            yield number, [anchor, *turn[start::apart]]


def _measure_group(
    plan: Plan,
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
        histories.append(plan.folder, plan.machine, one)
        recorded += 1
    return recorded


def new_record(plan: Plan, revision: str, packages: Mapping[str, str], failure: str | None = None) -> Measurement:
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


def _failure_of(suite: str, record: ProcessRecord) -> str:
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
