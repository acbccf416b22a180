"""A table with a row a setting and a column an implementation: how many times as fast as the baseline each is."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from benchmarks.presentation.plain_text import NOTHING, code, table, times
from benchmarks.reporting.answers.setting_labels import setting_labels
from benchmarks.reporting.answers.slices import panels
from benchmarks.reporting.words.answer_words import UNKNOWN
from benchmarks.runs.pooling import BASELINE

MOST_ROWS = 24
"""Settings in a table; `summary.csv` has all."""


def speedups(frame: pd.DataFrame) -> str:
    """Times as fast as the baseline: the geometric mean over the workloads that each was measured on.

    Columns stand in the order of their mean, the largest first; a star marks a mean over part of the workloads.
    """
    rows = frame[frame["speedup"].notna() & (frame["implementation"] != BASELINE)]
    if rows.empty:
        return ""
    means = np.log(rows["speedup"]).groupby(rows["implementation"]).mean().sort_values(ascending=False)
    names = list(map(str, means.index))
    found = panels(rows)
    labels, _ = setting_labels([(panel.run, panel.setting, panel.mode) for panel in found])
    body = []
    for label, panel in list(zip(labels, found, strict=True))[:MOST_ROWS]:
        most = panel.rows["workload"].nunique()
        own = {name: panel.rows[panel.rows["implementation"] == name] for name in names}
        body.append([label, *(_cell(each, most) for each in own.values())])
    unknown = [row[0] for row in body if set(row[1:]) <= {UNKNOWN, NOTHING}]
    body = [row for row in body if row[0] not in unknown]
    shown = table(["", *map(code, names)], body) if body else ""
    notes = [r"\* over part of the workloads."] if any("*" in cell for row in body for cell in row[1:]) else []
    notes += (
        [f"≈ is too close to {code(BASELINE)} to call."] if any("≈" in cell for row in body for cell in row[1:]) else []
    )
    notes += [f"{UNKNOWN.capitalize()}: {'; '.join(unknown)}."] if unknown else []
    notes += [f"{len(found) - MOST_ROWS} more settings: `summary.csv`."] if len(found) > MOST_ROWS else []
    return "\n\n".join(part for part in [shown, *notes] if part)


def _cell(rows: pd.DataFrame, most: int) -> str:
    """The mean over rows, of which there could be `most`."""
    if rows.empty:
        return NOTHING
    if rows["speedup_low"].isna().any():
        return UNKNOWN
    mean, low, high = (math.exp(float(np.log(rows[f"speedup{end}"]).mean())) for end in ("", "_low", "_high"))
    return ("≈ " if low <= 1 <= high else "") + times(mean) + ("*" if len(rows) < most else "")
