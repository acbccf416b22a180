"""The plots of a report, as PNG and SVG files.

A plot without data is not drawn. Colour is a role (`plot_roles`), and the panels of a plot share their scale. The
drawing of each kind is in a module of its own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import pandas as pd

from benchmarks.limits.peak import Peak
from benchmarks.presentation.figures import Axes, Figure, own_settings
from benchmarks.presentation.plain_text import count
from benchmarks.presentation.plot_style import SETTINGS, Style, choose_styles, heading, panel_heading, save
from benchmarks.reporting import (
    device_times_plot,
    latency_plot,
    lengths_plot,
    ranking_plot,
    roofline,
    row_plots,
    scaling_plot,
    scan_plot,
)
from benchmarks.reporting.analysis import Analysis
from benchmarks.reporting.findings import CELL_LABELS
from benchmarks.reporting.latency import latency_cases
from benchmarks.reporting.latency_plot import latency_panels
from benchmarks.reporting.lengths import lengths_cases
from benchmarks.reporting.lengths_plot import lengths_panels
from benchmarks.reporting.plot_labels import label
from benchmarks.reporting.plot_roles import panel_styles
from benchmarks.reporting.scan import CLIFF
from benchmarks.reporting.setting_labels import setting_labels
from benchmarks.reporting.slices import AXIS_NAMES, Panel, central, measured, panels, short_name
from benchmarks.runs.pooling import BASELINE
from benchmarks.workload import Workload

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


Peaks: TypeAlias = Mapping[str, Sequence[Peak]]
"""{label of a run: its peaks}."""
Scale: TypeAlias = tuple[float, float]
Drawer: TypeAlias = Callable[[Axes, Panel, Mapping[str, Style], float], str]
"""Draws into axes a panel with styles and a height in inches; returns the line below the panel's title."""


@dataclasses.dataclass(frozen=True)
class _Kind:
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


def write_plots(analysis: Analysis, folder: Path, say: Callable[[str], None] = lambda _: None) -> list[Plot]:
    """Draw all that an analysis has data for into a folder that exists; the plots in the order of the report.

    `say` is told of each figure before it is drawn.
    """
    return _write(folder, _kinds(analysis), say)


def write_roofline(frame: pd.DataFrame, folder: Path, peaks: Peaks) -> list[Plot]:
    """Draw the roofline alone, of all cases in a frame of `load_run`; no plot where no bandwidth was measured."""
    return _write(folder, [_roofline(measured(frame), peaks)], lambda _: None)


def figures(analysis: Analysis) -> dict[str, Figure]:
    """{stem: figure} of all that an analysis has data for, in the order of the report."""
    with own_settings(SETTINGS):
        return {plot.stem: figure for plot, figure in _draw(_kinds(analysis), lambda _: None)}


def _write(folder: Path, kinds: Sequence[_Kind], say: Callable[[str], None]) -> list[Plot]:
    plots: list[Plot] = []
    with own_settings(SETTINGS):
        for plot, figure in _draw(kinds, say):
            save(figure, folder, plot.stem)
            plots.append(plot)
    return plots


def _draw(kinds: Sequence[_Kind], say: Callable[[str], None]) -> Iterator[tuple[Plot, Figure]]:
    """Each plot with its figure, page by page, drawn with the settings in force."""
    for kind in kinds:
        for page, (title, shown) in enumerate(_pages(kind), start=1):
            stem = kind.stem if page == 1 else f"{kind.stem}-{page}"
            say(f"drawing {stem}")
            yield Plot(stem, kind.title, kind.caption, title.partition(": ")[0]), _figure(kind, title, shown)


def _page_of(panel: Panel) -> tuple[str, str, str, str, str]:
    """What the panels of a figure share: run, cell, device, dtype and precision."""
    return (panel.run, *panel.setting[:4])


def _orders(rows: pd.DataFrame, column: str) -> dict[tuple[str, str, str, str, str], list[str]]:
    """The implementations of each figure by the geometric mean of a column, the largest last."""
    of_page: dict[tuple[str, str, str, str, str], list[pd.DataFrame]] = {}
    for panel in panels(rows):
        of_page.setdefault(_page_of(panel), []).append(panel.rows)
    return {page: row_plots.order_by(pd.concat(found), column) for page, found in of_page.items()}


