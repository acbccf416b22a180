"""The fastest implementation of each workload, as lines of a terminal: what `--table` shows."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from benchmarks.presentation.plain_text import NOTHING, clean, count, seconds, times
from benchmarks.reporting.answers.setting_labels import setting_labels
from benchmarks.reporting.answers.slices import panels, short_name
from benchmarks.reporting.words.answer_words import UNKNOWN
from benchmarks.runs.pooling import BASELINE
from benchmarks.trial import MEASURED, STATUSES
from benchmarks.workload import Workload
from rnnimpl.text_table import Column, text_table
from rnnimpl.wrapping import wrapped

MOST_ROWS = 200
"""Workloads that are shown; `summary.csv` has them all."""


def workload_lines(frame: pd.DataFrame, winners: pd.DataFrame, width: int) -> list[str]:
    """A heading for each setting of a frame of `load_run`, and a row for each of its workloads that has a time.

    `winners` are those of `winners_by_workload`. Columns are left out where `width` has no room for them.
    """
    of_workload = {(row["run"], row["workload"]): row for row in winners.to_dict("records")}
    found = panels(frame)
    labels, shared = setting_labels([(panel.run, panel.setting, panel.mode) for panel in found])
    lines, left = wrapped(f"All: {shared}", width) if shared else [], MOST_ROWS
    for label, panel in zip(labels, found, strict=True):
        known = [name for name in dict.fromkeys(panel.rows["workload"]) if (panel.run, name) in of_workload]
        if known and left > 0:
            rows = [of_workload[panel.run, name] for name in known[:left]]
            lines += ["", *wrapped(label, width), *text_table(_columns(rows), width, indent=2)]
        left -= len(known)
    return [*lines, *([f"and {-left} more in summary.csv"] if left < 0 else []), "", *without_times(frame, width)]


def _columns(rows: list[dict[Hashable, Any]]) -> list[Column]:
    return [
        Column("workload", [short_name(Workload.parse(row["workload"])) for row in rows]),
        # A stranger's name.
        Column("fastest", [clean(row["fastest"]) for row in rows]),
        Column("time", [seconds(row["median_seconds"]) for row in rows], right=True, dropped=2),
        Column(f"vs {BASELINE}", [_speedup(row) for row in rows], right=True, dropped=1),
        Column("ahead of", [clean(_ahead_of(row)) for row in rows], dropped=3),
    ]


def _speedup(row: Mapping[Hashable, Any]) -> str:
    if row["fastest"] == BASELINE or math.isnan(row["speedup"]):
        return NOTHING
    return UNKNOWN if math.isnan(row["speedup_low"]) else times(row["speedup"])


def _ahead_of(row: Mapping[Hashable, Any]) -> str:
    """The second and by how much; or, where it is too close to call, how many are."""
    if pd.isna(row["second"]):
        return NOTHING
    if row["close"]:
        others = str(row["close"]).count(",")
        return f"≈ {row['second']}" + (f" + {others}" if others else "")
    return f"{row['second']} {times(row['lead'])}"


def without_times(frame: pd.DataFrame, width: int) -> list[str]:
    """A sentence that counts cases by status, in lines of at most `width` places; none without cases."""
    counts = frame["status"].value_counts()
    said = [f"{counts[status]} {status.replace('_', ' ')}" for status in STATUSES if status in counts]
    unmeasured = [status for status in STATUSES if status not in MEASURED and status in counts]
    ending = "; the report says why" if unmeasured else ""
    return wrapped(f"{count(len(frame), 'case')}: {', '.join(said)}{ending}", width) if said else []
