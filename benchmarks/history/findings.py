"""What a machine's history says: each case's series with its noise, its steps, and those that are not the code's."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from benchmarks.history import folder as histories
from benchmarks.history.causes import Elsewhere, elsewhere
from benchmarks.history.commits import in_order, subjects_between
from benchmarks.history.series import Series, series_of
from benchmarks.history.steps import Noise, Step, find_steps, levels_end, noise_of
from benchmarks.regression.revisions import top_of_checkout
from benchmarks.store import StoreError


@dataclasses.dataclass(frozen=True)
class Change:
    """A step between revisions, and the commits it lies in, `abc1234 subject`, newest first."""

    step: Step
    beside: bool
    """Whether the times before and after the step were each taken in turns with another revision.

    Else a change of the machine may have made the step."""
    commits: tuple[str, ...]

    @property
    def kind(self) -> str:
        """Where it comes from."""
        return "code" if self.beside else "code or machine"


@dataclasses.dataclass(frozen=True)
class CaseHistory:
    """One case on one machine."""

    series: Series
    noise: Noise | None
    changes: tuple[Change, ...]
    elsewhere: tuple[Elsewhere, ...]
    cases: int
    """How many were looked through together."""

    @property
    def least_visible(self) -> float | None:
        """The smallest step, as a log ratio, that would have been seen in the middle; None when none would."""
        revisions = len(self.series.points)
        if self.noise is None or revisions < 4:
            return None
        return self.noise.least_visible(revisions, self.cases)


@dataclasses.dataclass(frozen=True)
class MachineHistory:
    """All cases on one machine, those with steps first, and what is to be said of its file."""

    machine: str
    cases: tuple[CaseHistory, ...]
    problems: tuple[str, ...]
    failures: tuple[str, ...]
    """`abc1234: reason` of each revision that could not run the suite."""


def find_history(here: Path, folder: Path | None = None, pattern: str | None = None) -> list[MachineHistory]:
    """Read every machine's history and find the steps in it; `here` is a folder of the project's checkout.

    Raises ValueError when it is in no checkout, StoreError when there is no history or the pattern matches no case,
    NoRuptures without the library.
    """
    top = top_of_checkout(here)
    folder = top / histories.HISTORY if folder is None else folder
    found = [_of_machine(top, folder, machine, pattern) for machine in histories.machines(folder)]
    if not any(machine.cases for machine in found):
        what = f"no case that matches {pattern!r}" if pattern else "no case that was measured"
        problems = "".join(f"; {problem}" for machine in found for problem in machine.problems[:3])
        raise StoreError(
            f"{folder} holds {what} of a commit in {top}: fetch the commits, or give another --case{problems}"
        )
    return found


def _of_machine(top: Path, folder: Path, machine: str, pattern: str | None) -> MachineHistory:
    measured, problems = histories.read(folder, machine)
    order = in_order(top, (process.revision for process in measured))
    missing = {process.revision for process in measured} - set(order)
    if missing:
        names = ", ".join(sorted(revision[:10] for revision in missing))
        problems.append(f"left out, for this checkout has no such commits: {names}")
    series = series_of(measured, order, pattern)
    cases = [_of_case(top, each, len(series)) for each in series]
    failures = {process.revision: process.failure for process in measured if process.failure is not None}
    return MachineHistory(
        machine,
        tuple(sorted(cases, key=lambda case: (-len(case.changes), case.series.case))),
        tuple(problems),
        tuple(f"{revision[:10]}: {failures[revision]}" for revision in order if revision in failures),
    )


def _of_case(top: Path, series: Series, cases: int) -> CaseHistory:
    steps: Sequence[Step] = find_steps(series.processes, cases)
    noise = noise_of(series.processes, levels_end(steps))
    changes = []
    for step in steps:
        before, after = series.points[step.last_before], series.points[step.first_after]
        subjects = tuple(subjects_between(top, before.revision, after.revision))
        changes.append(Change(step, before.beside and after.beside, subjects))
    return CaseHistory(series, noise, tuple(changes), tuple(elsewhere(series, cases)), cases)