def _pages(kind: _Kind) -> list[tuple[str, list[Panel]]]:
    """The figures of a kind, each with its title: a cell of a run and a device each, and no more panels than fit."""
    groups: dict[tuple[str, str, str, str, str], list[Panel]] = {}
    for panel in kind.panels:
        groups.setdefault(_page_of(panel), []).append(panel)
    several = len({panel.setting.cell for panel in kind.panels}) > 1
    pages = []
    for (_, cell, *_), members in groups.items():
        plain = f"{kind.title[0].lower()}{kind.title[1:]}"
        title = f"{CELL_LABELS.get(cell, cell)}: {plain}" if several else kind.title
        pages += [(title, members[at : at + LARGEST_PAGE]) for at in range(0, len(members), LARGEST_PAGE)]
    return pages


def _kinds(analysis: Analysis) -> list[_Kind]:
    """Every plot, in the order of the report; one without panels is not drawn."""
    rows = analysis.measured
    found = [*_ranking(analysis), _latencies(analysis), _padding(analysis)]
    found += [*_speedups(analysis, rows), *_scaling(analysis, rows)]
    found += _limits(analysis, rows)
    return [*found, *_scans(analysis.scan_panels), *_setup(analysis, rows), *_gpu_times(rows)]


def _by_role(analysis: Analysis) -> Callable[[Panel], Mapping[str, Style]]:
    return lambda panel: panel_styles(panel, analysis.answers, analysis.subject)


def _latencies(analysis: Analysis) -> _Kind:
    shown = latency_panels([case for case in latency_cases(analysis.runs) if case.workload.mode == "streaming"])
    styles = choose_styles(analysis.frame["implementation"])
    return _Kind(
        stem="latency-tail",
        title="Streams, call by call",
        caption="The share of calls that take longer than a time, of every call of a stream; both axes are "
        "logarithmic, so that one call in a thousand is seen as well as the typical one. Dashed: half of the calls, "
        "one in a hundred, one in a thousand. Further left is faster, steeper is steadier.",
        panels=shown,
        fixed="Share of calls that take longer than a time; the dashed lines are 50 %, 1 % and 0.1 % of the calls",
        drawer=latency_plot.draw,
        height=lambda _: 2.8,
        styles=lambda _: styles,
        columns=1,
    )


def _padding(analysis: Analysis) -> _Kind:
    styles = choose_styles(analysis.frame["implementation"])
    return _Kind(
        stem="padding",
        title="What padding costs",
        caption="The time per valid step of batches of unequal lengths, over the implementation's own time per step at "
        "equal lengths. Further right more of a batch is padding. The level line is 1: padding costs nothing. Dashed: "
        "all steps are computed, padding too.",
        panels=lengths_panels(lengths_cases(analysis.runs)),
        fixed="Time per valid step over equal lengths; dashed: all padding is computed",
        drawer=lengths_plot.draw,
        height=lambda _: 2.8,
        styles=lambda _: styles,
        columns=1,
    )


def _beside(names: Sequence[str], more: float = 0.2) -> float:
    """Inches for the longest of the names."""
    return max((_LETTER * len(label(name)) for name in names), default=0.0) + more


def _ranking(analysis: Analysis) -> list[_Kind]:
    ranking = analysis.ranking_frame[analysis.ranking_frame["ratio"].notna()]
    if ranking.empty:
        return []
    rows = ranking.assign(implementation=ranking["peer"])
    subjects = sorted(set(map(str, rows["subject"])))
    subject = subjects[0] if len(subjects) == 1 else "The fastest"
    shown = panels(rows)
    longest = max(len(short_name(Workload.parse(name))) for name in rows["workload"].unique())
    same = len({tuple(sorted(set(_sizes(panel)))) for panel in shown}) == 1
    scale = _around_one(rows[["ratio", "ratio_low"]].min().min(), rows[["ratio", "ratio_high"]].max().max())
    return [
        _Kind(
            stem="ranking",
            title=f"{subject} against the best of the others",
            caption="How many times as fast as the fastest of all others on the same workload, with the 95 % interval. "
            "Grey is too close to call.",
            panels=shown,
            fixed="Times as fast as whichever other is the fastest there, with the 95 % interval",
            drawer=lambda axes, panel, styles, _: ranking_plot.draw(axes, panel, styles, scale),
            height=ranking_plot.height,
            styles=_by_role(analysis),
            left=max(1.0, 0.078 * longest + 0.1),
            inner_left=0.15 if same else None,
            right=_beside(ranking_plot.names_of(rows), 0.6) * 0.9,
        )
    ]


def _sizes(panel: Panel) -> list[tuple[int, ...]]:
    return [tuple(map(int, row)) for row in panel.rows[list("TBIHL")].to_numpy()]


def _around_one(low: float, high: float) -> Scale:
    """A logarithmic scale of ratios from the least to the largest, with room, that shows 1."""
    low, high = min(low, 0.97), max(high, 1.03)
    room = max(1.1, (high / low) ** 0.05)
    return low / room, high * room


