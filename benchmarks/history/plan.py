"""What is to be measured, with which suite and packages, on which machine; and what of it is recorded already."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks import machine
from benchmarks.history import folder as histories
from benchmarks.history.commits import commits_in_range, in_order
from benchmarks.history.record import Measurement
from benchmarks.history.rulers import refuse_measured_code
from benchmarks.regression.regress import suite_path
from benchmarks.regression.revisions import resolve, top_of_checkout


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

    def anchors(self) -> list[str]:
        """What can be the anchor, the best first: by the oldest record of this machine, then what is to be measured."""
        processes = histories.read(self.folder, self.machine)[0]
        recorded = [process.revision for process in processes if process.failure is None]
        failed = {process.revision for process in processes if process.failure is not None and self._is_mine(process)}
        there = set(in_order(self.top, recorded))
        candidates = [*(revision for revision in recorded if revision in there), *self.revisions]
        return [revision for revision in dict.fromkeys(candidates) if revision not in failed]

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
    if not ((top / path).is_dir() or (top / path).is_file()):
        raise ValueError(f"--suite is {suite}, which is no regular file; expected a folder or file of tests")
    refuse_measured_code(top, path)
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


def digest(suite: Path) -> str:
    """A name for what the files of a suite hold: the ruler."""
    # A named pipe would never end, and a link may lead nowhere.
    files = sorted(path for path in suite.rglob("*.py") if path.is_file()) if suite.is_dir() else [suite]
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
