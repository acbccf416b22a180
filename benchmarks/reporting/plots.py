"""The plots of a report, as PNG and SVG files.

A plot without data is not drawn. The drawing of each kind is in `panel_plots`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import pandas as pd

from benchmarks.limits.peak import Peak
from benchmarks.presentation.figures import Axes, Figure, own_settings
from benchmarks.presentation.plot_style import SETTINGS, WIDTH, Style, choose_styles, heading, panel_heading, save
from benchmarks.reporting import latency_plot, ranking_plot, roofline, scan_plot
from benchmarks.reporting import panel_plots as draw
from benchmarks.reporting.analysis import Analysis
from benchmarks.reporting.latency import latency_cases
from benchmarks.reporting.latency_plot import latency_panels
from benchmarks.reporting.scan import CLIFF
from benchmarks.reporting.slices import AXIS_NAMES, Panel, along, central, measured, panels
from benchmarks.runs.pooling import BASELINE

LARGEST_PAGE = 4
"""Panels in one figure; more continue in further figures."""
LARGEST_MAP = 12
"""Batch or hidden sizes on a map of winners; with more, the cells have no room for a name."""
_MARGIN = 0.12
_TOP = 1.22
_BOTTOM = 0.62
_BETWEEN = 1.0
"""Inches left of titles, above the first row of panels, below the last, and between two."""


@dataclasses.dataclass(frozen=True)
class Plot:
    """A plot in two files, `stem`.png and `stem`.svg, with its title and what it shows in a sentence."""

    stem: str
    title: str
    caption: str


Peaks: TypeAlias = Mapping[str, Sequence[Peak]]
"""{label of a run: its peaks}."""

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
    left: float = 0.85
    right: float = 1.75
    """Inches beside each panel, for tick labels and for names at line ends."""
    height: Callable[[Panel], float] = lambda _: 3.3


def write_plots(analysis: Analysis, folder: Path) -> list[Plot]:
    """Draw all that an analysis has data for into a folder that exists; the plots in the order of the report."""
    return _write(analysis.frame, folder, _kinds(analysis))


def write_roofline(frame: pd.DataFrame, folder: Path, peaks: Peaks) -> list[Plot]:
    """Draw the roofline alone, of all cases in a frame of `load_run`; no plot where no bandwidth was measured."""
    return _write(frame, folder, [_roofline(measured(frame), peaks)])


def figures(analysis: Analysis) -> dict[str, Figure]:
    """{stem: figure} of all that an analysis has data for, in the order of the report."""
    with own_settings(SETTINGS):
        return {plot.stem: figure for plot, figure in _draw(analysis.frame, _kinds(analysis))}


def _write(frame: pd.DataFrame, folder: Path, kinds: Sequence[_Kind]) -> list[Plot]:
    plots: list[Plot] = []
    with own_settings(SETTINGS):
        for plot, figure in _draw(frame, kinds):
            save(figure, folder, plot.stem)
            plots.append(plot)
    return plots


def _draw(frame: pd.DataFrame, kinds: Sequence[_Kind]) -> Iterator[tuple[Plot, Figure]]:
    """Each plot with its figure, page by page, drawn with the settings in force."""
    styles = choose_styles(frame["implementation"])
    several_runs = len(set(frame["run"])) > 1
    for kind in kinds:
        for page, start in enumerate(range(0, len(kind.panels), LARGEST_PAGE), start=1):
            stem = kind.stem if page == 1 else f"{kind.stem}-{page}"
            figure = _figure(kind, kind.panels[start : start + LARGEST_PAGE], styles, several_runs=several_runs)
            yield Plot(stem, kind.title, kind.caption), figure


def _kinds(analysis: Analysis) -> list[_Kind]:
    """Every plot, in the order of the report; one without panels is not drawn."""
    rows = analysis.measured
    kinds = [_ranking(analysis.ranking_frame), _latencies(analysis), *(_time_over(rows, axis) for axis in AXIS_NAMES)]
    kinds += [_winner_map(rows), _speedups(rows), _share_of_peak(rows), _roofline(rows, analysis.peaks)]
    return [*kinds, *_scans(analysis.scan_panels), _errors(rows), _setup(rows), _gpu_times(rows)]


def _ranking(ranking: pd.DataFrame) -> _Kind:
    return _Kind(
        stem="ranking",
        title="Against the best of the others",
        caption="How many times as fast as the fastest of all others it is on the same workload, with the 95 % "
        "interval; colour and name say which that is.",
        panels=panels(ranking[ranking["ratio"].notna()]),
        fixed="Every workload of the sweep, against whichever other is the fastest there; right of the line is faster",
        drawer=ranking_plot.draw,
        left=1.35,
        right=1.75,
        height=ranking_plot.height,
    )


def _latencies(analysis: Analysis) -> _Kind:
    return _Kind(
        stem="latency-tail",
        title="Streams, call by call",
        caption="The share of calls that take longer than a time, of every call of a stream; both axes are "
        "logarithmic, so that one call in a thousand is seen as well as the typical one. Dashed: half of the calls, "
        "one in a hundred, one in a thousand. Further left is faster, steeper is steadier.",
        panels=latency_panels([case for case in latency_cases(analysis.runs) if case.workload.mode == "streaming"]),
        fixed="Share of calls that take longer than a time; the dashed lines are 50 %, 1 % and 0.1 % of the calls",
        drawer=latency_plot.draw,
    )


def _time_over(rows: pd.DataFrame, axis: str) -> _Kind:
    chosen, fixed = along(rows, [axis])
    return _Kind(
        stem=f"time-over-{axis}",
        title=f"Time of a call over {AXIS_NAMES[axis]}",
        caption=f"Median time of a call over {AXIS_NAMES[axis]}, with its 95 % interval; both axes are logarithmic.",
        panels=panels(chosen),
        fixed=f"{fixed}. Median with its 95 % interval; lower is faster",
        drawer=draw.lines(axis, "median_seconds", ("low_seconds", "high_seconds")),
    )


def _winner_map(rows: pd.DataFrame) -> _Kind:
    chosen, fixed = along(rows, ["B", "H"])
    if max(len(set(chosen[letter])) for letter in "BH") > LARGEST_MAP:
        chosen = chosen.head(0)
    return _Kind(
        stem="winner-map",
        title="The fastest implementation over batch and hidden size",
        caption=f"The fastest implementation and how many times as fast as `{BASELINE}` it is (as the second, where "
        f"`{BASELINE}` itself is the fastest); a second name is too close to it to call. Grey cells were not measured.",
        panels=panels(chosen),
        fixed=f"{fixed}. Times as fast as {BASELINE}, or as the second where {BASELINE} wins; ≈ is too close to call",
        drawer=draw.winner_map,
        left=0.6,
        right=0.15,
    )


def _speedups(rows: pd.DataFrame) -> _Kind:
    chosen = rows[rows["speedup"].notna() & (rows["implementation"] != BASELINE)]
    return _Kind(
        stem="speedup",
        title=f"Speed-up against {BASELINE}",
        caption=f"How many times as fast as `{BASELINE}` on the same workload: a dot a workload (where there are more "
        "than 30: the middle half as a bar, and the range), and the geometric mean.",
        panels=panels(chosen),
        fixed="Every workload of the sweep, with the geometric mean; right of the line is faster",
        drawer=draw.speedups,
        left=1.5,
        right=0.75,
        height=draw.rows_height,
    )


def _share_of_peak(rows: pd.DataFrame) -> _Kind:
    chosen, fixed = along(rows[rows["share_of_peak"].notna()], ["H"])
    return _Kind(
        stem="share-of-peak",
        title="Share of this machine's measured matrix-product peak",
        caption="Operations of the matrix products in a second, as a share of the fastest large product that was "
        "measured in the same run with the same dtype and threads. Code that packs its weights once can pass 100 %.",
        panels=panels(chosen),
        fixed=f"{fixed}. Operations of matrix products only; 100 % is the fastest large product of the same run",
        drawer=draw.lines("H", "share_of_peak", None),
    )


def _roofline(rows: pd.DataFrame, peaks: Peaks) -> _Kind:
    known = rows[roofline.has_roof(rows, peaks)]
    joined, said = roofline.joined_rows(known)
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
    )


def _scans(of_scan: Sequence[Panel]) -> list[_Kind]:
    """Over consecutive sizes: the time of a unit of work, and each size against the one before."""
    scan = _Kind(
        stem="scan",
        title="Any size: the time of a unit of work",
        caption="Time of a call over its operations, over sizes that follow one another, and each size against the one "
        f"before. A ring is a cliff: more than {CLIFF} times apart, up or down, with the whole interval and in several "
        "visits.",
        panels=of_scan,
        fixed="Time of a call over its operations, over sizes that follow one another",
        drawer=scan_plot.unit_times,
    )
    fixed = f"A unit of work at each size over one at the size before; dashed, {CLIFF} times as much or as little"
    return [scan, dataclasses.replace(scan, stem="scan-steps", fixed=fixed, drawer=scan_plot.steps)]


def _errors(rows: pd.DataFrame) -> _Kind:
    chosen, fixed = central(rows[rows["error_output"].gt(0)])
    return _Kind(
        stem="error-against-time",
        title="Error against time",
        caption="The largest error against the float64 reference, relative to the largest value (of the outputs in "
        "inference, of outputs and gradients in training), beside the time of a call. Lower left is better.",
        panels=panels(chosen),
        fixed=f"{fixed}. Largest error against float64, relative; lower left is better",
        drawer=draw.errors,
        right=0.5,
    )


def _setup(rows: pd.DataFrame) -> _Kind:
    chosen = rows[(rows["setup_seconds"] + rows["first_call_seconds"]).gt(0)]
    return _Kind(
        stem="set-up",
        title="What stands before the second call: set-up and first call",
        caption=f"Set-up and first call together: median and range over workloads. Beside it the median number of "
        f"calls after which it has paid back against `{BASELINE}`.",
        panels=panels(chosen),
        fixed=f"Median and range over all workloads; on the right, calls until it has paid back against {BASELINE}",
        drawer=draw.setup,
        left=1.5,
        right=1.25,
        height=draw.rows_height,
    )


def _gpu_times(rows: pd.DataFrame) -> _Kind:
    chosen, fixed = central(rows[rows["kernel_seconds"].notna() | rows["device_span_seconds"].notna()])
    return _Kind(
        stem="device-times",
        title="Wall time, span on the device, and sum of kernels",
        caption="Time of one call as the wall clock, the device's events and the sum of its kernels see it; a wide "
        "gap between the last and the first is launching. On the right, kernels launched.",
        panels=panels(chosen),
        fixed=f"{fixed}. On the right, kernels launched in one call",
        drawer=draw.device_times,
        left=1.5,
        right=1.25,
        height=draw.rows_height,
    )


def _figure(kind: _Kind, drawn: Sequence[Panel], styles: Mapping[str, Style], *, several_runs: bool) -> Figure:
    """Panels in two columns; their places are fixed in inches, so that figures have the same form."""
    columns = min(2, len(drawn))
    grid = [drawn[start : start + columns] for start in range(0, len(drawn), columns)]
    heights = [max(map(kind.height, row)) for row in grid]
    total = _TOP + sum(heights) + _BETWEEN * (len(grid) - 1) + _BOTTOM
    figure = Figure(figsize=(WIDTH, total))
    heading(figure, kind.title, kind.fixed)
    top = total - _TOP
    width = WIDTH / columns
    for row, height in zip(grid, heights, strict=True):
        for column, panel in enumerate(row):
            left = column * width + kind.left
            place = (left / WIDTH, (top - height) / total, (width - kind.left - kind.right) / WIDTH, height / total)
            axes = figure.add_axes(place)
            found = kind.drawer(axes, panel, styles, height)
            at = column * width + _MARGIN, top + 0.1
            panel_heading(figure, *at, panel.title(several_runs=several_runs), found)
        top -= height + _BETWEEN
    return figure