def _speedups(analysis: Analysis, rows: pd.DataFrame) -> list[_Kind]:
    chosen = rows[rows["speedup"].notna()]
    others = chosen[chosen["implementation"] != BASELINE]
    if others.empty:
        return []
    kept = chosen.merge(others[["run", "cell", "device"]].drop_duplicates(), on=["run", "cell", "device"])
    orders = _orders(kept, "speedup")
    scale = _around_one(others["speedup"].min(), others["speedup"].max())
    return [
        _Kind(
            stem="speedup",
            title=f"Times as fast as {BASELINE}",
            caption=f"How many times as fast as `{BASELINE}` on the same workload: a dot a workload, the geometric "
            "mean as a line with its 95 % interval as a bar.",
            panels=panels(kept),
            fixed="A dot a workload; line and bar: geometric mean with its 95 % interval",
            drawer=lambda axes, panel, styles, _: row_plots.speedups(
                axes, panel, styles, orders[_page_of(panel)], scale
            ),
            height=lambda panel: row_plots.rows_height(len(orders[_page_of(panel)])),
            styles=_by_role(analysis),
            left=_beside(list(map(str, kept["implementation"]))),
            inner_left=0.15,
            right=1.5,
        )
    ]


def _scaling(analysis: Analysis, rows: pd.DataFrame) -> list[_Kind]:
    shown = scaling_plot.scaling_panels(rows)
    if not shown:
        return []
    # One thread count tells how sizes matter; the others are in the tables.
    most = max(panel.setting.threads for panel in shown)
    shown = [panel for panel in shown if panel.setting.threads == most]
    everything = pd.concat([panel.rows for panel in shown])
    lowest, highest = everything["speedup"].min(), everything["speedup"].max()
    # Intervals are shown whole unless they are so wide that they would flatten the lines.
    low = max(everything[["speedup", "speedup_low"]].min().min(), lowest / 2)
    high = min(everything[["speedup", "speedup_high"]].max().max(), highest * 2)
    scale = min(low, 0.97) / 1.15, max(high, 1.03) * 1.15
    names = list(map(str, everything["implementation"].unique()))
    return [
        _Kind(
            stem="scaling",
            title=f"How sizes change the lead over {BASELINE}",
            caption=f"How many times as fast as `{BASELINE}`, over each size with the others fixed, with the 95 % "
            f"interval; {count(most, 'thread')}.",
            panels=shown,
            fixed=f"Times as fast as {BASELINE} (the line at 1), with the 95 % interval; both axes are logarithmic",
            drawer=lambda axes, panel, styles, height: scaling_plot.draw(axes, panel, styles, scale, height),
            height=lambda _: 2.3,
            styles=_by_role(analysis),
            left=0.6,
            right=_beside(names, 0.3),
        )
    ]


def _limits(analysis: Analysis, rows: pd.DataFrame) -> list[_Kind]:
    chosen = rows[rows["share_of_attainable"].notna()]
    if chosen.empty:
        return []
    orders = _orders(chosen, "share_of_attainable")
    scale = 0.0, max(1.0, float(chosen["share_of_attainable"].max()) * 1.03)
    return [
        _Kind(
            stem="limit",
            title="Share of the limit of this machine",
            caption="The least time that this machine allows, by rates measured in the same run, over the measured "
            "time: the median over workloads as a bar, the range as a line. What sets the limit: `docs/limits.md` in "
            "the project.",
            panels=panels(chosen),
            fixed="The least possible time over the measured one: median over workloads, and the range as a line",
            drawer=lambda axes, panel, styles, _: row_plots.limit_shares(
                axes, panel, styles, orders[_page_of(panel)], scale
            ),
            height=lambda panel: row_plots.rows_height(len(orders[_page_of(panel)])),
            styles=_by_role(analysis),
            left=_beside(list(map(str, chosen["implementation"]))),
            inner_left=0.15,
            right=0.6,
        )
    ]


