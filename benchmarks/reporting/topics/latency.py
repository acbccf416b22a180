"""The times of all calls of streams and of serving, case by case: percentiles, deadlines, what a silence costs."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from benchmarks.latencies import Latencies
from benchmarks.runs.loading import LoadedRun
from benchmarks.runs.pooling import PooledCase
from benchmarks.statistics import Estimate
from benchmarks.sweeps import Sweep
from benchmarks.workload import Workload

PERCENTILES = (50.0, 99.0, 99.9)
MEETS = 99.9
"""Percentage of calls that have to be done by a deadline for a network to meet it."""
LATE_SHARE = 1 - MEETS / 100 + 1e-12
"""The share of calls that may be late."""
_NONE = Estimate(math.nan, math.nan, math.nan)


@dataclasses.dataclass(frozen=True, eq=False)
class LatencyCase:
    """One case whose calls' times were kept, over all its visits."""

    run: str
    pooled: PooledCase
    latencies: Latencies
    after_silence: tuple[float, ...]
    """Seconds of the first call after a silence, one a visit."""

    @property
    def workload(self) -> Workload:
        """The workload of the case."""
        return self.pooled.case.workload

    @property
    def implementation(self) -> str:
        """Its name in the run."""
        return self.pooled.case.implementation

    @property
    def source(self) -> str:
        """The argument of `rnnimpl.load` for it."""
        return self.pooled.source

    def percentile(self, percent: float) -> Estimate | None:
        """Seconds that so many percent of calls do not exceed; None with too few calls."""
        return self.latencies.percentile(percent)

    @property
    def sequences_per_second(self) -> Estimate:
        """Sequences a second of all processes together, whose calls follow each other without a pause."""
        mean, made = self.latencies.mean, self.workload.processes * self.workload.B
        return Estimate(made / mean.median, made / mean.high, made / mean.low)


def latency_cases(runs: Iterable[LoadedRun]) -> list[LatencyCase]:
    """The cases of runs with the time of every call, in the order in which they were measured."""
    return [
        _case(run.label, case)
        for run in runs
        for case in run.cases.values()
        if any(t.latencies for t, _ in case.visits)
    ]


def _case(run: str, case: PooledCase) -> LatencyCase:
    trials = [trial for trial, _ in case.visits if trial.latencies]
    silent = tuple(t.after_silence_seconds for t in trials if t.after_silence_seconds is not None)
    texts = [text for trial in trials for text in trial.latencies]
    return LatencyCase(run, case, Latencies.decode(texts), silent)


def latency_frame(cases: Iterable[LatencyCase]) -> pd.DataFrame:
    """A row a case: its workload, calls, percentiles with the bounds of their intervals, worst, rate, silence.

    Times are in seconds; a percentile with too few calls beyond it is NaN.
    """
    return pd.DataFrame([_row(case) for case in cases])


def _row(case: LatencyCase) -> dict[str, Any]:
    row: dict[str, Any] = {"run": case.run, "implementation": case.implementation, "workload": case.workload.id}
    row |= {name: getattr(case.workload, name) for name in ("mode", "T", "B", "I", "H", "L", "cell")}
    row |= {name: getattr(case.workload, name) for name in ("threads", "processes", "caches")}
    row["calls"] = case.latencies.calls
    for percent in PERCENTILES:
        found = case.percentile(percent) or _NONE
        name = f"p{percent:g}".replace(".", "_")
        row |= {f"{name}_seconds": found.median, f"{name}_low": found.low, f"{name}_high": found.high}
    rate = case.sequences_per_second
    row |= {"worst_seconds": case.latencies.worst}
    row |= {"sequences_per_second": rate.median, "sequences_low": rate.low, "sequences_high": rate.high}
    row["after_silence_seconds"] = statistics.median(case.after_silence) if case.after_silence else math.nan
    return row


def deadlines(record: Mapping[str, Any]) -> tuple[float, ...]:
    """The deadlines of a run's sweep in seconds; those of any sweep where the record has none that can be."""
    sweep = record.get("sweep")
    found = sweep.get("deadlines_seconds") if isinstance(sweep, Mapping) else None
    given = found if isinstance(found, list) else []
    known = [float(each) for each in given if type(each) in (int, float) and 0 < each < math.inf]
    return tuple(sorted(known)) or Sweep.deadlines_seconds


def largest_in_time(cases: Iterable[LatencyCase], seconds: float) -> LatencyCase | None:
    """The largest network that meets a deadline: surely no more than `MEETS` leaves of its calls are late.

    `cases` are of one implementation and differ in H. A size counts only if every smaller one meets the deadline too.
    """
    largest = None
    for case in sorted(cases, key=lambda case: case.workload.H):
        if not case.latencies.share_beyond(seconds).high <= LATE_SHARE:
            break
        largest = case
    return largest


@dataclasses.dataclass(frozen=True)
class Twins:
    """One source under two names, at one percentile: how far the larger is above the smaller, over workloads."""

    source: str
    one: str
    other: str
    percent: float
    apart: tuple[float, ...]
    """Larger over smaller minus 1, one a workload."""


def twins(cases: Sequence[LatencyCase]) -> list[Twins]:
    """Every pair of names with the same source, at each percentile, in streams and serving of one run."""
    found: list[Twins] = []
    by_workload: dict[tuple[str, str], list[LatencyCase]] = {}
    for case in cases:
        by_workload.setdefault((case.run, case.workload.id), []).append(case)
    pairs: dict[tuple[str, str, str], list[tuple[LatencyCase, LatencyCase]]] = {}
    for together in by_workload.values():
        ordered = sorted(together, key=lambda case: case.implementation)
        for place, one in enumerate(ordered):
            for other in ordered[place + 1 :]:
                if one.source == other.source:
                    pairs.setdefault((one.source, one.implementation, other.implementation), []).append((one, other))
    for (source, one_name, other_name), of_names in pairs.items():
        for percent in PERCENTILES:
            both = [(one.percentile(percent), other.percentile(percent)) for one, other in of_names]
            medians = [(one.median, other.median) for one, other in both if one is not None and other is not None]
            if medians:
                apart = tuple(max(pair) / min(pair) - 1 for pair in medians)
                found.append(Twins(source, one_name, other_name, percent, apart))
    return found
