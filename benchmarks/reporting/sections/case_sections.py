"""Sections that are a table of cases each: set-up, failures, clocks, profiles, published times."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pandas as pd

from benchmarks.presentation.plain_text import (
    NOTHING,
    at_least,
    code,
    count,
    escape,
    seconds,
    times,
)
from benchmarks.reporting.sections.limited_table import LONGEST_TABLE, cut, limited
from benchmarks.reporting.topics.deepbench import join_published
from benchmarks.runs.loading import LoadedRun
from benchmarks.runs.pooling import BASELINE
from benchmarks.trial import MEASURED


def set_up(frame: pd.DataFrame, once: Mapping[str, float]) -> str:
    """Set-up, first call, what the first use on a machine costs, and after how many calls it has paid back.

    A row an implementation, medians over all its cases; `once` are the seconds of the first use, a column where any is
    known.
    """
    known = frame[frame["setup_seconds"].notna() & frame["median_seconds"].notna()]
    known = known.assign(before=known["setup_seconds"] + known["first_call_seconds"])
    several = len({*known["run"]}) > 1
    header = [*(["run"] if several else []), "", "set-up", "first call", "both, at most"]
    header += [*(["once per machine"] if once else []), f"pays back against {code(BASELINE)} after"]
    rows = []
    for keys, cases in known.groupby(["run", "implementation"], sort=False):
        run, name = map(str, keys)
        costs = [float(cases[column].median()) for column in ("setup_seconds", "first_call_seconds")]
        first = [seconds(once[name]) if name in once else NOTHING] if once else []
        place = [code(run)] if several else []
        cells = [code(name), *map(seconds, costs), seconds(float(cases["before"].max())), *first]
        rows.append([*place, *cells, NOTHING if name == BASELINE else pay_back(cases["payback_calls"])])
    return limited(header, rows) if rows else ""


def pay_back(calls: pd.Series) -> str:
    """After how many calls a set-up has paid back: the median over workloads, and on how many it never does."""
    known = calls.dropna()
    if known.empty:
        return NOTHING
    later = known[np.isfinite(known)]
    never = f"; never on {len(known) - len(later)} of {len(known)}" if len(later) < len(known) else ""
    if later.empty:
        return "never"
    middle, most = float(later.median()), float(later.max())
    said = "at once" if middle == 0 else count(int(at_least(middle)), "call")
    return f"{said} (at most {at_least(most)}){never}" if most > middle else f"{said}{never}"


def profiles(runs: Iterable[LoadedRun], target: Path) -> str:
    """A link from the report's folder to the profile of each run that has one, with the cases in it."""
    parts = []
    for run in runs:
        folder = run.folder / "profile"
        cases = _profiled(folder / "breakdown.csv")
        if not cases or not (folder / "profile.md").is_file():
            continue
        link = quote(Path(os.path.relpath(folder / "profile.md", target)).as_posix())
        known = [f"- {code(case)}" for case in cases[:LONGEST_TABLE]]
        parts.append("\n".join([f"[Profile of {count(len(cases), 'case')}]({link}), {code(run.label)}:", "", *known]))
    return "\n\n".join(parts)


def _profiled(breakdown: Path) -> list[str]:
    """The cases of a profile; none where there is no profile, or a file that is none."""
    try:
        return [str(case) for case in pd.read_csv(breakdown, usecols=["case"])["case"].unique()]
    except (OSError, ValueError):
        return []


def not_run(frame: pd.DataFrame) -> str:
    """Cases without a time, with status and reason; those that share them are one row."""
    without = frame[~frame["status"].isin(MEASURED)]
    header = ["run", "implementation", "status", "reason", "cases"]
    rows = []
    for keys, cases in without.groupby(["run", "implementation", "status", "reason"], sort=False, dropna=False):
        run, name, status, reason = keys
        said = escape(reason) if isinstance(reason, str) else NOTHING
        rows.append([code(run), code(name), str(status).replace("_", " "), said, str(len(cases))])
    return cut(frame["run"], header, rows)


def device_times(frame: pd.DataFrame) -> str:
    """Wall time, and the times of the device's events and kernels."""
    known = frame[frame["device_span_seconds"].notna() | frame["kernel_seconds"].notna()]
    header = ["run", "case", "wall", "span on the device", "sum of kernels", "kernels", "wall over kernels"]
    rows = []
    for row in known.to_dict("records"):
        clocks = [seconds(row[name]) for name in ("median_seconds", "device_span_seconds", "kernel_seconds")]
        launches = NOTHING if math.isnan(row["kernel_launches"]) else at_least(row["kernel_launches"])
        over = row["median_seconds"] / row["kernel_seconds"] if row["kernel_seconds"] > 0 else math.nan
        rows.append([code(row["run"]), code(row["case"]), *clocks, launches, times(over)])
    return cut(frame["run"], header, rows)


def published(frame: pd.DataFrame) -> str:
    """DeepBench's published times next to the fastest here, where the workload is the same."""
    header = ["run", "workload", "pass", "fastest here", "time", "published, fastest", "published, slowest"]
    rows = []
    for (run, workload), cases in join_published(frame).groupby(["run", "workload"], sort=False):
        training = cases["mode"].iloc[0] == "training"
        column = "published_total_seconds" if training else "published_forward_seconds"
        ours = cases.loc[[cases["median_seconds"].idxmin()]].iloc[0]
        theirs = cases[cases["implementation"] == ours["implementation"]].dropna(subset=[column]).sort_values(column)
        if theirs.empty:
            continue
        ends = [f"{seconds(theirs[column].iloc[at])} ({escape(theirs['published_device'].iloc[at])})" for at in (0, -1)]
        what = "forward and backward" if training else "forward"
        known = [code(run), code(workload), what, code(ours["implementation"]), seconds(ours["median_seconds"])]
        rows.append([*known, *ends])
    source = (
        "Source: the results spreadsheets of github.com/baidu-research/DeepBench, last changed in 2020: each device's "
        "own library, float32 or the mixed precision that a sheet names. The operations it counts leave out the input "
        "projection, those counted here do not: compare times."
    )
    return f"{cut(frame['run'], header, rows)}\n\n{source}" if rows else ""