def _setup(analysis: Analysis, rows: pd.DataFrame) -> list[_Kind]:
    rows = rows.assign(before=rows["setup_seconds"] + rows["first_call_seconds"])
    chosen = rows[rows["before"].gt(0)]
    if chosen.empty:
        return []
    order = row_plots.order_by(chosen, "before", largest_on_top=False)
    once = analysis.once
    low, high = chosen["before"].min(), max([chosen["before"].max(), *(once[name] for name in order if name in once)])
    rings = bool(set(once) & set(order))
    hollow = " A ring is what the first use on a machine costs." if rings else ""
    ring = "; ring: the first use on a machine" if rings else ""
    compared = bool(chosen.loc[chosen["implementation"] != BASELINE, "payback_calls"].notna().any())
    beside = (
        f" Beside it the median number of calls after which it has paid back against `{BASELINE}`." if compared else ""
    )
    right = f"; right: calls until it pays back against {BASELINE}" if compared else ""
    return [
        _Kind(
            stem="set-up",
            title="Set-up cost",
            caption=f"Set-up and first call together: median and range over workloads.{beside}{hollow}",
            panels=_a_panel_a_mode(chosen),
            fixed=f"Median and range over workloads{right}{ring}",
            drawer=lambda axes, panel, styles, _: row_plots.set_up(
                axes, panel, styles, order, (low / 1.4, high * 1.4), once
            ),
            height=lambda _: row_plots.rows_height(len(order)),
            styles=_by_role(analysis),
            left=_beside(order),
            inner_left=0.15,
            right=0.95,
        )
    ]


def _a_panel_a_mode(rows: pd.DataFrame) -> list[Panel]:
    """A panel a mode of each run and device, over all cells and threads: set-up hardly depends on them."""
    found: dict[tuple[str, str, str], Panel] = {}
    for panel in panels(rows):
        of = rows[(rows["run"] == panel.run) & (rows["device"] == panel.setting.device) & (rows["mode"] == panel.mode)]
        # The first setting stands for all: it chooses the colours.
        found.setdefault((panel.run, panel.setting.device, panel.mode), panel._replace(rows=of))
    first = next(iter(found.values())).setting.cell
    return [panel._replace(setting=panel.setting._replace(cell=first)) for panel in found.values()]


def _roofline(rows: pd.DataFrame, peaks: Peaks) -> _Kind:
    known = rows[roofline.has_roof(rows, peaks)]
    joined, said = roofline.joined_rows(known)
    styles = choose_styles(rows["implementation"])
    return _Kind(
        stem="roofline",
        title="Roofline: how near each comes to what the machine can do",
        caption="Operations a second over operations for each byte that must reach the cores, every case a dot. Solid: "
        "multiply-adds in registers, and what the threads read from each cache and from memory. Dotted: what no "
        "implementation can be faster than at these sizes; dashed: the same with the fastest chain of (B, H) products "
        "that was measured. How to read it: `docs/limits.md` in the project.",
        panels=panels(known),
        fixed=f"{said}. All ceilings were measured in the same run",
        drawer=roofline.drawer(peaks, joined),
        height=lambda _: roofline.HEIGHT,
        styles=lambda _: styles,
        columns=1,
    )


def _scans(of_scan: Sequence[Panel]) -> list[_Kind]:
    """Over consecutive sizes: the time of a unit of work, and each size against the one before."""
    styles = choose_styles(name for panel in of_scan for name in panel.rows["implementation"])
    scan = _Kind(
        stem="scan",
        title="Any size: the time of a unit of work",
        caption="Time of a call over its operations, over sizes that follow one another, and each size against the one "
        f"before. A ring is a cliff: more than {CLIFF} times apart, up or down, with the whole interval and in several "
        "visits.",
        panels=of_scan,
        fixed="Time of a call over its operations, over sizes that follow one another",
        drawer=scan_plot.unit_times,
        height=lambda _: 2.8,
        styles=lambda _: styles,
        columns=1,
    )
    fixed = f"A unit of work at each size over one at the size before; dashed, {CLIFF} times as much or as little"
    return [scan, dataclasses.replace(scan, stem="scan-steps", fixed=fixed, drawer=scan_plot.steps)]


def _gpu_times(rows: pd.DataFrame) -> list[_Kind]:
    chosen, fixed = central(rows[rows["kernel_seconds"].notna() | rows["device_span_seconds"].notna()])
    styles = choose_styles(chosen["implementation"])
    return [
        _Kind(
            stem="device-times",
            title="Wall time, span on the device, and sum of kernels",
            caption="Time of one call as the wall clock, the device's events and the sum of its kernels see it; a wide "
            "gap between the last and the first is launching. On the right, kernels launched.",
            panels=panels(chosen),
            fixed=f"{fixed}. On the right, kernels launched in one call",
            drawer=device_times_plot.draw,
            height=lambda panel: max(1.2, row_plots.rows_height(panel.rows["implementation"].nunique())),
            styles=lambda _: styles,
            left=_beside(list(map(str, chosen["implementation"]))),
            right=0.95,
        )
    ]


def _figure(kind: _Kind, title: str, drawn: Sequence[Panel]) -> Figure:
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
