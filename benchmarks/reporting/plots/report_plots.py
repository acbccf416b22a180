"""The plots of a report, as PNG and SVG files: what each kind of plot shows, of which rows, and on which scale.

A plot without data is not drawn. Colour is a role (`plot_roles`), and the panels of a plot share their scale. The
drawing of each kind is in a module of its own, and `plot_pages` lays its panels out.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import pandas as pd

from benchmarks.limits.peak import Peak
from benchmarks.presentation.figures import Axes, Figure, own_settings
from benchmarks.presentation.plain_text import count
from benchmarks.presentation.plot_style import SETTINGS, Style, choose_styles
from benchmarks.reporting.analysis import Analysis
from benchmarks.reporting.answers.setting_answers import SettingAnswer
from benchmarks.reporting.answers.slices import Panel, central, measured, panels, short_name
from benchmarks.reporting.plots import (
    device_times_plot,
    latency_plot,
    lengths_plot,
    ranking_plot,
    roofline,
    row_plots,
    scaling_plot,
    scan_plot,
)
from benchmarks.reporting.plots.latency_plot import latency_panels
from benchmarks.reporting.plots.lengths_plot import lengths_panels
from benchmarks.reporting.plots.plot_labels import label
from benchmarks.reporting.plots.plot_pages import (
    PageKey,
    Plot,
    PlotKind,
    Scale,
    draw_pages,
    inches_of,
    page_of,
    scales,
    write_pages,
)
from benchmarks.reporting.plots.plot_roles import panel_styles
from benchmarks.reporting.topics.latency import latency_cases
from benchmarks.reporting.topics.lengths import lengths_cases
from benchmarks.reporting.topics.scan import CLIFF
from benchmarks.reporting.words.answer_words import shares_of_the_limit
from benchmarks.runs.pooling import BASELINE
from benchmarks.workload import Workload

Peaks: TypeAlias = Mapping[str, Sequence[Peak]]
"""{label of a run: its peaks}."""


def write_plots(analysis: Analysis, folder: Path, say: Callable[[str], None] = lambda _: None) -> list[Plot]:
    """Draw all that an analysis has data for into a folder that exists; the plots in the order of the report.

    `say` is told of each figure before it is drawn.
    """
    return write_pages(folder, _kinds(analysis), say)


def write_roofline(frame: pd.DataFrame, folder: Path, peaks: Peaks) -> list[Plot]:
    """Draw the roofline alone, of all cases in a frame of `load_run`; no plot where no bandwidth was measured."""
    return write_pages(folder, [_roofline(measured(frame), peaks)], lambda _: None)


def figures(analysis: Analysis) -> dict[str, Figure]:
    """{stem: figure} of all that an analysis has data for, in the order of the report."""
    with own_settings(SETTINGS):
        return {plot.stem: figure for plot, figure in draw_pages(_kinds(analysis), lambda _: None)}


def _orders(rows: pd.DataFrame, column: str) -> dict[PageKey, list[str]]:
    """The implementations of each figure by the geometric mean of a column, the largest last."""
    of_page: dict[PageKey, list[pd.DataFrame]] = {}
    for panel in panels(rows):
        of_page.setdefault(page_of(panel), []).append(panel.rows)
    return {page: row_plots.order_by(pd.concat(found), column) for page, found in of_page.items()}


def _answer_of(analysis: Analysis, panel: Panel) -> SettingAnswer | None:
    """The answer in the panel's mode and setting."""
    place = (panel.run, panel.setting, panel.mode)
    return next((each for each in analysis.answers if (each.run, each.setting, each.mode) == place), None)


def _kinds(analysis: Analysis) -> list[PlotKind]:
    """Every plot, in the order of the report; one without panels is not drawn."""
    rows = analysis.measured
    found = [*_ranking(analysis), _latencies(analysis), _padding(analysis)]
    found += [*_speedups(analysis, rows), *_scaling(analysis, rows)]
    found += _limits(analysis, rows)
    return [*found, *_scans(analysis.scan_panels), *_setup(analysis, rows), *_gpu_times(rows)]


def _by_role(analysis: Analysis) -> Callable[[Panel], Mapping[str, Style]]:
    return lambda panel: panel_styles(panel, analysis.answers, analysis.subject)


