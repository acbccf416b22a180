"""Plots of a history: the times of each case by revision, with their levels and the steps between them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.history.findings import CaseHistory, MachineHistory
from benchmarks.history.steps import values
from benchmarks.history.words import finding, short, short_names
from benchmarks.presentation.figures import (
    Axes,
    Figure,
    FixedFormatter,
    FixedLocator,
    FuncFormatter,
    MaxNLocator,
    own_settings,
)
from benchmarks.presentation.plain_text import clean, seconds
from benchmarks.presentation.plot_style import SETTINGS, TEXT, WIDTH, heading, panel_heading, save

_COLUMNS = 2
_ROWS = 4
_PANEL = (4.55, 1.55)
_PITCH = (5.45, 2.45)
"""The distance of neighbouring panels in inches, by column and row."""
_LEFT, _TOP, _BOTTOM = 0.75, 1.3, 0.55
_COLOURS = {"slower": "#D55E00", "faster": "#009E73", "code or machine": "#0072B2"}
"""The colours of a step of the code, up or down, and of one that the machine may have made."""
_MOST_LABELS = 7
_LEAST_RANGE = 0.05
"""The margin of a panel above and below the times, as a share, so that noise does not fill it."""


def draw_history(history: MachineHistory, folder: Path, stem: str) -> list[str]:
    """Write the figures, PNG and SVG, eight cases each, and return the stems of their names."""
    size = _COLUMNS * _ROWS
    names = short_names([case.series.case for case in history.cases])
    stems = []
    for page, first in enumerate(range(0, len(history.cases), size), start=1):
        stems.append(stem if page == 1 else f"{stem}-{page}")
        with own_settings(SETTINGS):
            figure = _figure(history, history.cases[first : first + size], names)
            save(figure, folder, stems[-1])
    return stems


def _figure(history: MachineHistory, cases: Sequence[CaseHistory], names: dict[str, str]) -> Figure:
    rows = math.ceil(len(cases) / _COLUMNS)
    height = _TOP + _BOTTOM + (rows - 1) * _PITCH[1] + _PANEL[1]
    figure = Figure(figsize=(WIDTH, height))
    heading(
        figure,
        f"Time of a call, {'release by release' if history.package else 'revision by revision'}",
        f"{clean(history.title, 60)}; a dot a process, corrected for its session; coloured: a step",
    )
    for number, case in enumerate(cases):
        row, column = divmod(number, _COLUMNS)
        left = _LEFT + column * _PITCH[0]
        bottom = height - _TOP - _PANEL[1] - row * _PITCH[1]
        axes = figure.add_axes((left / WIDTH, bottom / height, _PANEL[0] / WIDTH, _PANEL[1] / height))
        _panel(axes, case, history.released)
        title = clean(names[case.series.case], 64)
        panel_heading(figure, left, bottom + _PANEL[1] + 0.1, title, clean(finding(case), 78), has_room=True)
    return figure


def _panel(axes: Axes, case: CaseHistory, released: Mapping[str, str]) -> None:
    """The times of a case; under a release stands the day on which it came out."""
    series = case.series
    places = range(len(series.revisions))
    for place, point in zip(places, series.revisions, strict=True):
        axes.plot([place] * len(point.seconds), point.seconds, ".", color="#AAAAAA", markersize=4)
    level = np.exp(values(series.processes))
    axes.plot(places, level, "o", color=TEXT, markersize=3.4)
    borders = [0, *(change.step.at for change in case.changes), len(series.revisions)]
    for start, end in itertools.pairwise(borders):
        height = float(np.exp(np.log(level[start:end]).mean()))
        axes.plot([start - 0.3, end - 0.7], [height, height], color=TEXT, linewidth=2)
    for change in case.changes:
        step = change.step
        kind = ("slower" if step.ratio > 1 else "faster") if change.interleaved else "code or machine"
        axes.axvspan(step.last_before, step.first_after, color=_COLOURS[kind], alpha=0.25, linewidth=0)
    low, high = float(min(map(min, series.processes))), float(max(map(max, series.processes)))
    axes.set_ylim(low * (1 - _LEAST_RANGE), high * (1 + _LEAST_RANGE))
    axes.set_xlim(-0.6, len(series.revisions) - 0.4)
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: seconds(value)))
    labelled = range(0, len(series.revisions), math.ceil(len(series.revisions) / _MOST_LABELS))
    axes.xaxis.set_major_locator(FixedLocator(labelled))
    names = [series.revisions[place].revision for place in labelled]
    labels = [short(name, 7) + (f"\n{released[name]}" if name in released else "") for name in names]
    axes.xaxis.set_major_formatter(FixedFormatter(labels))
    axes.tick_params(labelsize=8)
    axes.grid(visible=False, axis="x")
