"""The plot of the cost of padding: the time per valid step over that at equal lengths, by the share of valid steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from benchmarks.presentation.figures import Axes
from benchmarks.presentation.plain_text import times
from benchmarks.presentation.plot_style import MUTED, Style, log_axis, plain_share, plain_times
from benchmarks.reporting.answers.findings import Setting
from benchmarks.reporting.answers.slices import Panel
from benchmarks.reporting.plots.plot_labels import end_labels, with_close
from benchmarks.reporting.plots.plot_pages import Scale
from benchmarks.reporting.topics.lengths import LengthsCase, lengths_frame


def lengths_panels(cases: Sequence[LengthsCase]) -> list[Panel]:
    """A panel a network with the cases that have a cost, the most valid steps first."""
    groups: dict[tuple[str, str], list[LengthsCase]] = {}
    for case in cases:
        if case.cost is not None:
            groups.setdefault((case.run, case.plain.id), []).append(case)
    panels = []
    for (run, _), together in groups.items():
        plain = together[0].plain
        rows = lengths_frame(together).sort_values("valid_share", ascending=False, ignore_index=True)
        sizes = f"T {plain.T}, B {plain.B}, H {plain.H}"
        panels.append(Panel(run, Setting.of(plain), plain.mode, rows, detail=sizes))
    return panels


def share_scale(panel: Panel) -> Scale:
    """The shares of valid steps on the axis."""
    return float(panel.rows["valid_share"].min()) / 1.06, 1.06


def cost_scale(panel: Panel) -> Scale:
    """The costs on the axis."""
    low, high = float(panel.rows["cost"].min()), float(panel.rows["cost"].max())
    return min(0.9, low / 1.1), max(1 / float(panel.rows["valid_share"].min()), high) * 1.1


def draw(axes: Axes, panel: Panel, styles: Mapping[str, Style], valid: Scale, cost: Scale, height: float) -> str:
    """A line an implementation from equal lengths on, and what computing all padding costs; returns the least cost."""
    axes.set_xscale("log")
    axes.set_yscale("log")
    ends: dict[str, tuple[float, float]] = {}
    for name, rows in panel.rows.groupby("implementation", sort=False):
        shares, costs = [1.0, *rows["valid_share"]], [1.0, *rows["cost"]]
        style = styles[str(name)]
        axes.plot(shares, costs, color=style.colour, linestyle=style.line, linewidth=style.width, marker=style.marker)
        ends[str(name)] = shares[-1], costs[-1]
    least = float(panel.rows["valid_share"].min())
    padded = np.array([1.0, least])
    axes.plot(padded, 1 / padded, color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.axhline(1.0, color=MUTED, linewidth=0.8)
    axes.set_xlim(valid[1], valid[0])
    axes.set_ylim(*cost)
    log_axis(axes.xaxis, *valid, plain_share)
    log_axis(axes.yaxis, *cost, plain_times)
    axes.set_xlabel("share of the padded steps that are valid")
    axes.set_ylabel("a valid step over equal lengths")
    end_labels(axes, ends, styles, height)
    return _finding(panel.rows)


def _finding(rows: pd.DataFrame) -> str:
    worst = rows.sort_values("cost").drop_duplicates("implementation", keep="last")
    least, *others = worst.to_dict("records")
    close = [str(other["implementation"]) for other in others if not other["cost_low"] > least["cost_high"]]
    return f"least at worst: {with_close(least['implementation'], close)}, {times(float(least['cost']))}"
