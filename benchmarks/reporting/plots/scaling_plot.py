"""How the lead over the baseline changes with each size: a panel an axis, a line an implementation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from benchmarks.presentation.figures import Axes
from benchmarks.presentation.plot_style import MUTED, Style, log_axis, plain_times, size_axis
from benchmarks.reporting.answers.slices import AXIS_NAMES, Panel, along, panels
from benchmarks.reporting.plots.plot_labels import end_labels
from benchmarks.reporting.plots.plot_roles import OTHERS, emphasis
from benchmarks.runs.pooling import BASELINE

LEAST_SIZES = 3
"""Sizes along an axis from which on a line shows how something changes."""


def scaling_panels(rows: pd.DataFrame) -> list[Panel]:
    """A panel for each axis with `LEAST_SIZES` sizes or more in each setting that has the baseline.

    `rows` have times, as `slices.measured` gives them; the axis is the panel's `axis`, its detail has the fixed sizes.
    """
    found = []
    known = rows[rows["speedup"].notna() & (rows["implementation"] != BASELINE)]
    for setting in panels(known):
        for axis in AXIS_NAMES:
            chosen, fixed = along(setting.rows, [axis])
            if chosen[axis].nunique() >= LEAST_SIZES:
                found.append(setting._replace(rows=chosen, detail=fixed, axis=axis))
    return found


def draw(axes: Axes, panel: Panel, styles: Mapping[str, Style], scale: tuple[float, float], height: float) -> str:
    """Lines of the speed-up over a size, with intervals; the baseline is the line at 1. `height` is in inches.

    Returns the fixed sizes.
    """
    axis = panel.axis
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_ylim(*scale)
    sizes = panel.rows[axis]
    beside = (sizes.max() / sizes.min()) ** 0.04
    axes.set_xlim(sizes.min() / beside, sizes.max() * beside)
    axes.axhline(1.0, color=MUTED, linewidth=1.2)
    ends: dict[str, tuple[float, float]] = {}
    groups = {str(name): rows for name, rows in panel.rows.sort_values(axis).groupby("implementation", sort=True)}
    for name in drawn_order(groups, styles):
        rows, style = groups[name], styles[name]
        axes.plot(
            rows[axis], rows["speedup"], color=style.colour, linewidth=style.width, marker=style.marker, markersize=4
        )
        # Intervals of many others at one size would lie over each other as a dark bar.
        width, alpha = (2, 0.25) if style is OTHERS else (4, 0.4)
        axes.vlines(
            rows[axis], rows["speedup_low"], rows["speedup_high"], color=style.colour, linewidth=width, alpha=alpha
        )
        ends[name] = (float(rows[axis].iloc[-1]), float(rows["speedup"].iloc[-1]))
    size_axis(axes.xaxis, sizes)
    log_axis(axes.yaxis, *scale, plain_times)
    axes.set_xlabel(AXIS_NAMES[axis])
    end_labels(axes, ends, styles, height)
    return panel.detail


def drawn_order(names: Mapping[str, object], styles: Mapping[str, Style]) -> Sequence[str]:
    """The names in the order of drawing: what matters most lies on top."""
    return sorted(names, key=lambda name: (emphasis(styles[name]), name))
