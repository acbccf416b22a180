"""One call by three clocks: the wall, the device's events, and the sum of its kernels."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from benchmarks.presentation.figures import Axes
from benchmarks.presentation.plain_text import at_least
from benchmarks.presentation.plot_style import GRID, MUTED, Style, log_axis, plain_seconds
from benchmarks.reporting.answers.slices import Panel
from benchmarks.reporting.plots.plot_pages import Scale
from benchmarks.reporting.plots.row_plots import SMALL, name_rows

_CLOCKS = {
    "kernel_seconds": ("sum of kernels", "|"),
    "device_span_seconds": ("span on the device", "d"),
    "median_seconds": ("wall time", "o"),
}


def scale(panel: Panel) -> Scale:
    """The times on the axis, in seconds."""
    times = panel.rows[list(_CLOCKS)]
    return float(times.min().min()) / 1.3, float(times.max().max()) * 1.3


def draw(axes: Axes, panel: Panel, styles: Mapping[str, Style], times: Scale) -> str:
    """A row an implementation: one call by three clocks."""
    rows = panel.rows.sort_values("median_seconds", ascending=False).reset_index(drop=True)
    axes.set_xscale("log")
    for at, row in enumerate(rows.to_dict("records")):
        style = styles[row["implementation"]]
        known = [row[clock] for clock in _CLOCKS if np.isfinite(row[clock])]
        axes.plot([min(known), max(known)], [at, at], color=style.colour, linewidth=2, alpha=0.5)
        for clock, (_, marker) in _CLOCKS.items():
            axes.plot(row[clock], at, marker, color=style.colour, markersize=8, markeredgewidth=2)
        if np.isfinite(row["kernel_launches"]):
            text = f"{at_least(row['kernel_launches'])} kernels"
            axes.text(1.03, at, text, transform=axes.get_yaxis_transform(), va="center", fontsize=SMALL)
    for clock_name, marker in _CLOCKS.values():
        axes.plot([], [], marker, color=MUTED, markersize=7, markeredgewidth=2, label=clock_name)
    axes.legend(
        loc="upper left",
        bbox_to_anchor=(-0.4, -0.13),
        ncols=3,
        columnspacing=1.2,
        frameon=False,
        fontsize=8.5,
        handletextpad=0.2,
    )
    name_rows(axes, list(map(str, rows["implementation"])))
    axes.set_xlim(*times)
    log_axis(axes.xaxis, *times, plain_seconds)
    axes.grid(color=GRID, axis="x")
    return ""
