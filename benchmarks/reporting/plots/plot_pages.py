"""The pages of plots: how the panels of a kind of plot are shared out among figures and laid out in each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from benchmarks.presentation.figures import Axes, Figure, own_settings
from benchmarks.presentation.plot_style import SETTINGS, Style, heading, panel_heading, save
from benchmarks.reporting.answers.findings import CELL_LABELS
from benchmarks.reporting.answers.setting_labels import setting_labels
from benchmarks.reporting.answers.slices import AXIS_NAMES, Panel
from benchmarks.reporting.plots.plot_labels import label

WIDTH = 8.4
"""Inches of every figure: 10 pixels a tenth of an inch where a page shows it 840 pixels wide."""
LARGEST_PAGE = 4
"""Panels in one figure; more continue in further figures."""
_LETTER = 0.082
"""Inches of a letter of names, at the least."""
_MARGIN = 0.12
_TOP = 1.12
_BOTTOM = 0.6
_BETWEEN = 0.98
"""Inches left of titles, above the first row of panels, below the last, and between two."""


@dataclasses.dataclass(frozen=True)
class Plot:
    """A plot in two files, `stem`.png and `stem`.svg, with its title and what it shows in a sentence."""

    stem: str
    title: str
    """The same for all figures of a kind."""
    caption: str
    alternative: str
    """What stands for the picture where it is not seen: its cell where several have the title, else the title."""


Drawer: TypeAlias = Callable[[Axes, Panel, Mapping[str, Style], float], str]
"""Draws into axes a panel with styles and a height in inches; returns the line below the panel's title."""


@dataclasses.dataclass(frozen=True)
class PlotKind:
    """The description of one plot: its panels, the fixed values in them, their drawing and their layout."""

    stem: str
    title: str
    caption: str
    panels: Sequence[Panel]
    fixed: str
    drawer: Drawer
    height: Callable[[Panel], float]
    styles: Callable[[Panel], Mapping[str, Style]]
    left: float = 0.75
    right: float = 1.65
    """Inches beside each panel, for tick labels and for names or numbers."""
    inner_left: float | None = None
    """Inches left of a panel that stands right of another with the same rows; None: as `left`."""
    columns: int = 2
    """Panels beside each other."""


def write_pages(folder: Path, kinds: Sequence[PlotKind], say: Callable[[str], None]) -> list[Plot]:
    """Draw all pages of the kinds into a folder that exists; `say` is told of each figure before it is drawn."""
    plots: list[Plot] = []
    with own_settings(SETTINGS):
        for plot, figure in draw_pages(kinds, say):
            save(figure, folder, plot.stem)
            plots.append(plot)
    return plots


def draw_pages(kinds: Sequence[PlotKind], say: Callable[[str], None]) -> Iterator[tuple[Plot, Figure]]:
    """Each plot with its figure, page by page, drawn with the settings in force."""
    for kind in kinds:
        for page, (title, shown) in enumerate(_pages(kind), start=1):
            stem = kind.stem if page == 1 else f"{kind.stem}-{page}"
            say(f"drawing {stem}")
            yield Plot(stem, kind.title, kind.caption, title.partition(": ")[0]), _figure(kind, title, shown)


def page_of(panel: Panel) -> tuple[str, str, str, str, str]:
    """What the panels of a figure share: run, cell, device, dtype and precision."""
    return (panel.run, *panel.setting[:4])


def inches_of(names: Sequence[str], more: float = 0.2) -> float:
    """Inches for the longest of the names."""
    return max((_LETTER * len(label(name)) for name in names), default=0.0) + more


def _pages(kind: PlotKind) -> list[tuple[str, list[Panel]]]:
    """The figures of a kind, each with its title: a cell of a run and a device each, and no more panels than fit."""
    groups: dict[tuple[str, str, str, str, str], list[Panel]] = {}
    for panel in kind.panels:
        groups.setdefault(page_of(panel), []).append(panel)
    several = len({panel.setting.cell for panel in kind.panels}) > 1
    pages = []
    for (_, cell, *_), members in groups.items():
        plain = f"{kind.title[0].lower()}{kind.title[1:]}"
        title = f"{CELL_LABELS.get(cell, cell)}: {plain}" if several else kind.title
        pages += [(title, members[at : at + LARGEST_PAGE]) for at in range(0, len(members), LARGEST_PAGE)]
    return pages


def _figure(kind: PlotKind, title: str, drawn: Sequence[Panel]) -> Figure:
    """Panels in two columns; their places are fixed in inches, so that figures have the same form."""
    columns = min(kind.columns, len(drawn))
    grid = [drawn[start : start + columns] for start in range(0, len(drawn), columns)]
    heights = [max(map(kind.height, row)) for row in grid]
    total = _TOP + sum(heights) + _BETWEEN * (len(grid) - 1) + _BOTTOM
    figure = Figure(figsize=(WIDTH, total))
    heading(figure, title, kind.fixed)
    names, _ = setting_labels([(panel.run, panel.setting, panel.mode) for panel in drawn])
    top = total - _TOP
    lefts = [kind.left, kind.left if kind.inner_left is None else kind.inner_left][:columns]
    inner = WIDTH / columns - kind.right - sum(lefts) / columns
    labels = iter(names)
    for row, height in zip(grid, heights, strict=True):
        for column, panel in enumerate(row):
            begin = column * (lefts[0] + inner + kind.right)
            left = begin + lefts[column]
            axes = figure.add_axes((left / WIDTH, (top - height) / total, inner / WIDTH, height / total))
            found = kind.drawer(axes, panel, kind.styles(panel), height)
            if column and kind.inner_left is not None:
                axes.tick_params(labelleft=False)
            name = next(labels)
            what = AXIS_NAMES[panel.axis] if panel.axis else panel.detail
            said = f"{name[0].upper()}{name[1:]}{f', {what}' if what else ''}"
            panel_heading(
                figure, (left if column and kind.inner_left is not None else begin + _MARGIN), top + 0.08, said, found
            )
        top -= height + _BETWEEN
    return figure
