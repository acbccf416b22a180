"""Measure revisions: each in several fresh processes that take turns with others', and append to the machine's history.

A shared machine's speed changes by some ten percent from minute to minute, so that times of one day cannot be set
against those of another. Therefore one revision, the anchor, is in every group of processes that take turns: what a
group's moment did to the anchor, it did to the others. What is there already is not measured again, so the same command
goes on with what was interrupted.
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
from typing import Protocol

from benchmarks.files import check_writable, lay, scratch_folder
from benchmarks.history import folder as histories
from benchmarks.history.commits import checked_out
from benchmarks.history.plan import Plan
from benchmarks.history.record import CaseTimes, Measurement
from benchmarks.history.rulers import refuse_suite_with_code
from benchmarks.measuring.lock import measuring_alone
from benchmarks.regression.control import Control
from benchmarks.regression.measuring import PASSES, SECONDS_A_CASE
from benchmarks.regression.pairing import measure_together
from benchmarks.regression.preparing import Preparation
from benchmarks.regression.revisions import Revision, remove_abandoned
from benchmarks.regression.session import WARM_UP_PASSES, Side, look
from benchmarks.regression.session_record import Measured
from benchmarks.reporting.plain_text import count

TOGETHER = 4
"""Processes that take turns, the anchor's among them: each holds a framework in memory."""
_CONTROLS = {"product": "fixed matrix product", "loop": "fixed Python loop"}


class NoBenchmarks(ValueError):
    """The suite ran and measured nothing; the message says where it was looked for."""


class MeasureTogether(Protocol):
    """Runs the cases on several sides in fresh processes that take turns; as `measure_together` with its defaults."""

    def __call__(
        self, sides: Sequence[Side], cases: Sequence[str], *, number: int
    ) -> tuple[Sequence[Measured], Sequence[Sequence[Control]]]: ...


def take_turns(
    sides: Sequence[Side], cases: Sequence[str], *, number: int
) -> tuple[Sequence[Measured], Sequence[Sequence[Control]]]:
    """As `regress` measures its pairs."""
    return measure_together(sides, cases, number=number, passes=PASSES, seconds_a_case=SECONDS_A_CASE)


