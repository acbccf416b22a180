"""The report of a profile: its tables as CSV, its plots and `profile.md`."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.files import write
from benchmarks.limits.peak import Peak
from benchmarks.presentation.csv_text import frame_csv
from benchmarks.presentation.plain_text import NOTHING, code, escape, seconds, share, table
from benchmarks.profiling.records import read_records
from benchmarks.profiling.reporting.attainable import RUN, limits_frame
from benchmarks.profiling.reporting.conclusion import conclude, conclusion_words, facts_of
from benchmarks.profiling.reporting.counts import count_reasons, counts_frame, counts_table
from benchmarks.profiling.reporting.frames import breakdown_frame, functions_frame, shares_of
from benchmarks.profiling.reporting.growth import SizeSeries, growth, growth_words, kind_seconds, size_series
from benchmarks.profiling.reporting.plots import draw_bars, draw_growth, workload_words
from benchmarks.profiling.reporting.reliability import reliability, reliability_lines, unreliable
from benchmarks.profiling.sampling.kinds import KIND_NAMES, KINDS
from benchmarks.reporting.plots.report_plots import write_roofline
from benchmarks.workload import Case, Workload


def rewrite(folder: Path) -> Path:
    """Build everything in a profile's folder again from its data; returns the path of `profile.md`.

    Raises ValueError for a profile without pairs of blocks, as early versions wrote it.
    """
    about = json.loads((folder / "profile.json").read_text(encoding="utf-8"))
    peaks = [Peak.from_json(peak) for peak in about["peaks"]]
    return write_report(folder, read_records(folder), about["refused"], peaks)


def write_report(
    folder: Path, records: Sequence[Mapping[str, Any]], refused: Mapping[str, str], peaks: Sequence[Peak]
) -> Path:
    """Write tables, plots and `profile.md`, whose path it returns.

    `refused` has the reason of each case that could not be profiled, `peaks` are those of the machine.
    """
    frame, limits, counts = breakdown_frame(records), limits_frame(records, peaks), counts_frame(records)
    _csv(frame, folder / "breakdown.csv")
    _csv(limits.dropna(axis="columns", how="all"), folder / "limits.csv")
    _csv(counts, folder / "counts.csv")
    _csv(functions_frame(records), folder / "functions.csv")
    found = [reliability(record) for record in records]
    caution = unreliable(found)
    lines = ["# Where the time goes", "", *([f"> **Caution.** {caution}", ""] if caution else [])]
    for number, workload in enumerate(dict.fromkeys(frame["workload"]), start=1):
        stem = "breakdown" if number == 1 else f"breakdown-{number}"
        lines += _workload(frame, limits, counts, workload, folder, stem)
    lines += _growth(frame, folder)
    for plot in write_roofline(limits, folder, {RUN: peaks}):
        lines += [f"## {plot.title}", "", f"![{plot.title}]({plot.stem}.png)", "", plot.caption, ""]
    lines += ["## How it was measured", "", *reliability_lines(found), ""]
    lines += ["Shares are medians over repeats, each in a process of its own, least to most in parentheses.", ""]
    lines += count_reasons(records)
    lines += _limitations(records)
    lines += [f"- {code(case)} could not be profiled: {escape(reason)}" for case, reason in refused.items()]
    lines += [
        "",
        "Traces and flame graphs are in `traces/`: `*.trace.json.gz` opens in Perfetto (https://ui.perfetto.dev), "
        "`*.speedscope.json.gz`, unpacked, in https://www.speedscope.app.",
        "",
        "The functions with the most samples are in `functions.csv`; `docs/profiling.md` in the project explains all "
        "of this.",
    ]
    write(folder, "profile.md", "\n".join(lines) + "\n")
    return folder / "profile.md"


def _limitations(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """What traces do not show, each sentence once with its implementations."""
    found: dict[str, dict[str, None]] = {}
    for record in records:
        for sentence in record.get("counts", {}).get("limitations", ()):
            found.setdefault(sentence, {})[Case.parse(record["case"]).implementation] = None
    return [f"- In traces of {', '.join(map(code, names))}: {escape(sentence)}" for sentence, names in found.items()]


def _csv(frame: pd.DataFrame, path: Path) -> None:
    write(path.parent, path.name, frame_csv(frame))


def _workload(
    frame: pd.DataFrame, limits: pd.DataFrame, counts: pd.DataFrame, workload: str, folder: Path, stem: str
) -> list[str]:
    """The lines of one workload: its plot, conclusions and tables, the fastest implementation first."""
    of_workload = limits[limits["workload"] == workload].sort_values("median_seconds")
    own = of_workload[of_workload["case"].isin(frame["case"])]
    shares = {row["implementation"]: shares_of(frame, row["case"]) for row in own.to_dict("records")}
    medians = pd.DataFrame({name: each["median"] for name, each in shares.items()}).T
    medians = medians.reindex(columns=list(KINDS)).fillna(0.0)
    medians = medians.div(medians.sum(axis=1), axis=0)
    parsed = Workload.parse(workload)
    draw_bars(medians, own, parsed, folder, stem)
    counted = counts[counts["workload"] == workload].set_index("implementation", drop=False)
    counted = counted.loc[[name for name in medians.index if name in counted.index]]
    by_name = {row["implementation"]: _named(row) for row in counted.to_dict("records")}
    shown = [kind for kind in KINDS if any(kind in each.index and each["most"][kind] > 0 for each in shares.values())]
    conclusions, rows = [], []
    for row in own.to_dict("records"):
        name = row["implementation"]
        known = {kind: float(medians[kind][name]) for kind in KINDS}
        facts = facts_of(_named(row), by_name.get(name, {}), known["products"], parsed)
        conclusions.append(f"- {code(name)} {conclusion_words(conclude(known, facts))}.")
        near = share(row["share_of_attainable"])
        by = row["bound_by"] if isinstance(row["bound_by"], str) else NOTHING
        cells = [_spread(shares[name], kind, known[kind]) for kind in shown]
        rows.append([code(name), seconds(row["median_seconds"]), *cells, near, by])
    header = ["implementation", "a call", *(KIND_NAMES[kind] for kind in shown), "of the attainable", "bound by"]
    image = f"![What the time of a call goes to]({stem}.png)"
    lines = [f"## {workload_words(parsed)}", "", image, "", *conclusions, "", table(header, rows), ""]
    return [*lines, counts_table(counted), ""] if len(counted) else lines


def _named(row: Mapping[Hashable, Any]) -> dict[str, Any]:
    """{column: value} of a frame's row."""
    return {str(column): value for column, value in row.items()}


def _spread(shares: pd.DataFrame, kind: str, median: float) -> str:
    """A kind's share with the least and the most of it over repeats, where they differ, as text."""
    if kind not in shares.index or not shares["most"][kind] > 0:
        return NOTHING
    least, most = (f"{100 * float(shares[column][kind]):.1f}" for column in ("least", "most"))
    return share(median) if least == most else f"{share(median)} ({least} to {most})"


def _growth(frame: pd.DataFrame, folder: Path) -> list[str]:
    """The lines of each size that varies: its plot, and the growth of each series in words."""
    by_letter: dict[str, list[SizeSeries]] = {}
    for one in size_series(frame["case"]):
        by_letter.setdefault(one.letter, []).append(one)
    lines = ["## What grows", ""] if by_letter else []
    for letter, found in by_letter.items():
        stem = f"growth-{letter}"
        draw_growth(frame, letter, found, folder, stem)
        lines += [f"![What grows with {letter}]({stem}.png)", ""]
        lines += [
            f"- {code(one.implementation)} on {code(one.fixed)}: {growth_words(one, growth(kind_seconds(frame, one)))}."
            for one in found
        ]
        lines += [""]
    return lines