def _latencies(analysis: Analysis) -> PlotKind:
    shown = latency_panels([case for case in latency_cases(analysis.runs) if case.workload.mode == "streaming"])
    times = scales(shown, latency_plot.scale)
    styles = choose_styles(analysis.frame["implementation"])
    return PlotKind(
        stem="latency-tail",
        title="Streams, call by call",
        caption="The share of calls that take longer than a time, of every call of a stream; both axes are "
        "logarithmic, so that one call in a thousand is seen as well as the typical one. Dashed: half of the calls, "
        "one in a hundred, one in a thousand. Further left is faster, steeper is steadier.",
        panels=shown,
        fixed="Share of calls that take longer than a time; the dashed lines are 50 %, 1 % and 0.1 % of the calls",
        drawer=lambda axes, panel, styles, height: latency_plot.draw(
            axes, panel, styles, times[page_of(panel)], height
        ),
        height=lambda _: 2.8,
        styles=lambda _: styles,
        columns=1,
    )


def _padding(analysis: Analysis) -> PlotKind:
    shown = lengths_panels(lengths_cases(analysis.runs))
    shares, costs = scales(shown, lengths_plot.share_scale), scales(shown, lengths_plot.cost_scale)
    styles = choose_styles(analysis.frame["implementation"])
    return PlotKind(
        stem="padding",
        title="What padding costs",
        caption="The time per valid step of batches of unequal lengths, over the implementation's own time per step at "
        "equal lengths. Further right more of a batch is padding. The level line is 1: padding costs nothing. Dashed: "
        "all steps are computed, padding too.",
        panels=shown,
        fixed="Time per valid step over equal lengths; dashed: all padding is computed",
        drawer=lambda axes, panel, styles, height: lengths_plot.draw(
            axes, panel, styles, shares[page_of(panel)], costs[page_of(panel)], height
        ),
        height=lambda _: 2.8,
        styles=lambda _: styles,
        columns=1,
    )


def _ranking(analysis: Analysis) -> list[PlotKind]:
    ranking = analysis.ranking_frame[analysis.ranking_frame["ratio"].notna()]
    if ranking.empty:
        return []
    rows = ranking.assign(implementation=ranking["peer"])
    subjects = sorted(set(map(str, rows["subject"])))
    subject = subjects[0] if len(subjects) == 1 else "The fastest"
    shown = panels(rows)
    longest = max(len(short_name(Workload.parse(name))) for name in rows["workload"].unique())
    beside = [said for panel in shown for said in ranking_plot.beside(panel.rows)]
    same = len({tuple(sorted(set(_sizes(panel)))) for panel in shown}) == 1
    scale = _around_one(rows[["ratio", "ratio_low"]].min().min(), rows[["ratio", "ratio_high"]].max().max())

    def draw(axes: Axes, panel: Panel, styles: Mapping[str, Style], _: float) -> str:
        said = ranking_plot.draw(axes, panel, styles, scale)
        # Where the title cannot name the fastest, each panel does.
        return said if len(subjects) == 1 else f"{label(str(panel.rows['subject'].iloc[0]))}: {said}"

    return [
        PlotKind(
            stem="ranking",
            title=f"{subject} against the best of the others",
            caption="How many times as fast as the fastest of all others on a workload, with the 95 % interval. Grey "
            "is tied: the interval of one of the others reaches 1.",
            panels=shown,
            fixed="Times as fast as whichever other is the fastest there, with the 95 % interval",
            drawer=draw,
            height=ranking_plot.height,
            styles=_by_role(analysis),
            left=max(1.0, 0.078 * longest + 0.1),
            inner_left=0.15 if same else None,
            right=0.15 + ranking_plot.LETTER_INCHES * max(len(said) for said in beside),
        )
    ]


def _sizes(panel: Panel) -> list[tuple[int, ...]]:
    return [tuple(map(int, row)) for row in panel.rows[list("TBIHL")].to_numpy()]


def _around_one(low: float, high: float) -> Scale:
    """A logarithmic scale of ratios from the least to the largest, with room, that shows 1."""
    low, high = min(low, 0.97), max(high, 1.03)
    room = max(1.1, (high / low) ** 0.05)
    return low / room, high * room


