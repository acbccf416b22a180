"""`load_run`: run folders as one tidy pandas frame, a row a case; `load_samples`: every sample, a row each.

`docs/results.md` says what each column holds, with its unit. Statistics are computed here, on reading.
"""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.counts import flops, intensity
from benchmarks.limits.bounds import LIMIT_NAMES, Bound, peak_flops, share_of_attainable, what_bounds
from benchmarks.presentation.plain_text import clean
from benchmarks.quantity import OverVisits
from benchmarks.runs.loading import Folder, LoadedRun, load_runs
from benchmarks.runs.pooling import PooledCase, baseline, contenders, time_ratio
from benchmarks.statistics import Estimate
from benchmarks.trial import QUANTITIES, Trial
from benchmarks.workload import Workload

_OF_VISITS: Mapping[str, OverVisits] = {name: each.column for name, each in QUANTITIES.items() if each.column}
"""{quantity of a trial: which of its values over a case's visits the column of its name has}."""
_PREPARATION = ("setup_seconds", "first_call_seconds")

COLUMNS: Mapping[str, str] = {
    **dict.fromkeys(("run", "machine", "case", "workload", "implementation", "source", "mode"), "str"),
    **dict.fromkeys(("T", "B", "I", "H", "L"), "int64"),
    "bidirectional": "bool",
    "cell": "str",
    "bias": "bool",
    **dict.fromkeys(("dtype", "precision", "device"), "str"),
    **dict.fromkeys(("threads", "processes"), "int64"),
    **dict.fromkeys(("caches", "signal", "denormals", "lengths", "conditions"), "str"),
    "valid_steps": "int64",
    **dict.fromkeys(("status", "reason", "describe"), "str"),
    **dict.fromkeys(("rounds", "samples", "blocks"), "int64"),
    **dict.fromkeys(
        (
            *("median_seconds", "low_seconds", "high_seconds", "relative_half_width", "fast_seconds"),
            *("forward_seconds", "backward_seconds", "step_seconds", "sequences_per_second"),
            *("flops", "flops_per_second", "share_of_peak", "intensity"),
            *("bound_seconds", "share_of_attainable", "chain_seconds", "reached_seconds", "blas_seconds"),
            *("speedup", "speedup_low", "speedup_high", "slowdown", "slowdown_low", "slowdown_high"),
            *(*_PREPARATION, "payback_calls"),
            *(name for name in _OF_VISITS if name not in _PREPARATION),
            "lost_visits",
        ),
        "float64",
    ),
    "bound_by": "str",
}
"""Every column of `load_run` in order, with its pandas dtype."""

SAMPLE_COLUMNS: tuple[str, ...] = (
    *("run", "case", "workload", "implementation", "mode"),
    *("round", "block", "sample", "seconds", "backward_seconds"),
)
"""Every column of `load_samples` in order."""

_WORKLOAD_COLUMNS = tuple(field.name for field in dataclasses.fields(Workload))
_NO_ESTIMATE = Estimate(math.nan, math.nan, math.nan)


def load_run(folder: Folder | Sequence[Folder], *more: Folder, labels: Sequence[str] | None = None) -> pd.DataFrame:
    """One run folder, or several, as a tidy frame: one row for each case of each run, columns as `COLUMNS`.

    `labels` name the runs in the column `run`; without them it holds the folders' names. Lines that are no trials are
    passed over with a warning. Raises StoreError for a folder that holds no run.
    """
    return runs_frame(_loaded(folder, more, labels))


def load_samples(folder: Folder | Sequence[Folder], *more: Folder, labels: Sequence[str] | None = None) -> pd.DataFrame:
    """Every sample in long form, columns as `SAMPLE_COLUMNS`, in measured order within a case.

    The arguments are those of `load_run`. Cases without times have no samples.
    """
    return _samples_frame(_loaded(folder, more, labels))


def runs_frame(runs: Sequence[LoadedRun]) -> pd.DataFrame:
    """The frame of `load_run` for runs that are loaded already."""
    return cases_frame(row for run in runs for row in _rows(run))


