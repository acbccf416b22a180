"""The roofline plot: every case under the ceilings of its machine, and a slice along the batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from benchmarks.limits.peak import Level, Peak
from benchmarks.limits.roof import Roof, roof
from benchmarks.presentation.figures import Axes
from benchmarks.presentation.plain_text import share, significant
from benchmarks.presentation.plot_style import MUTED, TEXT, Style, log_axis
from benchmarks.reporting.answers.slices import Panel, along, central, panels, short_name
from benchmarks.reporting.plots.plot_labels import end_labels
from benchmarks.reporting.plots.plot_pages import PageKey, Scale, page_of
from benchmarks.workload import Workload

HEIGHT = 4.4
"""Inches of a panel."""
ALIKE = 1.15
"""Ceilings that differ by at most this factor are drawn as one."""
CLOSE = 1.6
"""Slopes that differ by at most this factor have their names on the uppermost, for lack of room between them."""
FEW = 6
"""A panel of at most this many workloads shows all of them joined, without one axis that they share."""
_ROOF = "#444444"
_SMALL, _ROW = 8, 10
"""Points of the letters within a panel, and of a row of them."""


def has_roof(rows: pd.DataFrame, peaks: Mapping[str, Sequence[Peak]]) -> pd.Series:
    """A mask of the rows whose run measured bandwidths in their setting."""
    known: dict[tuple[object, ...], bool] = {}
    keys = list(zip(*(rows[name] for name in ("run", "device", "dtype", "precision", "threads")), strict=True))
    for run, *setting in dict.fromkeys(keys):
        found = roof(tuple(setting), peaks.get(run, ()))
        known[run, *setting] = found is not None and bool(found.bytes_per_second)
    return pd.Series([known[key] for key in keys], index=rows.index, dtype=bool)


def joined_rows(rows: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """The rows that are joined and named, and a sentence about them.

    They are those along the batch where there are several; else all where they are few, and else those of one shape.
    """
    chosen, fixed = along(rows, ["B"])
    if chosen.empty:
        if all(panel.rows["workload"].nunique() <= FEW for panel in panels(rows)):
            return rows, "Joined: what an implementation reaches on all sizes"
        chosen, fixed = central(rows)
    return chosen, f"Joined: {fixed}. Faint: all other sizes"


def intensities(panel: Panel) -> Scale:
    """The operations a byte on the axis; to the left there is room for the slopes and their names."""
    return float(panel.rows["intensity"].min()) / 20, float(panel.rows["intensity"].max()) * 1.35


def rates(panel: Panel, peaks: Mapping[str, Sequence[Peak]]) -> Scale:
    """The operations a second on the axis: of all cases, those above a roof that was measured too low included."""
    found = panel.rows["flops_per_second"]
    return float(found.min()) / 1.6, max(_roof_of(panel, peaks).flops_per_second * 2.1, float(found.max()) * 1.3)


def _roof_of(panel: Panel, peaks: Mapping[str, Sequence[Peak]]) -> Roof:
    setting = panel.setting
    measured_for = setting.device, setting.dtype, setting.precision, setting.threads
    found = roof(measured_for, peaks[panel.run])  # type: ignore[arg-type]  # a column holds any text
    assert found is not None
    return found


def drawer(
    peaks: Mapping[str, Sequence[Peak]],
    slice_: pd.DataFrame,
    across: Mapping[PageKey, Scale],
    up: Mapping[PageKey, Scale],
) -> Callable[[Axes, Panel, Mapping[str, Style], float], str]:
    """A drawer of rooflines; `slice_` are the rows that are joined and named, of all panels.

    `across` and `up` are the scales of figures, by `intensities` and `rates`.
    """

    def draw(axes: Axes, panel: Panel, styles: Mapping[str, Style], height: float) -> str:
        found = _roof_of(panel, peaks)
        rows = panel.rows
        joined = rows[rows["workload"].isin(slice_["workload"])].sort_values("intensity")
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlim(*across[page_of(panel)])
        axes.set_ylim(*up[page_of(panel)])
        log_axis(axes.xaxis, *axes.get_xlim(), lambda value: f"{value:g}")
        log_axis(axes.yaxis, *axes.get_ylim(), lambda value: f"{value / 1e9:g}")
        axes.set_xlabel("operations for each byte that must reach the cores")
        axes.set_ylabel("GFLOP/s")
        draw_ceilings(axes, found)
        for name, cases in rows.groupby("implementation", sort=True):
            style = styles[str(name)]
            faint: dict[str, Any] = {"color": style.colour, "markersize": 4, "alpha": 0.28, "markeredgewidth": 0}
            axes.plot(cases["intensity"], cases["flops_per_second"], style.marker, **faint)
        draw_limits(axes, joined, above=name_columns(axes, joined))
        end_labels(axes, _joined(axes, joined, styles), styles, height)
        return _finding(rows)

    return draw


def _joined(axes: Axes, joined: pd.DataFrame, styles: Mapping[str, Style]) -> dict[str, tuple[float, float]]:
    """Draw a line an implementation through the slice, and return where each ends."""
    ends: dict[str, tuple[float, float]] = {}
    for name, cases in joined.groupby("implementation", sort=True):
        style = styles[str(name)]
        axes.plot(
            cases["intensity"],
            cases["flops_per_second"],
            color=style.colour,
            linestyle=style.line,
            linewidth=style.width,
            marker=style.marker,
            markersize=6,
            markeredgecolor="white",
            markeredgewidth=0.5,
        )
        ends[str(name)] = (float(cases["intensity"].iloc[-1]), float(cases["flops_per_second"].iloc[-1]))
    return ends


def draw_ceilings(axes: Axes, found: Roof) -> None:
    """Draw the flat ceilings of the multipliers and the fastest product, and a slope for each level."""
    low, high = axes.get_xlim()
    bottom, _ = axes.get_ylim()
    top = found.flops_per_second
    axes.axhline(top, color=_ROOF, linewidth=1.6)
    said = f"multiply-adds: {significant(top / 1e9)} GFLOP/s"
    if found.gemm_flops_per_second is not None and found.gemm_flops_per_second < top:
        said += f", fastest product: {significant(found.gemm_flops_per_second / 1e9)}"
        axes.axhline(found.gemm_flops_per_second, color=MUTED, linewidth=0.8)
    text: dict[str, Any] = {"textcoords": "offset points", "fontsize": _SMALL, "color": _ROOF}
    axes.annotate(said, (high, top), xytext=(-2, 3), ha="right", **text)
    slopes = _merged(found.bytes_per_second)
    for _, rate in slopes:
        ridge = min(top / rate, high)
        axes.plot([low, ridge], [low * rate, ridge * rate], color=_ROOF, linewidth=1.1)
    for name, rate in _names(slopes):
        start = 1.08 * max(low, bottom / rate)
        (x0, y0), (x1, y1) = axes.transData.transform([(start, start * rate), (2 * start, 2 * start * rate)])
        axes.annotate(
            name,
            (start, start * rate),
            xytext=(0, 2),
            rotation=math.degrees(math.atan2(y1 - y0, x1 - x0)),
            rotation_mode="anchor",
            va="bottom",
            **text,
        )


def _merged(rates: Mapping[Level, float]) -> list[tuple[list[Level], float]]:
    """Levels with their bandwidth; neighbours of about the same bandwidth together, with the highest."""
    merged: list[tuple[list[Level], float]] = []
    for level, rate in rates.items():
        if merged and merged[-1][1] <= rate * ALIKE:
            merged[-1][0].append(level)
        else:
            merged.append(([level], rate))
    return merged


def _names(slopes: Sequence[tuple[list[Level], float]]) -> list[tuple[str, float]]:
    """The names on slopes, from the uppermost, each with the rate of its slope."""
    names: list[tuple[list[str], float]] = []
    above = math.inf
    for levels, rate in slopes:
        said = f"{', '.join(levels)}: {significant(rate / 1e9)}"
        if above <= rate * CLOSE:
            names[-1][0].append(said)
        else:
            names.append(([said], rate))
        above = rate
    return [(f"{', '.join(said)} GB/s", rate) for said, rate in names]


def draw_limits(axes: Axes, joined: pd.DataFrame, above: int) -> None:
    """Draw the bound at the slice's sizes, and the bound with the fastest measured chain.

    They are named `above` rows above the names of sizes.
    """
    cases = joined.drop_duplicates("workload")
    lines: dict[str, tuple[Any, str]] = {
        "bound_seconds": ((0, (1, 1.2)), "no implementation can be faster"),
        "reached_seconds": ((0, (5, 2)), "with the fastest chain measured"),
    }
    for column, (line, said) in lines.items():
        known = cases[cases[column].notna()]
        if known.empty:
            continue
        rates = known["flops"] / known[column]
        axes.plot(known["intensity"], rates, color=TEXT, linewidth=1.3, linestyle=line, label=said)
    bottom = (_ROW * above + 3) / (axes.get_window_extent().height * _points(axes))
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="lower right", bbox_to_anchor=(1.0, bottom), frameon=False, fontsize=_SMALL, handlelength=2.6)
    known = cases[cases["bound_seconds"].notna()]
    limit = known["flops"] / known["bound_seconds"]
    axes.fill_between(known["intensity"], limit, axes.get_ylim()[1], color=MUTED, alpha=0.12, linewidth=0)


def _points(axes: Axes) -> float:
    """Points of a pixel."""
    return 72 / axes.get_figure(root=True).dpi  # type: ignore[union-attr]  # these axes have a figure


def name_columns(axes: Axes, joined: pd.DataFrame) -> int:
    """Write the sizes of each column of the slice that differ, and return the number of rows used."""
    workloads = joined.drop_duplicates("workload").sort_values("intensity")
    letters = [letter for letter in "TBHL" if len(set(workloads[letter])) > 1] or ["B"]
    points = _points(axes)
    (left, _), (right, _) = axes.transAxes.transform([(0, 0), (1, 0)]) * points
    ends: list[float] = []  # of what is written in each row so far
    for row in workloads.to_dict("records"):
        name = f"{letters[0]} {row[letters[0]]}" if len(letters) == 1 else short_name(Workload.parse(row["workload"]))
        half = len(name) * _SMALL * 0.29
        x = min(max(axes.transData.transform((row["intensity"], 1.0))[0] * points, left + half), right - half)
        level = next((i for i, end in enumerate(ends) if x - half > end), len(ends))
        ends[level : level + 1] = [x + half + 4]
        axes.annotate(
            name,
            ((x - left) / (right - left), 0.0),
            xycoords="axes fraction",
            xytext=(0, 3 + _ROW * level),
            textcoords="offset points",
            ha="center",
            fontsize=_SMALL,
            color=MUTED,
        )
    return len(ends)


def nearest(rows: pd.DataFrame) -> tuple[str, float] | None:
    """The implementation with the largest median share of the attainable, and the share; None without any."""
    shares = rows.groupby("implementation")["share_of_attainable"].median().dropna()
    if shares.empty:
        return None
    best = str(shares.idxmax())
    return best, float(shares[best])


def _finding(rows: pd.DataFrame) -> str:
    found = nearest(rows)
    return "" if found is None else f"{found[0]} comes nearest: {share(found[1])} of the attainable (median)"
