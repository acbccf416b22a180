"""The plot of latencies: the share of calls that take longer than a time, with the tail on a logarithmic scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.presentation.figures import Axes
from benchmarks.presentation.plain_text import seconds
from benchmarks.presentation.plot_style import MUTED, Style, log_axis, plain_seconds, plain_share
from benchmarks.reporting.answers.findings import Setting
from benchmarks.reporting.answers.slices import Panel
from benchmarks.reporting.plots.plot_labels import end_labels, with_close
from benchmarks.reporting.plots.plot_pages import Scale
from benchmarks.reporting.topics.latency import LatencyCase, latency_frame

Points: TypeAlias = NDArray[np.float64]

LEAST_SHARE = 1e-4
"""The lowest share on the axis: one call in ten thousand."""
NEAREST = 0.08
"""Least distance of two points of a line, as a share of the larger one's height."""
_MARKED = (0.5, 0.01, 0.001)
"""Shares that have a line: the percentiles of the tables."""


def latency_panels(cases: Sequence[LatencyCase]) -> list[Panel]:
    """A panel a workload with its cases, whose `LatencyCase` is in the column `case`; largest networks last."""
    groups: dict[tuple[str, str], list[LatencyCase]] = {}
    for case in cases:
        groups.setdefault((case.run, case.workload.id), []).append(case)
    panels = []
    for (run, _), together in groups.items():
        workload = together[0].workload
        rows = latency_frame(together)
        rows["case"] = pd.Series(together, index=rows.index, dtype=object)
        sizes = f"T {workload.T}, B {workload.B}, H {workload.H}"
        panels.append(Panel(run, Setting.of(workload), workload.mode, rows, detail=sizes))
    return panels


def scale(panel: Panel) -> Scale:
    """The times of calls on the axis, in seconds."""
    lines = [_thinned(*case.latencies.beyond())[0] for case in panel.rows["case"]]
    return min(float(values[0]) for values in lines) / 1.15, max(float(values[-1]) for values in lines) * 1.15


def draw(axes: Axes, panel: Panel, styles: Mapping[str, Style], times: Scale, height: float) -> str:
    """A line an implementation; returns who has the shortest typical call and the shortest tail, or nearly."""
    axes.set_xscale("log")
    axes.set_yscale("log")
    ends: dict[str, tuple[float, float]] = {}
    for case in panel.rows["case"]:
        values, beyond = _thinned(*case.latencies.beyond())
        style = styles[case.implementation]
        axes.plot(values, beyond, color=style.colour, linestyle=style.line, linewidth=style.width)
        ends[case.implementation] = float(values[-1]), float(beyond[-1])
    for marked in _MARKED:
        axes.axhline(marked, color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.set_ylim(LEAST_SHARE, 1.0)
    axes.set_xlim(*times)
    log_axis(axes.yaxis, LEAST_SHARE, 1.0, plain_share)
    log_axis(axes.xaxis, *times, plain_seconds)
    axes.set_xlabel("time of a call")
    axes.set_ylabel("calls that take longer")
    end_labels(axes, ends, styles, height)
    return _finding(panel)


def _thinned(
    values: NDArray[np.float64], beyond: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The points of a line down to `LEAST_SHARE`, each at least `NEAREST` below the one before: files stay small."""
    kept = [0]
    for place in range(1, len(values)):
        if beyond[place] < LEAST_SHARE:
            break
        if beyond[place] <= beyond[kept[-1]] * (1 - NEAREST):
            kept.append(place)
    return values[kept], beyond[kept]


def _finding(panel: Panel) -> str:
    said = []
    for words, name in (("typical", "p50"), ("99.9 %", "p99_9")):
        time, low, high = f"{name}_seconds", f"{name}_low", f"{name}_high"
        known = panel.rows[panel.rows[time].notna()].sort_values(time)
        if len(known):
            least, *others = known.to_dict("records")
            close = [str(other["implementation"]) for other in others if not other[low] > least[high]]
            said.append(f"{words}: {with_close(least['implementation'], close)}, {seconds(least[time])}")
    return "; ".join(said)
