"""Run folders as they are read: records, pooled cases, peaks, bounds, and a sentence for each broken line.

A campaign's folder is read as one run for each of its machines.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from benchmarks.limits.bounds import Bound, bound
from benchmarks.limits.peak import Peak
from benchmarks.limits.peak_index import PeakIndex
from benchmarks.presentation.plain_text import clean
from benchmarks.runs.campaign import is_campaign
from benchmarks.runs.merging import MergedRun, merged
from benchmarks.runs.packing import is_pack, pack_stem, read_pack
from benchmarks.runs.peaks_in_records import read_peaks
from benchmarks.runs.pooling import PooledCase, by_workload, pool
from benchmarks.store import StoreError, open_run, resume_command
from benchmarks.trial import Trial
from benchmarks.workload import Case, Workload

Folder: TypeAlias = str | os.PathLike[str]

TARGET_INTERVAL = 0.05
"""The interval asked for by a run whose record does not say."""


@dataclasses.dataclass(frozen=True, eq=False)
class LoadedRun:
    """One run as read: its label in tables, its record, its cases, and a sentence for each broken line."""

    label: str
    folder: Path
    """The run's folder, or the file of a packed run; the campaign's folder for a machine of one."""
    record: Mapping[str, Any]
    cases: Mapping[Case, PooledCase]
    problems: Sequence[str]
    machine: str = ""
    """The machine's name in tables: the kind of machine in a campaign, else the short name in the record."""
    cautions: Sequence[str] = ()
    """Sentences on what is missing, and on machines that were not as they should be."""

    @property
    def report_folder(self) -> Path:
        """The folder for a report of it: its own, or one beside a packed run."""
        return self.folder.with_name(f"{pack_stem(self.folder)}-report") if is_pack(self.folder) else self.folder

    @property
    def resume_command(self) -> str:
        """The command that goes on with it; empty for a packed run, and for a campaign, which its jobs go on with.

        A folder within the current one is named from there.
        """
        if is_pack(self.folder) or is_campaign(self.folder):
            return ""
        found = self.record.get("implementations")
        folder = self.folder.absolute()
        here = Path.cwd()
        named = folder.relative_to(here) if folder.is_relative_to(here) else self.folder
        return resume_command(named, found if isinstance(found, dict) else {})

    @functools.cached_property
    def workloads(self) -> dict[Workload, dict[str, PooledCase]]:
        """{workload: {implementation: case}}, in the order in which they were first measured."""
        return by_workload(self.cases)

    @functools.cached_property
    def peaks(self) -> Sequence[Peak]:
        """The peaks in the run's record, without entries that are no peak."""
        return read_peaks(self.record)

    @functools.cached_property
    def bounds(self) -> Mapping[Workload, Bound | None]:
        """{workload: its bound by the run's peaks}; None where no rate of its settings was measured."""
        return {workload: bound(workload, self.peaks_of(workload)) for workload in self.workloads}

    @functools.cached_property
    def _peak_index(self) -> PeakIndex:
        return PeakIndex(self.peaks)

    def peaks_of(self, workload: Workload) -> list[Peak]:
        """The peaks that the bounds of a workload follow from."""
        return self._peak_index.of(workload)


def load_runs(folders: Folder | Sequence[Folder], labels: Sequence[str] | None = None) -> list[LoadedRun]:
    """Read one run or several, from run folders or from files that `pack` made.

    The folder of a campaign is read as a run for each of its machines: CAMPAIGN/MACHINE, or MACHINE alone where the
    campaign is the only folder and has no label.

    Raises StoreError for a folder that holds no run, ValueError when there are no folders or the labels are not one for
    each folder, all different.
    """
    paths = [Path(folders)] if isinstance(folders, str | os.PathLike) else [Path(folder) for folder in folders]
    if not paths:
        raise ValueError("no run is given; expected one run folder or more")
    names = _labels(paths) if labels is None else [clean(label) for label in labels]
    if len(names) != len(paths) or len(set(names)) != len(names):
        raise ValueError(f"labels are {names}; expected {len(paths)}, all different: one for each run")
    alone = labels is None and len(paths) == 1
    return [run for path, name in zip(paths, names, strict=True) for run in _load(path, name, alone)]


def _load(folder: Path, label: str, alone: bool) -> list[LoadedRun]:
    if is_campaign(folder):
        return [
            _of_machine(folder, found, found.machine if alone else f"{label}/{found.machine}")
            for found in merged(folder)
        ]
    if is_pack(folder):
        record, reading = read_pack(folder)
    else:
        run = open_run(folder)
        record, reading = run.record, run.read()
    cases = pool((_cleaned(trial) for trial in reading.trials), target_interval(record))
    machine = record.get("machine")
    key = machine.get("key") if isinstance(machine, dict) else None
    name = clean(key) if isinstance(key, str) else ""
    return [LoadedRun(label, folder, record, cases, tuple(map(clean, reading.problems)), name)]


def _of_machine(folder: Path, found: MergedRun, label: str) -> LoadedRun:
    cases = pool((_cleaned(trial) for trial in found.trials), target_interval(found.record))
    problems = tuple(map(clean, found.problems))
    return LoadedRun(label, folder, found.record, cases, problems, found.machine, tuple(found.cautions))


def once_per_machine(record: Mapping[str, Any]) -> dict[str, float]:
    """{implementation: seconds of its first use on a machine, with nothing kept from earlier}, of a run's record.

    It is the most of all cells and dtypes of the sweep. Entries that are no time are left out.
    """
    found = record.get("once_per_machine")
    known: dict[str, float] = {}
    for name, costs in (found if isinstance(found, dict) else {}).items():
        values = costs.values() if isinstance(costs, dict) else ()
        seconds = [float(each) for each in values if isinstance(each, int | float) and 0 < each < math.inf]
        if seconds:
            known[clean(name)] = max(seconds)
    return known


def target_interval(record: Mapping[str, Any]) -> float:
    """The interval that the run's sweep asked for: half of it, as a share of the median."""
    sweep = record.get("sweep")
    asked = sweep.get("target_interval") if isinstance(sweep, Mapping) else None
    return float(asked) if isinstance(asked, int | float) and 0 < asked < 1 else TARGET_INTERVAL


def _cleaned(trial: Trial) -> Trial:
    """The trial with texts that can be shown: a stranger's may hold terminal escapes or break a table."""
    texts = (trial.case.implementation, trial.source, trial.reason or "", trial.lost or "")
    if all(text.isprintable() for text in texts):
        return trial
    return dataclasses.replace(
        trial,
        case=Case(clean(trial.case.implementation), trial.case.workload),
        source=clean(trial.source),
        reason=None if trial.reason is None else clean(trial.reason),
        lost=None if trial.lost is None else clean(trial.lost),
    )


def _labels(paths: Sequence[Path]) -> list[str]:
    """The names of folders and packed runs, each with as many parent folders as make them different.

    Raises StoreError when one is given twice.
    """
    whole = [path.absolute() for path in paths]
    if len(set(whole)) != len(whole):
        raise StoreError(f"{', '.join(map(str, paths))}: the same run twice; name each once")
    stems = [path.with_name(pack_stem(path)) if is_pack(path) else path for path in whole]
    # A packed run may lie beside the folder that it was made of, and have its name.
    parts = [path.parts for path in (stems if len(set(stems)) == len(stems) else whole)]
    for depth in range(1, max(map(len, parts)) + 1):
        names = ["/".join(part[-depth:]) for part in parts]
        if len(set(names)) == len(names):
            return [clean(name) for name in names]
    raise AssertionError("absolute paths that differ have names that differ")
