"""The plots of a scan of sizes: the time of a unit of work over size, and each size against the one before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from benchmarks.presentation.figures import Axes
from benchmarks.presentation.plain_text import count
from benchmarks.presentation.plot_style import MUTED, Style, log_axis, plain_seconds, plain_times, size_axis
from benchmarks.reporting.answers.slices import AXIS_NAMES, Panel
from benchmarks.reporting.plots.plot_labels import end_labels
from benchmarks.reporting.plots.plot_pages import Scale
from benchmarks.reporting.topics.scan import CLIFF, axis_of, neighbours
from benchmarks.reporting.words.answer_words import ratio

OPERATIONS = 1000
"""Operations in the unit of work on the axis."""
_CLIFF = "#CC0000"


def _with_units(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with the seconds of a unit of work in the column `unit`."""
    return rows.assign(unit=OPERATIONS * rows["median_seconds"] / rows["flops"])


def unit_scale(panel: Panel) -> Scale:
    """The times of a unit of work on the axis, in seconds."""
    units = _with_units(panel.rows)["unit"]
    return float(units.min()) / 1.25, float(units.max()) * 1.25


def step_scale(panel: Panel) -> Scale:
    """The ratios of neighbours on the axis."""
    pairs = [neighbours(cases, axis_of(panel)) for _, cases in panel.rows.groupby("implementation")]
    ratios = [pair.ratio.median for of_line in pairs for pair in of_line]
    return min([1 / CLIFF, *ratios]) / 1.1, max([CLIFF, *ratios]) * 1.1


def unit_times(axes: Axes, panel: Panel, styles: Mapping[str, Style], units: Scale, height: float) -> str:
    """A line an implementation; a ring around the larger size of each cliff."""
    axis = axis_of(panel)
    rows = _with_units(panel.rows)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_ylim(*units)
    ends: dict[str, tuple[float, float]] = {}
    cliffs = 0
    sure = True
    for name, cases in rows.groupby("implementation", sort=True):
        style = styles[str(name)]
        points = cases.sort_values(axis).set_index(axis)["unit"]
        axes.plot(points.index, points, color=style.colour, linestyle=style.line, linewidth=style.width)
        pairs = neighbours(cases, axis)
        found = [pair.larger for pair in pairs if pair.cliff]
        sure = sure and not any(pair.beyond or pair.open for pair in pairs)
        _ring(axes, dict(points[found]))
        cliffs += len(found)
        ends[str(name)] = (float(points.index[-1]), float(points.iloc[-1]))
    size_axis(axes.xaxis, rows[axis])
    log_axis(axes.yaxis, *units, plain_seconds)
    axes.set_xlabel(AXIS_NAMES[axis])
    axes.set_ylabel(f"time of {OPERATIONS} operations")
    end_labels(axes, ends, styles, height)
    return f"{count(cliffs, 'cliff')}, ringed" if cliffs else "no cliff" if sure else "no sure cliff"


def _ring(axes: Axes, places: Mapping[int, float]) -> None:
    """A ring around each place, {size: height}."""
    style: dict[str, Any] = {"color": _CLIFF, "markersize": 9, "markerfacecolor": "none", "markeredgewidth": 1.5}
    axes.plot(list(places), list(places.values()), "o", **style)


def steps(axes: Axes, panel: Panel, styles: Mapping[str, Style], scale: Scale, height: float) -> str:
    """A line an implementation: a unit of work at each size over one at the size before, and how far a cliff is."""
    axis = axis_of(panel)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    ends: dict[str, tuple[float, float]] = {}
    furthest: tuple[float, str] = 0.0, ""
    starts: list[int] = []
    for name, cases in panel.rows.groupby("implementation", sort=True):
        pairs = neighbours(cases, axis)
        if not pairs:
            continue
        style = styles[str(name)]
        sizes, ratios = [pair.larger for pair in pairs], [pair.ratio.median for pair in pairs]
        axes.plot(sizes, ratios, color=style.colour, linestyle=style.line, linewidth=1.0)
        _ring(axes, {pair.larger: pair.ratio.median for pair in pairs if pair.cliff})
        starts.append(sizes[0])
        ends[str(name)] = (sizes[-1], ratios[-1])
        far = max(pairs, key=lambda pair: pair.factor)
        place = f"{name}, {axis} {far.smaller} and {far.larger}, by {ratio(far.apart)}"
        furthest = max(furthest, (far.factor, place))
    for level in (1 / CLIFF, 1.0, CLIFF):
        axes.axhline(level, color=MUTED, linewidth=1, linestyle="-" if level == 1 else (0, (4, 3)))
    axes.set_ylim(*scale)
    log_axis(axes.yaxis, *scale, plain_times)
    size_axis(axes.xaxis, range(min(starts), int(panel.rows[axis].max()) + 1))
    axes.set_xlabel(AXIS_NAMES[axis])
    axes.set_ylabel("against the size before")
    end_labels(axes, ends, styles, height)
    return f"furthest apart: {furthest[1]}"
