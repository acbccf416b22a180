"""Every time in one table a mode and setting: a row a workload, a column an implementation."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.presentation.plain_text import NOTHING, code, listed, seconds
from benchmarks.reporting.answers.slices import panels, short_name
from benchmarks.reporting.sections.limited_table import limited
from benchmarks.workload import Workload

SAY_NOTHING = ("unavailable", "unsupported")
"""An implementation whose cases all have one of these statuses has no column."""
EXPLAINED = (
    "The time of a call; bold is the fastest of the row, ≈ too close to it to call. Where a row does not say otherwise "
    "there is one layer in one direction, with bias, and I = H. Intervals and errors are in `summary.csv`."
)
MOST_CELLS = 150
"""With more cells than this, a report would be long: `summary.csv` has them."""

Row = Mapping[Hashable, Any]


def all_times(frame: pd.DataFrame, winners: pd.DataFrame) -> str:
    """The tables of a frame of `load_run` and its winners by workload; empty where nothing has a time.

    With more than `MOST_CELLS` of them it is empty, too: `summary.csv` has them.
    """
    if frame["median_seconds"].notna().sum() > MOST_CELLS:
        return ""
    several_runs = len(set(frame["run"])) > 1
    by_workload = {(row["run"], row["workload"]): row for row in winners.to_dict("records")}
    parts = []
    for panel in panels(frame):
        if panel.rows["median_seconds"].notna().any():
            of_run = {workload: winner for (run, workload), winner in by_workload.items() if run == panel.run}
            parts += [f"### {panel.title(several_runs=several_runs)}", _table(panel.rows, of_run)]
    return "\n\n".join([EXPLAINED, *parts]) if parts else ""


def _table(rows: pd.DataFrame, winners: Mapping[Any, Row]) -> str:
    means = np.log(rows["slowdown"]).groupby(rows["implementation"]).mean().fillna(math.inf)
    tried = rows.loc[~rows["status"].isin(SAY_NOTHING), "implementation"].unique()
    names = sorted(map(str, tried), key=lambda name: (means[name], name))
    cells = {(row["workload"], row["implementation"]): row for row in rows.to_dict("records")}
    # Alone it is not the fastest of anything.
    winners = winners if len(names) > 1 else {}
    body = [
        [
            short_name(Workload.parse(workload)),
            *(_cell(cells.get((workload, name)), winners.get(workload, {})) for name in names),
        ]
        for workload in rows["workload"].unique()
    ]
    shown = limited(["workload", *map(code, names)], body)
    absent = rows[~rows["implementation"].isin(names)].drop_duplicates("implementation").to_dict("records")
    if not absent:
        return shown
    said = listed([f"{code(row['implementation'])} ({row['status']})" for row in absent])
    return f"{shown}\n\nWithout a column, as none of its cases could run: {said}."


def _cell(row: Row | None, winner: Row) -> str:
    if row is None:
        return NOTHING
    if math.isnan(row["median_seconds"]):
        return str(row["status"]).replace("_", " ")
    time = seconds(row["median_seconds"])
    if row["implementation"] == winner.get("fastest"):
        return f"**{time}**"
    return f"≈ {time}" if row["implementation"] in str(winner.get("close")).split(", ") else time