def _speedups(analysis: Analysis, rows: pd.DataFrame) -> list[PlotKind]:
    chosen = rows[rows["speedup"].notna()]
    others = chosen[chosen["implementation"] != BASELINE]
    if others.empty:
        return []
    kept = chosen.merge(others[["run", "cell", "device"]].drop_duplicates(), on=["run", "cell", "device"])
    orders = _orders(kept, "speedup")
    scale = _around_one(*row_plots.speedup_ends(others))

    def draw(axes: Axes, panel: Panel, styles: Mapping[str, Style], _: float) -> str:
        row_plots.speedups(axes, panel, styles, orders[page_of(panel)], scale)
        return row_plots.lead_in_words(_answer_of(analysis, panel))

    return [
        PlotKind(
            stem="speedup",
            title=f"Times as fast as {BASELINE}",
            caption="A dot a workload; the geometric mean as a line, its 95 % interval as a bar.",
            panels=panels(kept),
            fixed="A dot a workload; line and bar: geometric mean with its 95 % interval",
            drawer=draw,
            height=lambda panel: row_plots.rows_height(len(orders[page_of(panel)])),
            styles=_by_role(analysis),
            left=inches_of(list(map(str, kept["implementation"]))),
            inner_left=0.15,
            right=1.5,
        )
    ]


def _scaling(analysis: Analysis, rows: pd.DataFrame) -> list[PlotKind]:
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
        PlotKind(
            stem="scaling",
            title=f"How sizes change the lead over {BASELINE}",
            caption=f"How many times as fast as `{BASELINE}`, over each size with the others fixed, with the 95 % "
            f"interval; {count(most, 'thread')}.",
            panels=shown,
            fixed=f"Times as fast as {BASELINE} (the line at 1), with the 95 % interval, on {count(most, 'thread')}; "
            "logarithmic axes",
            drawer=lambda axes, panel, styles, height: scaling_plot.draw(axes, panel, styles, scale, height),
            height=lambda _: 2.3,
            styles=_by_role(analysis),
            left=0.6,
            right=inches_of(names, 0.3),
        )
    ]


def _limits(analysis: Analysis, rows: pd.DataFrame) -> list[PlotKind]:
    chosen = rows[rows["share_of_attainable"].notna()]
    if chosen.empty:
        return []
    orders = _orders(chosen, "share_of_attainable")
    scale = 0.0, max(1.0, float(chosen["share_of_attainable"].max()) * 1.03)

    def draw(axes: Axes, panel: Panel, styles: Mapping[str, Style], _: float) -> str:
        best = row_plots.limit_shares(axes, panel, styles, orders[page_of(panel)], scale)
        answer = _answer_of(analysis, panel)
        # Who is nearest is told where it is surely the fastest on the whole: shares have no interval of their own.
        is_sure = answer is not None and answer.known and not answer.close and answer.fastest == best
        return f"{best} comes nearest" if is_sure else ""

    return [
        PlotKind(
            stem="limit",
            title="Share of the limit of this machine",
            caption="The least time that this machine allows over the measured time: the median over workloads as a "
            f"bar, the range as a line. {shares_of_the_limit(analysis.answers)}".rstrip(),
            panels=panels(chosen),
            fixed="The least possible time over the measured one: median over workloads, and the range as a line",
            drawer=draw,
            height=lambda panel: row_plots.rows_height(len(orders[page_of(panel)])),
            styles=_by_role(analysis),
            left=inches_of(list(map(str, chosen["implementation"]))),
            inner_left=0.15,
            right=0.6,
        )
    ]


