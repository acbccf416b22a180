"""Panels with a row an implementation: speed-ups, shares of the limit, set-up.

The scale and the order of the rows are the same in all panels of a
figure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.presentation.figures import Axes
from benchmarks.presentation.plain_text import at_least, interval, listed, seconds, share, significant, times
from benchmarks.presentation.plot_style import MUTED, TEXT, Style, log_axis, plain_seconds, plain_share, plain_times
from benchmarks.reporting.answers.setting_answers import SettingAnswer
from benchmarks.reporting.answers.slices import Panel, panels
from benchmarks.reporting.plots.plot_labels import label
from benchmarks.reporting.words.answer_words import UNKNOWN
from benchmarks.runs.pooling import BASELINE

ROW_INCHES = 0.27
MOST_CLOSE = 2
"""Names in the line above a panel that are too close to call; of more there is the number."""
SMALL = 8.5
"""Points of the numbers beside a panel."""


def rows_height(rows: int) -> float:
    """Inches of a panel with so many rows."""
    return ROW_INCHES * rows + 0.15


def order_by(rows: pd.DataFrame, column: str, *, largest_on_top: bool = True) -> list[str]:
    """The implementations by the geometric mean of a column over all their rows, the last on top of a panel."""
    means = np.log(rows[column]).groupby(rows["implementation"]).mean().sort_values(ascending=largest_on_top)
    return [str(name) for name in means.index]


def speedups(
    axes: Axes, panel: Panel, styles: Mapping[str, Style], order: Sequence[str], scale: tuple[float, float]
) -> None:
    """Times as fast as the baseline: a dot a workload, the geometric mean with its interval as a bar."""
    groups = dict(list(panel.rows.groupby("implementation")))
    axes.set_xscale("log")
    axes.set_xlim(*scale)
    axes.axvline(1.0, color=MUTED, linewidth=1.2)
    for at, name in enumerate(order):
        if name == BASELINE:
            axes.plot(1.0, at, styles[name].marker, color=styles[name].colour, markersize=6)
            continue
        if name not in groups:
            continue
        rows, colour = groups[name], styles[name].colour
        mean, low, high = (_mean(rows[column]) for column in ("speedup", "speedup_low", "speedup_high"))
        axes.plot(rows["speedup"], [at] * len(rows), "o", color=colour, markersize=4, alpha=0.45, markeredgewidth=0)
        if math.isfinite(low):
            axes.plot([low, high], [at, at], color=colour, linewidth=7, alpha=0.45, solid_capstyle="butt")
        axes.plot(mean, at, "|", color=colour, markersize=15, markeredgewidth=2.4)
        said = f"{times(mean)} ({interval(low, high)})" if math.isfinite(low) else UNKNOWN
        _beside(axes, at, said)
    name_rows(axes, order)
    log_axis(axes.xaxis, *scale, plain_times)
    axes.set_xlabel(f"times as fast as {BASELINE}")


def speedup_ends(rows: pd.DataFrame) -> tuple[float, float]:
    """The least and the largest speed-up that a plot shows: of workloads, and of the intervals of means."""
    ends = [float(rows["speedup"].min()), float(rows["speedup"].max())]
    for panel in panels(rows):
        for _, of_one in panel.rows.groupby("implementation"):
            ends += [mean for mean in (_mean(of_one[f"speedup{end}"]) for end in ("_low", "_high")) if mean > 0]
    return min(ends), max(ends)


def lead_in_words(answer: SettingAnswer | None) -> str:
    """Who leads in a panel, or between whom it is too close to call; empty where nothing was compared."""
    if answer is None or not answer.leads:
        return ""
    if not answer.known:
        return "too few blocks to say who leads"
    if not answer.close:
        return f"{answer.fastest} leads"
    near = list(map(label, (answer.fastest, *answer.close)))
    return f"too close to call: {listed(near, 'or')}" if len(near) <= MOST_CLOSE else f"too close to call: {len(near)}"


def _mean(values: pd.Series) -> float:
    """The geometric mean; NaN where one is."""
    return float(np.exp(np.log(values).mean(skipna=False)))


def limit_shares(
    axes: Axes, panel: Panel, styles: Mapping[str, Style], order: Sequence[str], scale: tuple[float, float]
) -> str:
    """How much of the limit of the machine each reaches: the median over workloads as a bar, and the range.

    Returns the name of the one with the largest median.
    """
    shares = panel.rows.groupby("implementation")["share_of_attainable"]
    axes.set_xlim(*scale)
    if scale[1] > 1:
        axes.axvline(1.0, color=MUTED, linewidth=1.2)
    medians: dict[str, float] = {}
    for at, name in enumerate(order):
        if name not in shares.groups:
            continue
        values = shares.get_group(name)
        medians[name] = float(values.median())
        colour = styles[name].colour
        axes.barh(at, medians[name], height=0.6, color=colour, linewidth=0)
        # White around the line, so that it is seen on a dark bar.
        for line_colour, width in (("white", 3.2), (TEXT, 1.2)):
            axes.plot([values.min(), values.max()], [at, at], color=line_colour, linewidth=width)
        _beside(axes, at, share(medians[name]))
    name_rows(axes, order)
    axes.xaxis.set_major_formatter(lambda value, _: plain_share(round(value, 4)))
    axes.set_xlabel("of the limit of this machine")
    return max(medians, key=lambda name: medians[name])


def set_up(
    axes: Axes,
    panel: Panel,
    styles: Mapping[str, Style],
    order: Sequence[str],
    scale: tuple[float, float],
    once: Mapping[str, float],
) -> str:
    """The cost before the second call: median and range over workloads; hollow, what the first use here costs."""
    groups = dict(list(panel.rows.groupby("implementation")))
    axes.set_xscale("log")
    axes.set_xlim(*scale)
    for at, name in enumerate(order):
        if name not in groups:
            continue
        before, calls = groups[name]["before"], groups[name]["payback_calls"]
        style = styles[name]
        axes.plot([before.min(), before.max()], [at, at], color=style.colour, linewidth=3, alpha=0.45)
        axes.plot(before.median(), at, style.marker, color=style.colour, markersize=7)
        if name in once:
            ring: dict[str, Any] = {"markersize": 8, "markerfacecolor": "none", "markeredgewidth": 1.6}
            axes.plot(once[name], at, "o", color=style.colour, **ring)
        if name != BASELINE:
            _beside(axes, at, payback_in_words(calls, once.get(name)))
    name_rows(axes, order)
    log_axis(axes.xaxis, *scale, plain_seconds)
    axes.set_xlabel("set-up and first call")
    return ""


def payback_in_words(calls: pd.Series, once: float | None) -> str:
    """After which calls a cost has paid back, and before them the seconds of the first use on a machine."""
    said = calls_in_words(calls)
    return f"{seconds(once)}, then {said}" if once is not None and said else said


def calls_in_words(calls: pd.Series) -> str:
    """The median number of calls after which a cost has paid back, in words; empty where none is known."""
    known = calls.dropna()
    if known.empty:
        return ""
    middle = float(known.median())
    if middle == 0:
        return "at once"
    if np.isinf(middle):
        return "never"
    return f"{_rounded(middle)} calls" if _rounded(middle) != "1" else "1 call"


def _rounded(number: float) -> str:
    """A count to three digits."""
    whole = int(at_least(number))
    return str(whole) if whole < 1000 else significant(whole)


def name_rows(axes: Axes, names: Sequence[str]) -> None:
    """The names of rows at the left, the first at the bottom."""
    axes.set_yticks(range(len(names)), [label(name) for name in names])
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)


def _beside(axes: Axes, at: int, said: str) -> None:
    axes.text(1.02, at, said, transform=axes.get_yaxis_transform(), va="center", fontsize=SMALL)
