"""Measure revisions: each in several fresh processes, in rounds over all of them, and append to the machine's history.

In rounds, what the machine does over minutes is in every revision's own noise, and not between neighbours. What is
there already is not measured again, so the same command goes on with what was interrupted.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import importlib.metadata
import json
import platform
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import threadpoolctl

from benchmarks import machine
from benchmarks.history import folder as histories
from benchmarks.history.commits import checked_out, commits_in_range
from benchmarks.history.record import CaseTimes, Measurement
from benchmarks.measuring.lock import measuring_alone
from benchmarks.regression.control import Control, measure_control
from benchmarks.regression.environments import import_paths
from benchmarks.regression.regress import suite_path
from benchmarks.regression.revisions import resolve, top_of_checkout
from benchmarks.regression.session import Measured, Side, SuiteProcess

_OPTIONS = ("--benchmark-max-time=0.25", "--benchmark-min-rounds=5")
_CONTROLS = {"product": "fixed matrix product", "loop": "fixed Python loop"}


class NoBenchmarks(ValueError):
    """The suite ran and measured nothing; the message says where it was looked for."""


class Measure(Protocol):
    """Runs the suite on a side once, in a fresh process."""

    def __call__(self, side: Side, *, layout: int) -> Measured: ...


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is to be measured: revisions in order, by which suite of the checkout at `top`, and where it goes."""

    top: Path
    revisions: tuple[str, ...]
    suite: str
    processes: int
    folder: Path
    machine: str
    packages: Mapping[str, str]
    system: Mapping[str, str]
    suite_digest: str

    def missing(self) -> dict[str, int]:
        """How many processes each revision lacks on this machine, with these packages and this suite.

        A revision that cannot run the suite lacks none.
        """
        counts = dict.fromkeys(self.revisions, self.processes)
        for process in histories.read(self.folder, self.machine)[0]:
            if process.revision in counts and self._is_mine(process):
                failed = process.failure is not None
                counts[process.revision] = 0 if failed else max(0, counts[process.revision] - 1)
        return counts

    def _is_mine(self, process: Measurement) -> bool:
        ours = (self.suite, self.suite_digest, dict(self.packages))
        return (process.suite, process.suite_digest, dict(process.packages)) == ours


def plan_track(
    here: Path, names: Sequence[str], span: str | None, *, suite: str, processes: int, folder: Path | None = None
) -> Plan:
    """Check what is asked for, and say what this machine and its packages are.

    The revisions are those named and those of the range `span`, or HEAD; `here` is a folder of the checkout. Raises
    ValueError when it is in none, when there is no such revision, range or suite, or for less than one process.
    """
    top = top_of_checkout(here)
    revisions = [resolve(top, name) for name in names] + (commits_in_range(top, span) if span is not None else [])
    if processes < 1:
        raise ValueError(f"--processes is {processes}; expected 1 or more, and 3 or more to know the noise")
    path = suite_path(here, top, suite)
    if not (top / path).exists():
        raise ValueError(f"--suite is {suite}, which is not there; expected a folder or file of tests")
    described = machine.describe_machine()
    return Plan(
        top=top,
        revisions=tuple(dict.fromkeys(revisions or [resolve(top, "HEAD")])),
        suite=path,
        processes=processes,
        folder=top / histories.HISTORY if folder is None else folder,
        machine=described["key"],
        packages=installed_packages(),
        system={name: text for name, text in described["system"].items() if isinstance(text, str)},
        suite_digest=digest(top / path),
    )


def run_suite(side: Side, *, layout: int) -> Measured:
    """Run the suite once, in a fresh process."""
    with SuiteProcess(side, options=_OPTIONS, in_turns=False, layout=layout) as process:
        return process.finish()


def take_control() -> Control:
    """The control on one thread, as the suite is."""
    with threadpoolctl.threadpool_limits(1):
        return measure_control()


