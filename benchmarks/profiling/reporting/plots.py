"""The plots of a profile: what the time of a call goes to, and how it grows with a size."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.presentation.figures import Axes, Figure, own_settings
from benchmarks.presentation.plain_text import clean, seconds, share
from benchmarks.presentation.plot_style import MUTED, SETTINGS, WIDTH, heading, log_axis, plain_seconds, save, size_axis
from benchmarks.profiling.reporting.growth import SizeSeries, kind_seconds
from benchmarks.profiling.sampling.kinds import KIND_NAMES, KINDS, WorkKind
from benchmarks.reporting.answers.slices import AXIS_NAMES
from benchmarks.workload import Workload

COLOURS: Mapping[WorkKind, str] = {
    "products": "#0072B2",
    "elementwise": "#56B4E9",
    "memory": "#009E73",
    "overhead": "#D55E00",
    "waiting": "#E69F00",
    "unattributed": "#AAAAAA",
    "host_bound": "#CC79A7",
    "launch": "#F0E442",
    "between": "#666666",
}
_DARK: frozenset[WorkKind] = frozenset({"products", "memory", "overhead"})
NARROWEST_WITH_NUMBER = 5.0
"""Percent of a call: a narrower part of a bar has no number in it."""
_BAR_INCHES = 0.42
_LEFT, _RIGHT, _TOP, _BOTTOM = 1.75, 2.6, 1.12, 0.62
LARGEST_GRID = 6
"""The most panels of one plot of growth."""


def workload_words(workload: Workload) -> str:
    """A workload in words, as in: Inference, T128 B1 I128 H128 L1 tanh float32, 2 threads."""
    threads = "1 thread" if workload.threads == 1 else f"{workload.threads} threads"
    sizes = workload.id.rpartition("/")[2].removesuffix(f"-threads{workload.threads}").replace("-", " ")
    return f"{workload.mode.capitalize()}, {sizes}, {threads}"


def draw_bars(shares: pd.DataFrame, limits: pd.DataFrame, workload: Workload, folder: Path, stem: str) -> None:
    """Draw one workload: a bar for each implementation in percent of its call, the fastest at the top.

    `shares` has implementations as rows and kinds as columns, `limits` the rows of `limits_frame` on this workload.
    """
    calls = limits.set_index("implementation").loc[list(shares.index)].sort_values("median_seconds")
    ordered = shares.loc[calls.index]
    inches = _TOP + _BAR_INCHES * len(ordered) + _BOTTOM
    with own_settings(SETTINGS):
        figure = Figure(figsize=(WIDTH, inches))
        height = _BAR_INCHES * len(ordered) / inches
        axes = figure.add_axes((_LEFT / WIDTH, _BOTTOM / inches, (WIDTH - _LEFT - _RIGHT) / WIDTH, height))
        heading(figure, "What the time of a call goes to", workload_words(workload))
        names = [clean(name, 22) for name in ordered.index]
        left = [0.0] * len(names)
        for kind in KINDS:
            widths = [100 * float(each) for each in ordered[kind]]
            if not any(widths):
                continue
            axes.barh(names, widths, left=left, color=COLOURS[kind], label=KIND_NAMES[kind], height=0.74)
            for row, (start, width) in enumerate(zip(left, widths, strict=True)):
                if width >= NARROWEST_WITH_NUMBER:
                    text: dict[str, Any] = {"va": "center", "ha": "center", "fontsize": 9}
                    axes.text(start + width / 2, row, f"{width:.0f}", color=_text_colour(kind), **text)
            left = [start + width for start, width in zip(left, widths, strict=True)]
        for row, call in enumerate(calls.to_dict("records")):
            axes.text(102, row, seconds(call["median_seconds"]), va="center", fontsize=10, fontweight="bold")
            if not math.isnan(call["share_of_attainable"]):
                said = f"{share(call['share_of_attainable'])} of attainable"
                axes.text(117, row, said, va="center", fontsize=9, color=MUTED)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_xlim(0, 100)
        axes.grid(visible=False)
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("% of the call's time")
        _legend(figure, axes, inches)
        save(figure, folder, stem)


def _text_colour(kind: WorkKind) -> str:
    return "white" if kind in _DARK else "#222222"


def _legend(figure: Figure, axes: Axes, inches: float) -> None:
    handles, labels = axes.get_legend_handles_labels()
    place = (0.02 / WIDTH, 1 - 0.98 / inches)
    style: dict[str, Any] = {"frameon": False, "fontsize": 9.5, "handlelength": 1.0, "columnspacing": 1.4}
    figure.legend(handles, labels, loc="lower left", bbox_to_anchor=place, ncols=len(labels), **style)


def draw_growth(frame: pd.DataFrame, letter: str, drawn: Sequence[SizeSeries], folder: Path, stem: str) -> None:
    """Draw series over one size: a panel for each series, a line for each kind, both axes logarithmic and shared.

    At most `LARGEST_GRID` series are drawn, the first ones.
    """
    shown = drawn[:LARGEST_GRID]
    tables = [kind_seconds(frame, one) for one in shown]
    totals = [table.sum(axis=1) for table in tables]
    top = 1.5 * max(float(total.max()) for total in totals)
    bottom = max(min(float(table[table > 0].min().min()) for table in tables), top / 3000) / 1.5
    columns = min(3, len(shown))
    rows = math.ceil(len(shown) / columns)
    inches = 1.35 + 2.75 * rows
    with own_settings(SETTINGS):
        figure = Figure(figsize=(WIDTH, inches))
        heading(figure, f"What grows with {AXIS_NAMES[letter]}", "Time of a call and what it goes to; axes logarithmic")
        grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
        figure.subplots_adjust(0.08, 0.55 / inches, 0.98, 1 - 1.35 / inches, 0.08, 0.32)
        for axes, one, table, total in zip(grid.flat, shown, tables, totals, strict=False):
            axes.set_xscale("log")
            axes.set_yscale("log")
            axes.plot(total.index, total, color="black", linewidth=2.4, marker="o", label="a call")
            for kind in KINDS:
                line = table[kind].where(table[kind] > 0)
                if line.notna().any():
                    axes.plot(line.index, line, color=COLOURS[kind], marker="o", markersize=4, label=KIND_NAMES[kind])
            axes.set_title(f"{clean(one.implementation, 22)}\n{one.fixed.rpartition('/')[2]}", fontsize=9, loc="left")
            axes.set_ylim(bottom, top)
            log_axis(axes.yaxis, bottom, top, plain_seconds)
            size_axis(axes.xaxis, [int(size) for size in table.index])
            axes.tick_params(labelbottom=True)
        for axes in list(grid.flat)[len(shown) :]:
            axes.set_visible(False)
        named = {
            label: handle for axes in grid.flat for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        style: dict[str, Any] = {"frameon": False, "fontsize": 9.5, "handlelength": 1.0, "columnspacing": 1.4}
        place = (0.02 / WIDTH, 1 - 0.92 / inches)
        figure.legend(named.values(), named.keys(), loc="lower left", bbox_to_anchor=place, ncols=len(named), **style)
        save(figure, folder, stem)
