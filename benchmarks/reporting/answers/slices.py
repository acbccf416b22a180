"""The rows of a frame that belong in one plot: lines along an axis, a map of two axes, one workload for all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from benchmarks.reporting.answers.findings import Setting
from benchmarks.workload import MODES, Mode, Workload

CENTRE = {"T": 64, "B": 16, "H": 256, "L": 1}
"""The centre of the default sweep; slices near it are preferred."""

AXIS_NAMES = {"T": "sequence length T", "B": "batch size B", "H": "hidden size H", "L": "layers L"}

OPTIONS = ("bidirectional", "bias")
_SETTING = Setting._fields
INPUT = "input"
"""A column with the input features: `H` where they equal the hidden units, else their number."""


class Panel(NamedTuple):
    """The rows of one panel: one mode of one setting of one run."""

    run: str
    setting: Setting
    mode: Mode
    rows: pd.DataFrame
    detail: str = ""
    """Further values that the rows share, in words."""
    axis: str = ""
    """The size that differs along the panel, where it is one."""

    def title(self, *, several_runs: bool) -> str:
        """Mode and setting, the run where there are several, and the detail."""
        said = [self.mode.capitalize(), str(self.setting), *([f"run {self.run}"] if several_runs else [])]
        return ", ".join([*said, self.detail] if self.detail else said)


def measured(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows with times, with the column `INPUT`."""
    rows = frame[frame["median_seconds"].notna()]
    return rows.assign(**{INPUT: rows["I"].astype(str).where(rows["I"] != rows["H"], "H")})


def panels(rows: pd.DataFrame) -> list[Panel]:
    """The rows grouped by run, setting and mode, in the order of the frame, inference before training."""
    keys = ["run", *_SETTING]
    found = []
    for _, of_setting in rows.groupby(keys, sort=False):
        run, *shared = of_setting[keys].iloc[0]
        setting = Setting(*shared)._replace(threads=int(of_setting["threads"].iloc[0]))
        for mode in MODES:
            of_mode = of_setting[of_setting["mode"] == mode]
            if len(of_mode):
                found.append(Panel(run, setting, mode, of_mode))
    return found


def along(rows: pd.DataFrame, axes: Sequence[str]) -> tuple[pd.DataFrame, str]:
    """The rows of the best slice along one axis or two, and the fixed values in words.

    The best slice has the most points over the axes, then is nearest to `CENTRE`. It is the same for all panels. A
    panel in which an axis has a single value is left out. No rows when nothing is left.
    """
    fixed = [*(letter for letter in CENTRE if letter not in axes), *OPTIONS, INPUT]
    best: tuple[tuple[float, ...], pd.DataFrame] | None = None
    for _, candidate in rows.groupby(fixed, sort=True):
        points = len(candidate[list(axes)].drop_duplicates())
        rank = (-points, _distance(candidate, [letter for letter in CENTRE if letter not in axes]))
        if best is None or rank < best[0]:
            best = rank, candidate
    if best is None:
        return rows.head(0), ""
    chosen = best[1]
    groups = chosen.groupby(["run", *_SETTING, "mode"], sort=False)
    enough = [groups[axis].transform("nunique") > 1 for axis in axes]
    kept = chosen[pd.concat(enough, axis=1).all(axis=1)]
    return kept, describe_fixed(chosen.iloc[0], fixed)


def central(rows: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """The rows of the shape that most cases were measured on, then nearest to `CENTRE`, and the shape in words."""
    fixed = [*CENTRE, *OPTIONS, INPUT]
    if rows.empty:
        return rows, ""

    groups = [group for _, group in rows.groupby(fixed, sort=True)]
    chosen = min(groups, key=lambda group: (-len(group), _distance(group, list(CENTRE))))
    return chosen, describe_fixed(chosen.iloc[0], fixed)


def _distance(rows: pd.DataFrame, letters: Sequence[str]) -> float:
    """The distance of the sizes that the rows share from `CENTRE`, in doublings."""
    return sum(abs(math.log2(rows[letter].iloc[0] / CENTRE[letter])) for letter in letters)


def short_name(workload: Workload) -> str:
    """A workload among others of its mode and setting: T64 B16 H256; the defaults are left out.

    The defaults are as many input features as hidden units, one layer, one direction, with bias.
    """
    sizes = [f"{letter}{getattr(workload, letter)}" for letter in "TBH"]
    sizes += [] if workload.I == workload.H else [f"I{workload.I}"]
    sizes += [] if workload.L == 1 else [f"L{workload.L}"]
    options = ["two directions"] if workload.bidirectional else []
    options += [] if workload.bias else ["no bias"]
    return " ".join([*sizes, *options])


def describe_fixed(row: pd.Series, names: Sequence[str]) -> str:
    """The values that all rows of a slice share, as people write them: B 16, I = H 256, L 1."""
    parts = [f"{letter} {row[letter]}" for letter in CENTRE if letter in names and letter != "H"]
    tied = row[INPUT] == "H"
    if "H" in names:
        parts.append(f"I = H {row['H']}" if tied else f"I {row['I']}, H {row['H']}")
    else:
        parts.append("I = H" if tied else f"I {row['I']}")
    parts += ["two directions"] if row["bidirectional"] else []
    parts += [] if row["bias"] else ["no bias"]
    return ", ".join(parts)