def track(
    plan: Plan,
    say: Callable[[str], None],
    *,
    look: Callable[[Side], Measured] = look,
    measure: MeasureTogether = take_turns,
    clock: Callable[[], float] = time.perf_counter,
) -> int:
    """Measure what the plan misses, and return how many processes were recorded, the anchor's among them.

    Raises NoBenchmarks when the suite has none, StoreError where the history cannot be added to. An interrupt keeps
    what was recorded.
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
        prepared = _Prepared(plan, stack, look, say)
        anchor = next((revision for revision in plan.anchors() if prepared.cases_of(revision)), None)
        runs = {revision: lacking for revision, lacking in missing.items() if prepared.cases_of(revision)}
        turns = list(groups(runs, anchor)) if anchor is not None and runs else []
        recorded = prepared.failures
        began = clock()
        earlier = plan.processes - max(runs.values(), default=0)
        for done, (number, revisions) in enumerate(turns, start=1):
            recorded += _measure(plan, prepared, revisions, earlier + number, measure, say)
            left = (clock() - began) / done * (len(turns) - done)
            say(f"{done} of {len(turns)} groups; about {max(0.0, left) / 60:.1f} minutes left")
    return recorded


class _Prepared:
    """Revisions made ready: their files, and which cases run on them; what cannot run is recorded, with the reason."""

    def __init__(
        self, plan: Plan, stack: contextlib.ExitStack, look: Callable[[Side], Measured], say: Callable[[str], None]
    ) -> None:
        self._plan, self._stack, self._look, self._say = plan, stack, look, say
        self._cases: dict[str, list[str]] = {}
        self._said: set[str] = set()
        self.sides: dict[str, Side] = {}
        self.failures = 0

    def _say_once(self, note: str) -> None:
        """What is true of the suite is true for every revision."""
        if note not in self._said:
            self._said.add(note)
            self._say(note)

    def cases_of(self, revision: str) -> list[str]:
        """The cases that run on a revision, none where the suite cannot; the suite runs once, unmeasured, to see."""
        if revision not in self._cases:
            failure = self._prepare(revision)
            if self._cases[revision]:
                self._say(f"{revision[:10]} is ready: {count(len(self._cases[revision]), 'case')}")
            else:
                self._say(f"{revision[:10]} cannot run the suite: {failure}")
                histories.append(self._plan.folder, self._plan.machine, _record(self._plan, revision, failure=failure))
                self.failures += 1
        return self._cases[revision]

    def _prepare(self, revision: str) -> str:
        """Make a revision ready, by its own code; why it has no case that runs, and nothing where it has.

        Raises ValueError where it would run other code than its own.
        """
        plan = self._plan
        files = self._stack.enter_context(checked_out(plan.top, revision))
        # Every revision meets the same ruler: the suite of the checkout.
        for note in lay(plan.top, files, plan.suite):
            self._say_once(note)
        builds = self._stack.enter_context(scratch_folder("builds"))
        preparation = Preparation(plan.top, plan.suite, builds, look=self._look, say=self._say)
        ready = preparation.one(revision[:10], Revision(revision, revision, dirty=False, folder=files))
        refuse_suite_with_code(plan.suite, ready)
        self.sides[revision], seen = ready.side, ready.seen
        self._cases[revision] = [case for case, (outcome, _) in seen.outcomes.items() if outcome == "passed"]
        return "" if self._cases[revision] else _failure(plan, seen)


def groups(missing: Mapping[str, int], anchor: str) -> Iterator[tuple[int, list[str]]]:
    """The number of a round from 0, and revisions that take turns in it: the anchor, and some that lack a process.

    In each round come all that lack one more. Neighbours in the history are not in one group: what noise the anchor had
    in it is in all of its members, and would make a step of them.
    """
    for number in range(max(missing.values())):
        turn = [revision for revision, lacking in missing.items() if lacking > number and revision != anchor]
        apart = max(1, math.ceil(len(turn) / (TOGETHER - 1)))
        for start in range(apart):
            yield number, [anchor, *turn[start::apart]]


def _measure(
    plan: Plan,
    prepared: _Prepared,
    revisions: Sequence[str],
    number: int,
    measure: MeasureTogether,
    say: Callable[[str], None],
) -> int:
    """One group: measured, recorded together at its end, and counted."""
    cases = list(dict.fromkeys(case for revision in revisions for case in prepared.cases_of(revision)))
    began = _record(plan, revisions[0])
    measured, controls = measure([prepared.sides[revision] for revision in revisions], cases, number=number)
    recorded = 0
    for revision, each, beside in zip(revisions, measured, controls, strict=True):
        timed = {
            case: CaseTimes.of_passes(counted)
            for case, passes in each.seconds.items()
            if each.outcomes.get(case, ("failed", ""))[0] == "passed"
            and (counted := [rounds for rounds in passes[WARM_UP_PASSES:] if rounds])
        }
        if not timed:
            say(f"a process of {revision[:10]} ended with {each.status} before it had measured: not recorded")
            continue
        taken = {name: statistics.median(getattr(one, field) for one in beside) for field, name in _CONTROLS.items()}
        one = dataclasses.replace(began, revision=revision, cases=timed, controls=taken)
        histories.append(plan.folder, plan.machine, one)
        recorded += 1
    return recorded


def _record(plan: Plan, revision: str, failure: str | None = None) -> Measurement:
    """What is to be said of a process of a group that begins now, but its times."""
    return Measurement(
        revision=revision,
        suite=plan.suite,
        suite_digest=plan.suite_digest,
        group=uuid.uuid4().hex[:12],
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        packages=plan.packages,
        system=plan.system,
        cases={},
        failure=failure,
    )


def _failure(plan: Plan, seen: Measured) -> str:
    """Why nothing runs. Raises NoBenchmarks when the suite has none to run."""
    reasons = [*seen.broken.values(), *(reason for _, reason in seen.outcomes.values() if reason)]
    failed = [reason for outcome, reason in seen.outcomes.values() if outcome == "failed"]
    if seen.status in (0, 5) and not seen.broken and not failed:
        raise NoBenchmarks(
            f"suite {plan.suite} has no benchmark: expected tests that use pytest-benchmark's `benchmark` fixture"
            + (f" (skipped: {reasons[0]})" if reasons else "")
        )
    if reasons:
        return reasons[0][:300]
    said = [line for line in seen.output.splitlines() if line.strip()]
    return said[-1][:300] if said else f"pytest ended with {seen.status}"
