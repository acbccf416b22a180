"""The findings in a machine's history: the series of each case, its noise, and its changes by code and environment."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.history import folder as histories
from benchmarks.history.causes import EnvironmentChange, changed, environment_changes
from benchmarks.history.commits import in_order, subjects_between
from benchmarks.history.record import Measurement
from benchmarks.history.series import CaseSeries, series_of
from benchmarks.history.steps import Noise, StepChange, find_steps, levels_end, noise_of
from benchmarks.regression.environments.releases import in_order_of_versions
from benchmarks.regression.environments.revisions import top_of_checkout
from benchmarks.store import StoreError


@dataclasses.dataclass(frozen=True)
class CodeChange:
    """A step between revisions."""

    step: StepChange
    interleaved: bool
    """Whether the revisions before and after the step were each measured interleaved with others.

    Otherwise a change of the machine may have made the step."""
    commits: tuple[str, ...]
    """The commits that the step lies in, each as `abc1234 subject`, the newest first.

    Of a step between releases, the packages that differ, each as `numpy 2.1 → 2.2`."""
    origin: str = "code"
    """`code`, or `release` between releases of a package."""

    @property
    def kind(self) -> str:
        """The origin of the step, with `or machine` where that may have made it."""
        return self.origin if self.interleaved else f"{self.origin} or machine"


@dataclasses.dataclass(frozen=True)
class CaseHistory:
    """The history of one case on one machine."""

    series: CaseSeries
    noise: Noise | None
    """The noise of the revisions' values; None where there are too few."""
    changes: tuple[CodeChange, ...]
    environment_changes: tuple[EnvironmentChange, ...]
    cases: int
    """The number of cases that were searched together."""

    @property
    def least_visible(self) -> float | None:
        """The smallest step, as a log ratio, that would be found in the middle of the series; None for no step."""
        revisions = len(self.series.revisions)
        if self.noise is None or revisions < 4:
            return None
        return self.noise.least_visible(revisions, self.cases)


@dataclasses.dataclass(frozen=True)
class MachineHistory:
    """The history of one machine."""

    machine: str
    cases: tuple[CaseHistory, ...]
    """All cases, those with steps first."""
    problems: tuple[str, ...]
    """Sentences on lines and commits that were passed over."""
    failures: tuple[str, ...]
    """`abc1234: reason` of each revision, or release, that could not run the suite."""
    package: str = ""
    """The package whose releases are the revisions of the series; empty where these are commits."""
    suite_revision: str = ""
    """The commit whose suite ran with each release."""
    released: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """{release: the day on which it came out}, as far as it is known."""

    @property
    def title(self) -> str:
        """The machine, and what was tracked on it, where that is not the project itself."""
        return f"{self.machine}, {self.package} by {self.suite_revision[:7]}" if self.package else self.machine

    @property
    def stem(self) -> str:
        """The beginning of the names of its files."""
        return f"history-{self.machine}" + (f"-{self.package}-{self.suite_revision[:7]}" if self.package else "")


def find_history(here: Path, folder: Path | None = None, pattern: str | None = None) -> list[MachineHistory]:
    """Read every machine's history and find the steps in it.

    Args:
        here: A folder in the checkout of the project.
        folder: The folder of the history; the project's own if None.
        pattern: Part of the names of the cases, with `*` for any text; all cases if None.

    Raises ValueError when `here` is in no checkout, StoreError when there is no history or the pattern matches no case,
    NoRuptures without the library.
    """
    top = top_of_checkout(here)
    folder = top / histories.HISTORY if folder is None else folder
    found = []
    for machine in histories.machines(folder):
        of_releases = release_histories(folder, machine, pattern)
        of_commits = machine_history(top, folder, machine, pattern)
        found += [*([of_commits] if of_commits.cases or not of_releases else []), *of_releases]
    if not any(machine.cases for machine in found):
        what = f"no case that matches {pattern!r}" if pattern else "no case that was measured"
        problems = "".join(f"; {problem}" for machine in found for problem in machine.problems[:3])
        raise StoreError(
            f"{folder} holds {what} of a commit in {top}: fetch the commits, or give another --case{problems}"
        )
    return found


def machine_history(top: Path, folder: Path, machine: str, pattern: str | None = None) -> MachineHistory:
    """Read the history of one machine and find the steps in it; `top` is the checkout that has the commits."""
    recorded, problems = histories.read(folder, machine)
    measured = [process for process in recorded if not process.package]
    order = in_order(top, (process.revision for process in measured))
    missing = {process.revision for process in measured} - set(order)
    if missing:
        names = ", ".join(sorted(revision[:10] for revision in missing))
        problems.append(f"left out, since this checkout has no such commits: {names}")
    series = series_of(measured, order, pattern)
    between = functools.partial(subjects_between, top)
    cases = [_case_history(each, len(series), between, "code") for each in series]
    failures = {process.revision: process.failure for process in measured if process.failure is not None}
    return MachineHistory(
        machine,
        tuple(sorted(cases, key=lambda case: (-len(case.changes), case.series.case))),
        tuple(problems),
        tuple(f"{revision[:10]}: {failures[revision]}" for revision in order if revision in failures),
    )


def release_histories(folder: Path, machine: str, pattern: str | None = None) -> list[MachineHistory]:
    """The histories of the packages whose releases were measured on a machine, one for each commit with a suite."""
    groups: dict[tuple[str, str], list[Measurement]] = {}
    for process in histories.read(folder, machine)[0]:
        if process.package:
            groups.setdefault((process.package, process.revision), []).append(process)
    return [_release_history(machine, *group, pattern) for group in groups.items()]


def _release_history(
    machine: str, tracked: tuple[str, str], measured: Sequence[Measurement], pattern: str | None
) -> MachineHistory:
    packages = {process.version: process.packages for process in measured}
    days = {process.version: process.released for process in measured}

    def between(before: str, after: str) -> list[str]:
        return changed(packages[before], packages[after])

    order = in_order_of_versions(list(packages))
    series = series_of([dataclasses.replace(each, revision=each.version) for each in measured], order, pattern)
    cases = [_case_history(each, len(series), between, "release") for each in series]
    return MachineHistory(
        machine,
        tuple(sorted(cases, key=lambda case: (-len(case.changes), case.series.case))),
        (),
        tuple(f"{each.version}: {each.failure}" for each in measured if each.failure is not None),
        package=tracked[0],
        suite_revision=tracked[1],
        released={version: days[version] for version in order if days[version]},
    )


def _case_history(
    series: CaseSeries, cases: int, between: Callable[[str, str], Sequence[str]], origin: str
) -> CaseHistory:
    """The history of a case; `between` names what lies between two revisions of the series."""
    steps: Sequence[StepChange] = find_steps(series.processes, cases)
    noise = noise_of(series.processes, levels_end(steps))
    changes = []
    for step in steps:
        before, after = series.revisions[step.last_before], series.revisions[step.first_after]
        subjects = tuple(between(before.revision, after.revision))
        changes.append(CodeChange(step, before.interleaved and after.interleaved, subjects, origin))
    return CaseHistory(series, noise, tuple(changes), tuple(environment_changes(series, cases)), cases)
