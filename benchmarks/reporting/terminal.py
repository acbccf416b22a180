"""The table at the end of a sweep: the fastest implementation of each workload, in a terminal."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from benchmarks.presentation.plain_text import NOTHING, clean, count, seconds, times
from benchmarks.runs.pooling import BASELINE
from benchmarks.trial import MEASURED, STATUSES

_SIZES = ("T", "B", "I", "H", "L", "threads")
_SWITCHED = {"bidirectional": ("one direction", "both directions"), "bias": ("no bias", "with bias")}
_FIELDS = ("mode", *_SIZES, *_SWITCHED, "cell", "dtype", "precision", "device")

MOST_ROWS = 60
"""More rows would scroll the rest of the sweep's output away; the report has them all."""


def terminal_table(frame: pd.DataFrame, winners: pd.DataFrame) -> RenderableType:
    """A `rich` table of a frame of `load_run` and its winners: a row a workload, and a line on what has no time.

    A workload's fields with the same value throughout are in the title; the others are columns.
    """
    fields = frame.drop_duplicates(["run", "workload"]).set_index(["run", "workload"])[list(_FIELDS)]
    tied = bool((fields["I"] == fields["H"]).all())
    shown_fields = [name for name in _FIELDS if not (tied and name == "I")]
    varying = [name for name in shown_fields if len(set(fields[name])) != 1]
    said = [_named(name, fields[name].iloc[0]) for name in shown_fields if name not in varying]
    shared = ", ".join([*said, "I = H"] if tied else said)
    runs = ["run"] if len(set(winners["run"])) > 1 else []
    title = f"The fastest implementation of each workload ({shared})"
    shown = Table(title=Text(title), title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in (*runs, *varying):
        shown.add_column(name, justify="right" if name in _SIZES else "left", overflow="fold")
    shown.add_column("fastest", overflow="fold")
    for name in ("time", f"vs {BASELINE}", "ahead of"):
        shown.add_column(name, justify="right" if name != "ahead of" else "left")
    for row in winners.head(MOST_ROWS).to_dict("records"):
        workload = fields.loc[(row["run"], row["workload"])]
        cells = [str(row[name]) for name in runs] + [str(workload[name]) for name in varying]
        cells += [str(row["fastest"]), seconds(row["median_seconds"]), _speedup(row), _ahead_of(row)]
        # Text, not markup: a name in brackets is no style.
        shown.add_row(*(Text(clean(cell)) for cell in cells))
    lines: list[RenderableType] = [shown]
    if len(winners) > MOST_ROWS:
        lines.append(Text(f"and {len(winners) - MOST_ROWS} more in the report"))
    return Group(*lines, *_without_times(frame))


def _named(name: str, value: object) -> str:
    """One field's value with its meaning: `T 64`, `float32`, `2 threads`, `no bias`."""
    if name == "threads":
        return count(int(str(value)), "thread")
    if name in _SIZES:
        return f"{name} {value}"
    if name in _SWITCHED:
        return _SWITCHED[name][bool(value)]
    return str(value)


def _speedup(row: Mapping[Hashable, Any]) -> str:
    return NOTHING if row["fastest"] == BASELINE or math.isnan(row["speedup"]) else times(row["speedup"])


def _ahead_of(row: Mapping[Hashable, Any]) -> str:
    """The second and by how much; or, where it is too close to call, how many are."""
    if pd.isna(row["second"]):
        return NOTHING
    if row["close"]:
        others = str(row["close"]).count(",")
        return f"≈ {row['second']}" + (f" + {others}" if others else "")
    return f"{row['second']} {times(row['lead'])}"


def _without_times(frame: pd.DataFrame) -> list[Text]:
    counts = frame["status"].value_counts()
    said = [f"{counts[status]} {status.replace('_', ' ')}" for status in STATUSES if status in counts]
    unmeasured = [status for status in STATUSES if status not in MEASURED and status in counts]
    ending = "; the report says why" if unmeasured else ""
    return [Text(f"{count(len(frame), 'case')}: {', '.join(said)}{ending}")] if said else []
