"""Run folders as they are read: records, pooled cases, peaks, bounds, and a sentence for each broken line."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from benchmarks.limits.bounds import Bound, bound
from benchmarks.limits.peak import Peak
from benchmarks.presentation.plain_text import clean
from benchmarks.runs.pooling import PooledCase, by_workload, pool
from benchmarks.store import StoreError, open_run
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
    record: Mapping[str, Any]
    cases: Mapping[Case, PooledCase]
    problems: Sequence[str]

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
        return {workload: bound(workload, self.peaks) for workload in self.workloads}


def load_runs(folders: Folder | Sequence[Folder], labels: Sequence[str] | None = None) -> list[LoadedRun]:
    """Read one run or several. Without labels a run is called by its folder's name.

    Raises StoreError for a folder that holds no run, ValueError when there are no folders or the labels are not one for
    each run, all different.
    """
    paths = [Path(folders)] if isinstance(folders, str | os.PathLike) else [Path(folder) for folder in folders]
    if not paths:
        raise ValueError("no run is given; expected one run folder or more")
    names = _labels(paths) if labels is None else [clean(label) for label in labels]
    if len(names) != len(paths) or len(set(names)) != len(names):
        raise ValueError(f"labels are {names}; expected {len(paths)}, all different: one for each run")
    return [_load(path, name) for path, name in zip(paths, names, strict=True)]


def _load(folder: Path, label: str) -> LoadedRun:
    run = open_run(folder)
    reading = run.read()
    cases = pool((_cleaned(trial) for trial in reading.trials), target_interval(run.record))
    return LoadedRun(label, folder, run.record, cases, tuple(map(clean, reading.problems)))


def read_peaks(record: Mapping[str, Any]) -> list[Peak]:
    """The peaks in a run's record. Entries that are no peak, by a stranger or a later version, are left out."""
    found = record.get("peaks")
    peaks: list[Peak] = []
    for mapping in found if isinstance(found, list) else []:
        try:
            peaks.append(Peak.from_json(mapping))
        except (ValueError, TypeError, KeyError, AttributeError):
            continue
    return peaks


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
    """The folders' names, each with as many parent folders as make them different.

    Raises StoreError when one folder is given twice.
    """
    parts = [path.absolute().parts for path in paths]
    if len(set(parts)) != len(parts):
        raise StoreError(f"{', '.join(map(str, paths))}: the same run folder twice; name each once")
    longest = max(map(len, parts))
    for depth in range(1, longest + 1):
        names = ["/".join(part[-depth:]) for part in parts]
        if len(set(names)) == len(names):
            return [clean(name) for name in names]
    raise AssertionError("absolute paths that differ have names that differ")
