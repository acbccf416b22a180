"""The plot of a scan of sizes: the time of a unit of work over size, with the cliffs marked."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.axes import Axes

from benchmarks.reporting.plain_text import count, significant
from benchmarks.reporting.plot_labels import end_labels
from benchmarks.reporting.plot_style import Style, log_axis, size_axis
from benchmarks.reporting.scan import axis_of, neighbours
from benchmarks.reporting.slices import AXIS_NAMES, Panel

OPERATIONS = 1000
"""The unit of work that the axis shows the time of."""
_CLIFF = "#CC0000"


def draw(axes: Axes, panel: Panel, looks: Mapping[str, Style], height: float) -> str:
    """A line an implementation; a ring around the larger of two sizes that are surely a cliff apart."""
    axis = axis_of(panel)
    rows = panel.rows.assign(unit=OPERATIONS * panel.rows["median_seconds"] / panel.rows["flops"])
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    low, high = rows["unit"].min() / 1.25, rows["unit"].max() * 1.25
    axes.set_ylim(low, high)
    ends: dict[str, tuple[float, float]] = {}
    cliffs = 0
    for name, cases in rows.groupby("implementation", sort=True):
        look = looks[str(name)]
        points = cases.sort_values(axis).set_index(axis)["unit"]
        axes.plot(points.index, points, color=look.colour, linestyle=look.line, linewidth=look.width)
        found = [pair.larger for pair in neighbours(cases, axis) if pair.cliff]
        axes.plot(found, points[found], "o", color=_CLIFF, markersize=9, markerfacecolor="none", markeredgewidth=1.5)
        cliffs += len(found)
        ends[str(name)] = (float(points.index[-1]), float(points.iloc[-1]))
    size_axis(axes.xaxis, rows[axis])
    log_axis(axes.yaxis, low, high, lambda value: f"{significant(value * 1e9, 1)} ns")
    axes.set_xlabel(AXIS_NAMES[axis])
    axes.set_ylabel(f"time of {OPERATIONS} operations")
    end_labels(axes, ends, looks, height)
    return f"{count(cliffs, 'cliff')}, ringed" if cliffs else "no cliff"