def track(
    plan: Plan,
    say: Callable[[str], None],
    *,
    measure: Measure = run_suite,
    control: Callable[[], Control] = take_control,
    clock: Callable[[], float] = time.perf_counter,
) -> int:
    """Measure what the plan misses, and return how many processes were recorded.

    Raises NoBenchmarks when the suite has none. An interrupt keeps what was recorded.
    """
    missing = plan.missing()
    total = sum(missing.values())
    done = plan.processes * len(plan.revisions) - total
    if done:
        say(f"{done} of {done + total} processes were recorded before or cannot be: they are not measured again")
    recorded = 0
    began = clock()
    with contextlib.ExitStack() as stack:
        if total:
            stack.enter_context(measuring_alone("a track of revisions", say))
        sides: dict[str, Side] = {}
        for number, revision in _rounds(missing):
            if revision not in missing:
                continue
            if revision not in sides:
                files = stack.enter_context(checked_out(plan.top, revision))
                sides[revision] = _side(plan, revision, files)
            # The first process of each revision has one memory layout, the second another.
            layout = plan.processes - missing[revision] + number + 1
            measurement = _measure(plan, revision, sides[revision], measure, control, clock, layout)
            histories.append(plan.folder, plan.machine, measurement)
            recorded += 1
            if measurement.failure is not None:
                total -= missing.pop(revision) - 1
                say(f"{revision[:10]} cannot run the suite: {measurement.failure}")
            left = (clock() - began) / recorded * (total - recorded)
            say(f"{recorded} of {total} processes, {revision[:10]}; about {max(0.0, left) / 60:.1f} minutes left")
    return recorded


def digest(suite: Path) -> str:
    """A name for what the files of a suite hold: the ruler."""
    files = sorted(suite.rglob("*.py")) if suite.is_dir() else [suite]
    content = hashlib.sha256()
    for file in files:
        content.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return content.hexdigest()[:16]


def installed_packages() -> dict[str, str]:
    """Version of Python and of every installed package, without those whose files lie in a checkout."""
    found = {"python": platform.python_version()}
    for distribution in importlib.metadata.distributions():
        origin = json.loads(distribution.read_text("direct_url.json") or "{}")
        if "dir_info" not in origin and distribution.metadata["Name"]:
            found.setdefault(distribution.metadata["Name"].lower().replace("_", "-"), distribution.version)
    return dict(sorted(found.items()))


def _rounds(missing: Mapping[str, int]) -> Iterator[tuple[int, str]]:
    """The number of a round from 0, and a revision: each once a round for as many rounds as it lacks.

    Every other round goes backwards.
    """
    for number in range(max(missing.values(), default=0)):
        turn = [revision for revision, lacking in missing.items() if lacking > number]
        yield from ((number, revision) for revision in (turn if number % 2 == 0 else reversed(turn)))


def _side(plan: Plan, revision: str, files: Path) -> Side:
    """The revision's files, with the suite of the checkout laid over its own: every revision meets the same ruler."""
    here, there = plan.top / plan.suite, files / plan.suite
    if there.is_dir():
        shutil.rmtree(there)
    there.parent.mkdir(parents=True, exist_ok=True)
    if here.is_dir():
        shutil.copytree(here, there, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(here, there)
    return Side(revision[:10], files, sys.executable, plan.suite, import_paths=import_paths(files))


def _measure(
    plan: Plan,
    revision: str,
    side: Side,
    measure: Measure,
    control: Callable[[], Control],
    clock: Callable[[], float],
    layout: int,
) -> Measurement:
    """One process, and the control before and after it."""
    measured_at = datetime.now(UTC).isoformat(timespec="seconds")
    start = clock()
    before = control()
    measured = measure(side, layout=layout)
    after = control()
    passed = {case for case, (outcome, _) in measured.outcomes.items() if outcome == "passed"}
    cases = {
        case: CaseTimes.of_rounds([seconds for rounds in passes for seconds in rounds])
        for case, passes in measured.seconds.items()
        if case in passed
    }
    return Measurement(
        revision=revision,
        suite=plan.suite,
        suite_digest=plan.suite_digest,
        measured_at=measured_at,
        elapsed_seconds=clock() - start,
        packages=plan.packages,
        system=plan.system,
        cases=cases,
        controls={
            name: statistics.mean((getattr(before, field), getattr(after, field))) for field, name in _CONTROLS.items()
        },
        failure=None if cases else _failure(plan, measured),
    )


def _failure(plan: Plan, measured: Measured) -> str:
    """Why nothing was measured. Raises NoBenchmarks when the suite has none to measure."""
    reasons = [*measured.broken.values(), *(reason for _, reason in measured.outcomes.values() if reason)]
    failed = [reason for outcome, reason in measured.outcomes.values() if outcome == "failed"]
    if measured.status in (0, 5) and not measured.broken and not failed:
        raise NoBenchmarks(
            f"suite {plan.suite} has no benchmark: expected tests that use pytest-benchmark's `benchmark` fixture"
            + (f" (skipped: {reasons[0]})" if reasons else "")
        )
    said = [line for line in measured.output.splitlines() if line.strip()]
    return (reasons or said or [f"pytest ended with {measured.status}"])[-1 if not reasons else 0][:300]
