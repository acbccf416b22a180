"""Measure the releases of a package in groups of interleaved processes, and append them to the machine's history.

One revision of the project runs its suite in an environment for each release. The groups are those of `track`: the
anchor is a release that is in every group.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks import machine
from benchmarks.files import check_writable, scratch_folder
from benchmarks.history import folder as histories
from benchmarks.history.commits import checked_out
from benchmarks.history.grouping import (
    MeasureTogether,
    PreparedMembers,
    measure_as_regress,
    measure_missing,
    new_record,
)
from benchmarks.history.plan import digest
from benchmarks.history.record import Measurement
from benchmarks.measuring.conditions.lock import measuring_alone
from benchmarks.regression.dry_run import dry_run
from benchmarks.regression.environments.preparing import Preparation
from benchmarks.regression.environments.releases import Release, in_order_of_versions
from benchmarks.regression.environments.requirements import Needs
from benchmarks.regression.environments.revisions import (
    Revision,
    remove_abandoned,
    remove_worktrees,
    resolve,
    top_of_checkout,
)
from benchmarks.regression.environments.variants import Variant
from benchmarks.regression.processes.process_record import ProcessRecord
from benchmarks.regression.processes.pytest_command import Side
from benchmarks.regression.regress import suite_path


@dataclasses.dataclass(frozen=True)
class ReleasesPlan:
    """The releases to measure, by the suite of one revision."""

    top: Path
    """The top of the checkout."""
    revision: str
    """The commit in full whose suite and code run with every release."""
    releases: tuple[Release, ...]
    suite: str
    """The path of the suite from the top."""
    suite_digest: str
    processes: int
    """How many processes each release is to have."""
    folder: Path
    """The folder of the history."""
    machine: str
    system: Mapping[str, str]
    needs: Needs

    def missing(self) -> dict[str, int]:
        """{version: processes that are still to be measured}; a release that cannot run the suite needs none."""
        counts = {each.version: self.processes for each in self.releases}
        for process in histories.read(self.folder, self.machine)[0]:
            if process.version in counts and self._is_mine(process):
                failed = process.failure is not None
                counts[process.version] = 0 if failed else max(0, counts[process.version] - 1)
        return counts

    def anchors(self) -> list[str]:
        """The versions that can be the anchor, the best first: those recorded first, then the oldest."""
        mine = [each for each in histories.read(self.folder, self.machine)[0] if self._is_mine(each)]
        failed = {each.version for each in mine if each.failure is not None}
        known = [each.version for each in self.releases]
        recorded = [each.version for each in mine if each.version in known]
        return [each for each in dict.fromkeys([*recorded, *in_order_of_versions(known)]) if each not in failed]

    def _is_mine(self, process: Measurement) -> bool:
        mine = (self.revision, self.releases[0].package, self.suite, self.suite_digest)
        return (process.revision, process.package, process.suite, process.suite_digest) == mine


def plan_releases(
    here: Path,
    releases: list[Release],
    *,
    rev: str | None,
    suite: str,
    processes: int,
    needs: Needs,
    folder: Path | None = None,
) -> ReleasesPlan:
    """The plan that the options of the command line make; the arguments are those of `plan_track`.

    Raises ValueError when `here` is in no checkout, when there is no such revision or suite, or for no process.
    """
    top = top_of_checkout(here)
    if processes < 1:
        raise ValueError(f"--processes is {processes}; expected 1 or more, and 3 or more to know the noise")
    path = suite_path(here, top, suite)
    if not (top / path).exists():
        raise ValueError(f"--suite is {suite}, which is not there; expected a folder or file of tests")
    described = machine.describe_machine()
    return ReleasesPlan(
        top=top,
        revision=resolve(top, rev or "HEAD"),
        releases=tuple(releases),
        suite=path,
        suite_digest=digest(top / path),
        processes=processes,
        folder=top / histories.HISTORY if folder is None else folder,
        machine=described["key"],
        system={name: text for name, text in described["system"].items() if isinstance(text, str)},
        needs=needs,
    )


def track_releases(
    plan: ReleasesPlan,
    say: Callable[[str], None],
    *,
    dry_run: Callable[[Side], ProcessRecord] = dry_run,
    measure: MeasureTogether = measure_as_regress,
    clock: Callable[[], float] = time.perf_counter,
) -> int:
    """Measure the processes that the plan still needs, and return how many were recorded.

    Those of the anchor, the release that is in every group of interleaved processes, count too. `say` is told of
    problems and progress, `clock` gives seconds. Raises ValueError where an environment cannot be
    built for any release, StoreError where the history cannot be added to.
    """
    histories.check(plan.folder, plan.machine)
    missing = {version: lacking for version, lacking in plan.missing().items() if lacking}
    if not missing:
        return 0
    check_writable("--history", plan.folder)
    remove_abandoned(say)
    with contextlib.ExitStack() as stack:
        stack.enter_context(measuring_alone("a track of releases", say))
        prepared = _PreparedReleases(plan, stack, dry_run, say)
        return measure_missing(plan, missing, prepared, say, measure=measure, clock=clock)


class _PreparedReleases(PreparedMembers[ReleasesPlan]):
    """Releases, each in an environment of its own."""

    def __init__(
        self,
        plan: ReleasesPlan,
        stack: contextlib.ExitStack,
        dry_run: Callable[[Side], ProcessRecord],
        say: Callable[[str], None],
    ) -> None:
        super().__init__(plan, say)
        self._stack, self._dry_run = stack, dry_run
        self._releases = {each.version: each for each in plan.releases}
        self._packages: dict[str, Mapping[str, str]] = {}

    def record(self, member: str, failure: str | None = None) -> Measurement:
        return dataclasses.replace(
            new_record(self._plan, self._plan.revision, self._packages.get(member, {}), failure),
            package=self._releases[member].package,
            version=member,
            released=self._releases[member].released,
        )

    def name(self, member: str) -> str:
        return member

    def _prepare(self, member: str) -> tuple[Side, ProcessRecord] | str:
        plan = self._plan
        files = self._stack.enter_context(checked_out(plan.top, plan.revision))
        builds = self._stack.enter_context(scratch_folder("builds"))
        self._stack.callback(remove_worktrees, builds)
        preparation = Preparation(
            plan.top,
            plan.suite,
            builds,
            dry_run=self._dry_run,
            say=self._say,
            needs=plan.needs,
            variants={member: Variant((self._releases[member].requirement,))},
        )
        revision = Revision(plan.revision, plan.revision, dirty=False, folder=files)
        try:
            ready = preparation.one(member, revision, own=True)
        except ValueError as error:
            return str(error)[:300]
        self._packages[member] = preparation.installed[member]
        return ready.side, ready.dry_run
