"""The tables of runs as frames, each by its name: for export, for notebooks and for papers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import pandas as pd

from benchmarks.reporting.analysis import Analysis
from rnnimpl.suggestions import did_you_mean


class Table(NamedTuple):
    """One table: what it holds in a line, and its frame from an analysis."""

    summary: str
    frame: Callable[[Analysis], pd.DataFrame]


def _columns(*names: str) -> Callable[[Analysis], pd.DataFrame]:
    """The measured cases with these columns; the run is left out where there is one."""

    def chosen(analysis: Analysis) -> pd.DataFrame:
        rows = analysis.frame[analysis.frame["median_seconds"].notna()]
        return _of_runs(analysis, rows[["run", "workload", "implementation", *names]])

    return chosen


def _of_runs(analysis: Analysis, frame: pd.DataFrame) -> pd.DataFrame:
    """The frame without its columns of nothing, and without the run where there is a single one."""
    shown = frame.drop(columns=["run"]) if len(analysis.runs) == 1 and "run" in frame else frame
    return shown.dropna(axis="columns", how="all").reset_index(drop=True)


TABLES: Mapping[str, Table] = {
    "fastest": Table(
        "the fastest of each workload, by how much, and what is too close to call",
        lambda analysis: _of_runs(analysis, analysis.winners),
    ),
    "ranking": Table(
        "one implementation against the best of the others, a row a workload",
        lambda analysis: _of_runs(analysis, analysis.ranking_frame),
    ),
    "times": Table(
        "the time of each case, with its interval", _columns("median_seconds", "low_seconds", "high_seconds")
    ),
    "speedups": Table(
        "how many times as fast as the baseline each case is", _columns("speedup", "speedup_low", "speedup_high")
    ),
    "limits": Table(
        "how near each case comes to what the machine can do, and what bounds it",
        _columns("median_seconds", "bound_seconds", "share_of_attainable", "share_of_peak", "bound_by"),
    ),
    "errors": Table("the largest errors of each case against float64", _columns("error_output", "error_gradient")),
    "set-up": Table(
        "what a case costs before its first result, and after how many calls that is earned back",
        _columns("setup_seconds", "first_call_seconds", "payback_calls"),
    ),
    "cases": Table("every column of every case", lambda analysis: analysis.frame),
}
"""{name: table}, those that are read most first."""


def table(analysis: Analysis, name: str) -> pd.DataFrame:
    """The table of a name. Raises ValueError, with the nearest name, where there is none of it."""
    if name not in TABLES:
        raise ValueError(f"table is {name!r}; {did_you_mean(name, tuple(TABLES), most=1)}Known: {', '.join(TABLES)}")
    return TABLES[name].frame(analysis)