def _setup(analysis: Analysis, rows: pd.DataFrame) -> list[PlotKind]:
    rows = rows.assign(before=rows["setup_seconds"] + rows["first_call_seconds"])
    chosen = rows[rows["before"].gt(0)]
    if chosen.empty:
        return []
    order = row_plots.order_by(chosen, "before", largest_on_top=False)
    once = analysis.once
    low, high = chosen["before"].min(), max([chosen["before"].max(), *(once[name] for name in order if name in once)])
    rings = bool(set(once) & set(order))
    hollow = " A ring is the first use on a machine." if rings else ""
    ring = "; ring: the first use on a machine" if rings else ""
    compared = bool(chosen.loc[chosen["implementation"] != BASELINE, "payback_calls"].notna().any())
    beside = f" Beside it, after how many calls it has paid back against `{BASELINE}` (median)." if compared else ""
    shown = _a_panel_a_mode(chosen)
    beside_panels = [
        row_plots.payback_in_words(calls, once.get(str(name)))
        for panel in shown
        for name, calls in panel.rows.groupby("implementation")["payback_calls"]
        if name != BASELINE
    ] or [""]
    right = f"; right: calls until it pays back against {BASELINE}" if compared else ""
    return [
        PlotKind(
            stem="set-up",
            title="Set-up cost",
            caption=f"Set-up and first call together: median and range over workloads.{beside}{hollow}",
            panels=shown,
            fixed=f"Median and range over workloads{right}{ring}",
            drawer=lambda axes, panel, styles, _: row_plots.set_up(
                axes, panel, styles, order, (low / 1.4, high * 1.4), once
            ),
            height=lambda _: row_plots.rows_height(len(order)),
            styles=_by_role(analysis),
            left=inches_of(order),
            inner_left=0.15,
            right=max(0.95, 0.15 + 0.07 * max(len(said) for said in beside_panels)),
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


def _roofline(rows: pd.DataFrame, peaks: Peaks) -> PlotKind:
    known = rows[roofline.has_roof(rows, peaks)]
    joined, said = roofline.joined_rows(known)
    shown = panels(known)
    rates = scales(shown, lambda panel: roofline.rates(panel, peaks))
    styles = choose_styles(rows["implementation"])
    return PlotKind(
        stem="roofline",
        title="Roofline: how near each comes to what the machine can do",
        caption="Operations a second over operations for each byte that must reach the cores, every case a dot. Solid: "
        "multiply-adds in registers, and what the threads read from each cache and from memory. Dotted: what no "
        "implementation can be faster than at these sizes; dashed: the same with the fastest chain of (B, H) products "
        "that was measured. How to read it: `docs/limits.md` in the project.",
        panels=shown,
        fixed=f"{said}. All ceilings were measured in the same run",
        drawer=roofline.drawer(peaks, joined, scales(shown, roofline.intensities), rates),
        height=lambda _: roofline.HEIGHT,
        styles=lambda _: styles,
        columns=1,
    )


def _scans(of_scan: Sequence[Panel]) -> list[PlotKind]:
    """Over consecutive sizes: the time of a unit of work, and each size against the one before."""
    styles = choose_styles(name for panel in of_scan for name in panel.rows["implementation"])
    units, ratios = scales(of_scan, scan_plot.unit_scale), scales(of_scan, scan_plot.step_scale)
    scan = PlotKind(
        stem="scan",
        title="Any size: the time of a unit of work",
        caption="Time of a call over its operations, over sizes that follow one another, and each size against the one "
        f"before. A ring is a cliff: more than {CLIFF} times apart, up or down, with the whole interval and in several "
        "visits.",
        panels=of_scan,
        fixed="Time of a call over its operations, over sizes that follow one another",
        drawer=lambda axes, panel, styles, height: scan_plot.unit_times(
            axes, panel, styles, units[page_of(panel)], height
        ),
        height=lambda _: 2.8,
        styles=lambda _: styles,
        columns=1,
    )
    fixed = f"A unit of work at each size over one at the size before; dashed, {CLIFF} times as much or as little"

    def steps(axes: Axes, panel: Panel, styles: Mapping[str, Style], height: float) -> str:
        return scan_plot.steps(axes, panel, styles, ratios[page_of(panel)], height)

    return [scan, dataclasses.replace(scan, stem="scan-steps", fixed=fixed, drawer=steps)]


def _gpu_times(rows: pd.DataFrame) -> list[PlotKind]:
    chosen, fixed = central(rows[rows["kernel_seconds"].notna() | rows["device_span_seconds"].notna()])
    styles = choose_styles(chosen["implementation"])
    shown = panels(chosen)
    times = scales(shown, device_times_plot.scale)
    return [
        PlotKind(
            stem="device-times",
            title="Wall time, span on the device, and sum of kernels",
            caption="Time of one call as the wall clock, the device's events and the sum of its kernels see it; a wide "
            "gap between the last and the first is launching. On the right, kernels launched.",
            panels=shown,
            fixed=f"{fixed}. On the right, kernels launched in one call",
            drawer=lambda axes, panel, styles, _: device_times_plot.draw(axes, panel, styles, times[page_of(panel)]),
            height=lambda panel: max(1.2, row_plots.rows_height(panel.rows["implementation"].nunique())),
            styles=lambda _: styles,
            left=inches_of(list(map(str, chosen["implementation"]))),
            right=0.95,
        )
    ]