def cases_frame(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows as a frame with every column of `COLUMNS`; columns that follow from others are computed."""
    frame = pd.DataFrame(list(rows), columns=list(COLUMNS)).astype(dict(COLUMNS))
    frame["step_seconds"] = frame["median_seconds"] / frame["T"]
    frame["sequences_per_second"] = frame["B"] * frame["processes"] / frame["median_seconds"]
    frame["flops_per_second"] = frame["flops"] / frame["median_seconds"]
    return frame


def _loaded(folder: Folder | Sequence[Folder], more: Sequence[Folder], labels: Sequence[str] | None) -> list[LoadedRun]:
    first = list(folder) if isinstance(folder, Sequence) and not isinstance(folder, str) else [folder]
    runs = load_runs([*first, *more], labels)
    for problem in (problem for run in runs for problem in run.problems):
        warnings.warn(problem, stacklevel=3)
    return runs


def _rows(run: LoadedRun) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for workload, cases in run.workloads.items():
        limit = run.bounds[workload]
        shared = {"run": run.label, "machine": run.machine} | workload_columns(workload, limit)
        peak = peak_flops(workload, run.peaks_of(workload))
        fastest = min(contenders(cases).values(), key=_median, default=None)
        compared = baseline(cases)
        for case in cases.values():
            row = shared | _own_columns(case) | _against(case, compared, fastest)
            if case.estimate is not None and peak is not None:
                row["share_of_peak"] = shared["flops"] / case.estimate.median / peak
            if case.estimate is not None:
                row |= limit_columns(case.estimate.median, limit)
            rows.append(row)
    return rows


def workload_columns(workload: Workload, limit: Bound | None) -> dict[str, Any]:
    """The columns of a workload, which all implementations share."""
    known = {name: getattr(workload, name) for name in _WORKLOAD_COLUMNS}
    known |= {
        "workload": workload.id,
        "conditions": workload.conditions,
        "valid_steps": workload.valid_steps,
        "flops": flops(workload),
        "intensity": intensity(workload),
    }
    return known | _bounds(limit)


def limit_columns(seconds: float, limit: Bound | None) -> dict[str, Any]:
    """The columns of a call's time against its limit: its share of the attainable, and what bounds it."""
    if limit is None:
        return {}
    return {
        "share_of_attainable": share_of_attainable(seconds, limit),
        "bound_by": LIMIT_NAMES[what_bounds(seconds, limit)],
    }


def _bounds(limit: Bound | None) -> dict[str, float | None]:
    """The columns of a workload's bounds."""
    if limit is None:
        return {}
    return {
        "bound_seconds": limit.attainable_seconds,
        "chain_seconds": limit.chain_seconds,
        "reached_seconds": limit.reached_seconds,
        "blas_seconds": limit.blas_seconds,
    }


def _median(case: PooledCase) -> float:
    return math.inf if case.estimate is None else case.estimate.median


def _own_columns(case: PooledCase) -> dict[str, Any]:
    """The columns of a case that do not depend on other cases."""
    estimate = case.estimate or _NO_ESTIMATE
    return {
        "case": case.case.id,
        "implementation": case.case.implementation,
        "source": case.source,
        "status": case.status,
        "reason": case.reason,
        "describe": "; ".join(f"{clean(name)}: {clean(value)}" for name, value in case.last.describe.items()) or None,
        "rounds": len(case.trials),
        "samples": sum(len(trial.seconds) for trial, _ in case.visits),
        "blocks": sum(len(medians) for _, medians in case.visits),
        "median_seconds": estimate.median,
        "low_seconds": estimate.low,
        "high_seconds": estimate.high,
        "relative_half_width": estimate.relative_half_width,
        "fast_seconds": case.fast_seconds,
        "forward_seconds": case.part_median("forward"),
        "backward_seconds": case.part_median("backward"),
        "lost_visits": len(case.lost),
        **{name: over_visits(case.trials, name, which) for name, which in _OF_VISITS.items()},
    }


def _against(case: PooledCase, compared: PooledCase | None, fastest: PooledCase | None) -> dict[str, Any]:
    """The case's speed-up against the baseline, and how many times as long as the fastest it takes."""
    speedup = slowdown = _NO_ESTIMATE
    payback_calls = math.nan
    if case.measured and compared is not None and compared.measured:
        speedup = time_ratio(compared, case)
        payback_calls = _payback_calls(case, compared, speedup.median)
    if case.measured and fastest is not None:
        slowdown = time_ratio(case, fastest)
    return {
        "speedup": speedup.median,
        "speedup_low": speedup.low,
        "speedup_high": speedup.high,
        "slowdown": slowdown.median,
        "slowdown_low": slowdown.low,
        "slowdown_high": slowdown.high,
        "payback_calls": payback_calls,
    }


def over_visits(trials: Sequence[Trial], name: str, which: OverVisits) -> float:
    """The first, last or largest value of a quantity over visits, the earliest first; NaN where no visit has one.

    The first is from when nothing was cached yet.
    """
    values = [float(value) for trial in trials if (value := getattr(trial, name)) is not None]
    if not values:
        return math.nan
    return max(values) if which == "largest" else values[0 if which == "first" else -1]


def _payback_calls(case: PooledCase, compared: PooledCase, speedup: float) -> float:
    """Calls until faster calls have earned back the extra cost of set-up and first call over the baseline's.

    0 where there is no extra cost, infinite where a call takes as long or longer, NaN where a cost is unknown.
    """
    extra = _preparation(case) - _preparation(compared)
    if not extra > 0:
        return 0.0 if extra <= 0 else math.nan
    saved = _median(case) * (speedup - 1)
    return extra / saved if saved > 0 else math.inf


def _preparation(case: PooledCase) -> float:
    return sum(over_visits(case.trials, name, "first") for name in _PREPARATION)


def _samples_frame(runs: Sequence[LoadedRun]) -> pd.DataFrame:
    """One array a column over all visits: a frame for each visit would take longer than reading them."""
    visits = [(run, trial) for run in runs for case in run.cases.values() for trial, _ in case.visits]
    sizes = [len(trial.seconds) for _, trial in visits]

    def text(values: Iterable[str]) -> pd.Categorical:
        codes, categories = pd.factorize(np.array(list(values), dtype=object))
        return pd.Categorical.from_codes(np.repeat(codes, sizes), categories=pd.Index(categories, dtype="str"))

    def numbers(arrays: Iterable[Any], dtype: type) -> np.ndarray[Any, Any]:
        return np.concatenate([np.asarray(array, dtype) for array in arrays] or [np.empty(0, dtype)])

    columns = {
        "run": text(run.label for run, _ in visits),
        "case": text(trial.case.id for _, trial in visits),
        "workload": text(trial.case.workload.id for _, trial in visits),
        "implementation": text(trial.case.implementation for _, trial in visits),
        "mode": text(trial.case.workload.mode for _, trial in visits),
        "round": np.repeat(np.array([trial.round for _, trial in visits], int), sizes),
        "block": numbers((np.repeat(np.arange(len(trial.blocks)), trial.blocks) for _, trial in visits), int),
        "sample": numbers(map(np.arange, sizes), int),
        "seconds": numbers((trial.seconds for _, trial in visits), float),
        "backward_seconds": numbers(
            (trial.backward_seconds or np.full(len(trial.seconds), np.nan) for _, trial in visits), float
        ),
    }
    return pd.DataFrame(columns)
