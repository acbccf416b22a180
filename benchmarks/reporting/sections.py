"""The tables of a report, each a section of Markdown from a frame; empty without data."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
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
    interval,
    seconds,
    share,
    significant,
    table,
    times,
)
from benchmarks.reporting.answer import region_name
from benchmarks.reporting.deepbench import join_published
from benchmarks.reporting.findings import Finding
from benchmarks.reporting.same_code import SAME_WITHIN, two_names
from benchmarks.runs.loading import LoadedRun
from benchmarks.runs.pooling import BASELINE
from benchmarks.statistics import Estimate
from benchmarks.trial import MEASURED

LONGEST_TABLE = 100
"""Rows; a longer table is cut, with a note on where the rest is."""
REST = "`summary.csv` beside this report"


def cut(runs: Iterable[str], header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of at most `LONGEST_TABLE` rows, and how many more there are; empty without rows.

    The first column is the run, and is left out where the report has a single one.
    """
    if not rows:
        return ""
    first = 0 if len(set(runs)) > 1 else 1
    return limited(header[first:], [row[first:] for row in rows])


def limited(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of at most `LONGEST_TABLE` rows, and how many more there are."""
    shown = table(header, rows[:LONGEST_TABLE])
    left = len(rows) - LONGEST_TABLE
    return f"{shown}\n\n{left} more rows are in {REST}." if left > 0 else shown


def _ratio(ratio: Estimate | None) -> str:
    return f"{times(ratio.median)} ({interval(ratio.low, ratio.high)})" if ratio else NOTHING


def by_region(found: Sequence[Finding]) -> str:
    """The winner of each region with its lead, and intervals."""
    header = ["run", "mode", "setting", "region", "workloads", "fastest", f"against {BASELINE}", "second", "its lead"]
    rows = []
    for finding in found:
        winner = finding.winner
        fastest = " ≈ ".join(map(code, (winner.fastest, *winner.close)))
        speedup = NOTHING if winner.fastest == winner.baseline else _ratio(winner.speedup)
        second = code(winner.second) if winner.second else NOTHING
        place = [code(finding.run), finding.mode, str(finding.setting), region_name(finding)]
        rows.append([*place, str(len(finding.workloads)), fastest, speedup, second, _ratio(winner.lead)])
    shown = cut((finding.run for finding in found), header, rows)
    return f"{shown}\n\n≈ stands between names that are too close to call." if rows else ""


def by_workload(winners: pd.DataFrame) -> str:
    """The winner of each workload."""
    header = ["run", "workload", "fastest", "time", f"against {BASELINE}", "second", "its lead"]
    rows = []
    for row in winners.to_dict("records"):
        close = [code(name) for name in str(row["close"]).split(", ") if name]
        lead = Estimate(row["lead"], row["lead_low"], row["lead_high"])
        speedup = Estimate(row["speedup"], row["speedup_low"], row["speedup_high"])
        known = [code(row["run"]), code(row["workload"]), " ≈ ".join([code(row["fastest"]), *close])]
        rows.append(
            [
                *known,
                seconds(row["median_seconds"]),
                NOTHING if row["fastest"] == BASELINE or math.isnan(speedup.median) else _ratio(speedup),
                NOTHING if pd.isna(row["second"]) else code(row["second"]),
                NOTHING if math.isnan(lead.median) else _ratio(lead),
            ]
        )
    return cut(winners["run"], header, rows)


def speedups(frame: pd.DataFrame) -> str:
    """Each implementation's speed-up over all workloads: geometric mean, least, most, and wins and losses."""
    known = frame[frame["speedup"].notna() & (frame["implementation"] != BASELINE)]
    header = ["run", "cell", "mode", "device", "implementation", "workloads", "geometric mean", "least", "most"]
    header += ["faster", "slower", "too close"]
    rows = []
    for keys, cases in known.groupby(["run", "cell", "mode", "device", "implementation"], sort=False):
        run, cell, mode, device, name = map(str, keys)
        ratios = cases["speedup"]
        faster = int((cases["speedup_low"] > 1).sum())
        slower = int((cases["speedup_high"] < 1).sum())
        mean = float(np.exp(np.log(ratios).mean()))
        place = [code(run), cell, mode, device, code(name), str(len(cases))]
        spread = [times(mean), times(ratios.min()), times(ratios.max())]
        rows.append([*place, *spread, str(faster), str(slower), str(len(cases) - faster - slower)])
    return cut(frame["run"], header, rows)


def limits(frame: pd.DataFrame) -> str:
    """Each implementation's best rate as a share of the peak, and its shares of what its workloads' bounds allow."""
    known = frame[frame["share_of_peak"].notna()]
    header = ["run", "cell", "mode", "device", "implementation", "best rate", "share of peak", "on"]
    header += ["share of the attainable", "bound by"]
    rows = []
    for keys, cases in known.groupby(["run", "cell", "mode", "device", "implementation"], sort=False):
        run, cell, mode, device, name = map(str, keys)
        best = cases.sort_values("flops_per_second").iloc[-1]
        rate = f"{significant(best['flops_per_second'] / 1e9)} GFLOP/s"
        shares = cases["share_of_attainable"].dropna()
        near = f"{share(float(shares.median()))} ({share(shares.min())} to {share(shares.max())})"
        by = ", ".join(f"{limit} ({number})" for limit, number in cases["bound_by"].value_counts().items())
        place = [code(run), cell, mode, device, code(name)]
        limit = [near, by] if len(shares) else [NOTHING, NOTHING]
        rows.append([*place, rate, share(best["share_of_peak"]), code(best["workload"]), *limit])
    return cut(frame["run"], header, rows)


def preparation(frame: pd.DataFrame) -> str:
    """Set-up, first call, and after how many calls they have paid back against the baseline."""
    known = frame[frame["setup_seconds"].notna() & frame["median_seconds"].notna()]
    header = [
        "run",
        "cell",
        "mode",
        "device",
        "implementation",
        "set-up",
        "first call",
        "at once",
        "after calls",
        "never",
    ]
    rows = []
    for keys, cases in known.groupby(["run", "cell", "mode", "device", "implementation"], sort=False):
        run, cell, mode, device, name = map(str, keys)
        calls = cases["payback_calls"].dropna()
        later = calls[(calls > 0) & np.isfinite(calls)]
        numbers = [NOTHING] * 3
        if len(calls) and name != BASELINE:
            after = f"{len(later)} of {len(calls)} ({_from_to(later)})" if len(later) else f"0 of {len(calls)}"
            numbers = [f"{(calls == 0).sum()} of {len(calls)}", after, f"{np.isinf(calls).sum()} of {len(calls)}"]
        costs = [seconds(float(cases[column].median())) for column in ("setup_seconds", "first_call_seconds")]
        rows.append([code(run), cell, mode, device, code(name), *costs, *numbers])
    return cut(frame["run"], header, rows)


def _from_to(calls: pd.Series) -> str:
    low, high = map(at_least, (calls.min(), calls.max()))
    return low if low == high else f"{low} to {high}"


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
    header = ["run", "implementation", "status", "reason", "cases", "for example"]
    rows = []
    for keys, cases in without.groupby(["run", "implementation", "status", "reason"], sort=False, dropna=False):
        run, name, status, reason = keys
        said = escape(reason) if isinstance(reason, str) else NOTHING
        example = code(cases["workload"].iloc[0])
        rows.append([code(run), code(name), str(status).replace("_", " "), said, str(len(cases)), example])
    return cut(frame["run"], header, rows)


def noisy(frame: pd.DataFrame) -> str:
    """Cases whose interval is wider than the sweep asked for."""
    cases = frame[frame["status"] == "noisy"].sort_values("relative_half_width", ascending=False, kind="stable")
    header = ["run", "case", "median", "half the interval", "visits", "cores taken by others"]
    rows = [
        [
            *(code(row["run"]), code(row["case"]), seconds(row["median_seconds"])),
            *(f"±{share(row['relative_half_width'])}", str(row["rounds"]), share(row["elsewhere_share"])),
        ]
        for row in cases.to_dict("records")
    ]
    measured = frame["median_seconds"].notna().sum()
    return (
        f"{len(cases)} of {count(int(measured), 'measured case')}.\n\n{cut(frame['run'], header, rows)}" if rows else ""
    )


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


def same_code(frame: pd.DataFrame) -> str:
    """The differences of one implementation under two names."""
    said = [
        f"{code(row['one'])} and {code(row['other'])} are both {code(row['source'])} (run {code(row['run'])}): their "
        f"medians are within {share(SAME_WITHIN)} of each other on {share(row['within'])} of "
        f"{count(row['workloads'], 'workload')}, at worst {share(row['apart'])} apart, on {code(row['workload'])}."
        for row in two_names(frame).to_dict("records")
    ]
    return "\n\n".join(said)


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
