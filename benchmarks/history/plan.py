"""The plan of a `track`: revisions, suite, packages and machine; and the processes that are not recorded yet."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks import machine
from benchmarks.history import folder as histories
from benchmarks.history.commits import commits_in_range, in_order
from benchmarks.history.record import Measurement
from benchmarks.history.suite_check import refuse_measured_code
from benchmarks.regression.environments.installed import installed_packages
from benchmarks.regression.environments.revisions import resolve, top_of_checkout
from benchmarks.regression.regress import suite_path


@dataclasses.dataclass(frozen=True)
class TrackPlan:
    """The revisions to measure, and the suite, machine and packages to measure them with."""

    top: Path
    """The top of the checkout."""
    revisions: tuple[str, ...]
    """The commits in full, in order."""
    suite: str
    """The path of the suite from the top."""
    processes: int
    """How many processes each revision is to have."""
    folder: Path
    """The folder of the history."""
    machine: str
    packages: Mapping[str, str]
    """The version of Python and of every installed package."""
    system: Mapping[str, str]
    suite_digest: str
    """The digest of the suite's files."""

    def missing(self) -> dict[str, int]:
        """{revision: processes that are still to be measured} on this machine, with these packages and this suite.

        A revision that cannot run the suite needs none.
        """
        counts = dict.fromkeys(self.revisions, self.processes)
        for process in histories.read(self.folder, self.machine)[0]:
            if process.revision in counts and self._is_mine(process):
                failed = process.failure is not None
                counts[process.revision] = 0 if failed else max(0, counts[process.revision] - 1)
        return counts

    def anchors(self) -> list[str]:
        """The revisions that can be the anchor, the best first: those recorded first, then those to be measured."""
        processes = histories.read(self.folder, self.machine)[0]
        recorded = [process.revision for process in processes if process.failure is None]
        failed = {process.revision for process in processes if process.failure is not None and self._is_mine(process)}
        there = set(in_order(self.top, recorded))
        candidates = [*(revision for revision in recorded if revision in there), *self.revisions]
        return [revision for revision in dict.fromkeys(candidates) if revision not in failed]

    def _is_mine(self, process: Measurement) -> bool:
        mine = (self.suite, self.suite_digest, dict(self.packages))
        return (process.suite, process.suite_digest, dict(process.packages)) == mine


def plan_track(
    here: Path, names: Sequence[str], span: str | None, *, suite: str, processes: int, folder: Path | None = None
) -> TrackPlan:
    """The plan that the options of the command line make.

    Args:
        here: A folder in the checkout.
        names: The revisions to measure; HEAD where there are neither names nor a range.
        span: A range A..B of revisions.
        suite: The path of the suite from `here`.
        processes: How many processes each revision is to have.
        folder: The folder of the history; the project's own if None.

    Raises ValueError when `here` is in no checkout, when there is no such revision, range or suite, when the suite
    holds code that it measures, or for less than one process.
    """
    top = top_of_checkout(here)
    revisions = [resolve(top, name) for name in names] + (commits_in_range(top, span) if span is not None else [])
    if processes < 1:
        raise ValueError(f"--processes is {processes}; expected 1 or more, and 3 or more to know the noise")
    path = suite_path(here, top, suite)
    if not (top / path).exists():
        raise ValueError(f"--suite is {suite}, which is not there; expected a folder or file of tests")
    if not ((top / path).is_dir() or (top / path).is_file()):
        raise ValueError(f"--suite is {suite}, which is no regular file; expected a folder or file of tests")
    refuse_measured_code(top, path)
    described = machine.describe_machine()
    return TrackPlan(
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


def digest(suite: Path) -> str:
    """The digest of the files of a suite, 16 hexadecimal digits."""
    # A named pipe never ends, and a link may lead nowhere.
    files = sorted(path for path in suite.rglob("*.py") if path.is_file()) if suite.is_dir() else [suite]
    content = hashlib.sha256()
    for file in files:
        content.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return content.hexdigest()[:16]
