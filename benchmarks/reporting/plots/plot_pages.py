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
    """What stands for the picture where it is not seen: what sets it apart where several have the title, else that."""


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
        for number, page in enumerate(_pages(kind), start=1):
            stem = kind.stem if number == 1 else f"{kind.stem}-{number}"
            say(f"drawing {stem}")
            yield Plot(stem, kind.title, kind.caption, page.alternative), _figure(kind, page)


PageKey: TypeAlias = tuple[str, str, str, str, str]
"""What the panels of a figure share: run, cell, device, dtype and precision."""
Scale: TypeAlias = tuple[float, float]
"""The least and the largest value on an axis."""


def page_of(panel: Panel) -> PageKey:
    """The key of the panel's figure, or of its figures where it has more panels than fit."""
    return (panel.run, *panel.setting[:4])


def scales(panels: Sequence[Panel], scale: Callable[[Panel], Scale]) -> dict[PageKey, Scale]:
    """The scale of each figure, from those that its panels would have alone."""
    found: dict[PageKey, Scale] = {}
    for panel in panels:
        low, high = scale(panel)
        before = found.get(page_of(panel), (low, high))
        found[page_of(panel)] = min(low, before[0]), max(high, before[1])
    return found


def inches_of(names: Sequence[str], more: float = 0.2) -> float:
    """Inches for the longest of the names."""
    return max((_LETTER * len(label(name)) for name in names), default=0.0) + more


@dataclasses.dataclass(frozen=True)
class _Page:
    """A figure's title, what stands for it where it is not seen, and its panels, each with its name."""

    title: str
    alternative: str
    panels: Sequence[tuple[str, Panel]]


def _pages(kind: PlotKind) -> list[_Page]:
    """The figures of a kind: a cell of a run and a device each, and no more panels than fit.

    The name of a panel has all by which it differs from the panels of any figure, but for the cell.
    """
    cells = {panel.setting.cell for panel in kind.panels}
    groups: dict[PageKey, list[tuple[str, Panel]]] = {}
    for name, panel in zip(_names(kind.panels), kind.panels, strict=True):
        groups.setdefault(page_of(panel), []).append((name, panel))
    pages = []
    for (_, cell, *_), members in groups.items():
        plain = f"{kind.title[0].lower()}{kind.title[1:]}"
        own = CELL_LABELS.get(cell, cell) if len(cells) > 1 else ""
        title = f"{own}: {plain}" if own else kind.title
        for at in range(0, len(members), LARGEST_PAGE):
            shown = members[at : at + LARGEST_PAGE]
            pages.append(_Page(title, ", ".join(filter(None, (own, *_shared(kind, shown)))) or title, shown))
    return pages


def _names(panels: Sequence[Panel]) -> list[str]:
    """The names of panels but for their cells; a run's name is cut to fit where runs differ also then."""
    runs = {panel.run: label(panel.run) for panel in panels}
    if len(set(runs.values())) < len(runs):
        runs = {run: run for run in runs}
    names, _ = setting_labels([(runs[panel.run], panel.setting._replace(cell=""), panel.mode) for panel in panels])
    return names if len(runs) > 1 else [f"{name[0].upper()}{name[1:]}" for name in names]


def _shared(kind: PlotKind, shown: Sequence[tuple[str, Panel]]) -> list[str]:
    """What the names of a page's panels share; nothing where the page is the only one."""
    if len(shown) == len(kind.panels):
        return []
    first, *others = [name.split(", ") for name, _ in shown]
    return [part for part in first if all(part in other for other in others)]


def _figure(kind: PlotKind, page: _Page) -> Figure:
    """Panels in two columns; their places are fixed in inches, so that figures have the same form."""
    drawn = page.panels
    columns = min(kind.columns, len(drawn))
    grid = [drawn[start : start + columns] for start in range(0, len(drawn), columns)]
    heights = [max(kind.height(panel) for _, panel in row) for row in grid]
    total = _TOP + sum(heights) + _BETWEEN * (len(grid) - 1) + _BOTTOM
    figure = Figure(figsize=(WIDTH, total))
    heading(figure, page.title, kind.fixed)
    top = total - _TOP
    lefts = [kind.left, kind.left if kind.inner_left is None else kind.inner_left][:columns]
    inner = WIDTH / columns - kind.right - sum(lefts) / columns
    for row, height in zip(grid, heights, strict=True):
        headings = []
        for column, (name, panel) in enumerate(row):
            begin = column * (lefts[0] + inner + kind.right)
            left = begin + lefts[column]
            axes = figure.add_axes((left / WIDTH, (top - height) / total, inner / WIDTH, height / total))
            found = kind.drawer(axes, panel, kind.styles(panel), height)
            is_inner = bool(column) and kind.inner_left is not None
            if is_inner:
                axes.tick_params(labelleft=False)
            what = AXIS_NAMES[panel.axis] if panel.axis else panel.detail
            headings.append((left if is_inner else begin + _MARGIN, f"{name}, {what}" if what else name, found))
        for place, said, found in headings:
            has_room = any(each for *_, each in headings)
            panel_heading(figure, place, top + 0.08, said, found, has_room=has_room)
        top -= height + _BETWEEN
    return figure
