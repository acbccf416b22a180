"""The table at the end of a sweep: the fastest implementation of each workload, in a terminal."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from benchmarks.findings import winners_by_workload
from benchmarks.plain_text import NOTHING, clean, count, interval, seconds, times
from benchmarks.pooling import BASELINE
from benchmarks.trial import MEASURED, STATUSES

MOST_ROWS = 60
"""More would scroll the rest of the sweep's words away; the report has them all."""


def terminal_table(frame: pd.DataFrame) -> RenderableType:
    """What `rich` prints for a frame of `load_run`: a row a workload, and a line on what has no time."""
    winners = winners_by_workload(frame)
    several_runs = len(set(frame["run"])) > 1
    workloads, shared = _shortened(list(winners["workload"].head(MOST_ROWS)))
    title = f"The fastest implementation of each workload{f' ({shared})' if shared else ''}"
    shown = Table(title=Text(title), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in (*(["run"] if several_runs else []), "workload", "fastest"):
        shown.add_column(name, overflow="fold")
    for name in ("time", f"against {BASELINE}", "second"):
        shown.add_column(name, justify="right", no_wrap=True)
    for workload, row in zip(workloads, winners.head(MOST_ROWS).to_dict("records"), strict=True):
        cells = [row["run"]] if several_runs else []
        cells += [workload, row["fastest"], seconds(row["median_seconds"]), _speedup(row), _second(row)]
        # Text, not markup: a name in brackets is no style.
        shown.add_row(*(Text(clean(cell)) for cell in cells))
    lines: list[RenderableType] = [shown]
    if len(winners) > MOST_ROWS:
        lines.append(Text(f"and {len(winners) - MOST_ROWS} more in the report"))
    return Group(*lines, *_without_times(frame))


def _shortened(workloads: Sequence[str]) -> tuple[list[str], str]:
    """IDs without the device before and the options behind that all share, and these: they say the same."""
    parts = [workload.split("/", 2) for workload in workloads]
    sizes = [part[2].split("-") for part in parts]
    devices = {part[0] for part in parts}
    behind = 0
    # T, B, I, H and L stay.
    while sizes and all(len(size) - behind > 5 for size in sizes) and len({size[-behind - 1] for size in sizes}) == 1:
        behind += 1
    shared = [*devices, *sizes[0][len(sizes[0]) - behind :]] if len(devices) == 1 else []
    if not shared:
        return list(workloads), ""
    short = [f"{part[1]}/{'-'.join(size[: len(size) - behind])}" for part, size in zip(parts, sizes, strict=True)]
    return short, ", ".join(shared)


def _speedup(row: Mapping[Hashable, Any]) -> str:
    if row["fastest"] == BASELINE or math.isnan(row["speedup"]):
        return NOTHING
    return f"{times(row['speedup'])} ({interval(row['speedup_low'], row['speedup_high'])})"


def _second(row: Mapping[Hashable, Any]) -> str:
    if pd.isna(row["second"]):
        return NOTHING
    return f"≈ {row['close']}" if row["close"] else f"{row['second']} takes {times(row['lead'])}"


def _without_times(frame: pd.DataFrame) -> list[Text]:
    counts = frame["status"].value_counts()
    said = [f"{counts[status]} {status.replace('_', ' ')}" for status in STATUSES if status in counts]
    unmeasured = [status for status in STATUSES if status not in MEASURED and status in counts]
    ending = "; the report says why" if unmeasured else ""
    return [Text(f"{count(len(frame), 'case')}: {', '.join(said)}{ending}")] if said else []
