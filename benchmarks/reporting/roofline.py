"""The roofline plot: every case under the ceilings of its machine, and how far a slice along the batch comes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from benchmarks.machine.peak import Level, Peak
from benchmarks.machine.roof import Roof, roof
from benchmarks.reporting.plain_text import share, significant
from benchmarks.reporting.plot_labels import end_labels
from benchmarks.reporting.plot_style import MUTED, TEXT, Style, log_axis
from benchmarks.reporting.slices import Panel, along, central, panels

HEIGHT = 4.4
"""Inches of a panel."""
ALIKE = 1.15
"""Ceilings that are no further apart than this share one line's label."""
DEEPEST = 500
"""Times below the highest ceiling that is still shown; what is slower stands in the tables alone."""
FEW = 6
"""So many workloads in a panel can be told apart without one axis that they lie on."""
_ROOF = "#444444"


def has_roof(rows: pd.DataFrame, peaks: Mapping[str, Sequence[Peak]]) -> pd.Series:
    """Which rows belong to a run and setting whose bandwidths were measured."""
    known: dict[tuple[object, ...], bool] = {}
    keys = list(zip(*(rows[name] for name in ("run", "device", "dtype", "precision", "threads")), strict=True))
    for run, *setting in dict.fromkeys(keys):
        found = roof(tuple(setting), peaks.get(run, ()))
        known[run, *setting] = found is not None and bool(found.bytes_per_second)
    return pd.Series([known[key] for key in keys], index=rows.index, dtype=bool)


def joined_rows(rows: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """The rows that are joined and named, and in words which they are.

    Those along the batch where there are several; else all where they are few, and those of one shape where not.
    """
    chosen, fixed = along(rows, ["B"])
    if chosen.empty:
        if all(panel.rows["workload"].nunique() <= FEW for panel in panels(rows)):
            return rows, "Joined: what an implementation reaches on all sizes"
        chosen, fixed = central(rows)
    return chosen, f"Joined: {fixed}. Faint: all other sizes"


def drawer(
    peaks: Mapping[str, Sequence[Peak]], slice_: pd.DataFrame
) -> Callable[[Axes, Panel, Mapping[str, Style], float], str]:
    """A drawer of rooflines; `slice_` are the rows that are joined and named, of all panels."""

    def draw(axes: Axes, panel: Panel, looks: Mapping[str, Style], height: float) -> str:
        found = roof(tuple(panel.setting), peaks[panel.run])  # type: ignore[arg-type]  # four fields of a workload
        assert found is not None
        rows = panel.rows
        joined = rows[rows["workload"].isin(slice_["workload"])].sort_values("intensity")
        axes.set_xscale("log")
        axes.set_yscale("log")
        # To the left there is room for the slopes and their names.
        low, high = rows["intensity"].min() / 12, rows["intensity"].max() * 1.35
        bottom = max(rows["flops_per_second"].min() / 1.6, found.flops_per_second / DEEPEST)
        axes.set_xlim(low, high)
        axes.set_ylim(bottom, found.flops_per_second * 2.1)
        log_axis(axes.xaxis, low, high, lambda value: f"{value:g}")
        log_axis(axes.yaxis, *axes.get_ylim(), lambda value: f"{value / 1e9:g}")
        axes.set_xlabel("operations for each byte that must reach the cores")
        axes.set_ylabel("GFLOP/s")
        _ceilings(axes, found)
        for name, cases in rows.groupby("implementation", sort=True):
            look = looks[str(name)]
            faint: dict[str, Any] = {"color": look.colour, "markersize": 4, "alpha": 0.28, "markeredgewidth": 0}
            axes.plot(cases["intensity"], cases["flops_per_second"], look.marker, **faint)
        _limits(axes, joined)
        _columns(axes, joined)
        end_labels(axes, _joined(axes, joined, looks), looks, height)
        return _nearest(rows)

    return draw


def _joined(axes: Axes, joined: pd.DataFrame, looks: Mapping[str, Style]) -> dict[str, tuple[float, float]]:
    """A line an implementation through the slice; where each ends."""
    ends: dict[str, tuple[float, float]] = {}
    for name, cases in joined.groupby("implementation", sort=True):
        look = looks[str(name)]
        axes.plot(
            cases["intensity"],
            cases["flops_per_second"],
            color=look.colour,
            linestyle=look.line,
            linewidth=look.width,
            marker=look.marker,
            markersize=6,
            markeredgecolor="white",
            markeredgewidth=0.5,
        )
        ends[str(name)] = (float(cases["intensity"].iloc[-1]), float(cases["flops_per_second"].iloc[-1]))
    return ends


def _ceilings(axes: Axes, found: Roof) -> None:
    """The flat ceilings of the multipliers and the fastest product, and a slope for each level."""
    low, high = axes.get_xlim()
    bottom, _ = axes.get_ylim()
    top = found.flops_per_second
    axes.axhline(top, color=_ROOF, linewidth=1.6)
    said = f"multiply-adds: {significant(top / 1e9)} GFLOP/s"
    if found.gemm_flops_per_second is not None and found.gemm_flops_per_second < top:
        said += f", fastest product: {significant(found.gemm_flops_per_second / 1e9)}"
        axes.axhline(found.gemm_flops_per_second, color=MUTED, linewidth=0.8)
    text: dict[str, Any] = {"textcoords": "offset points", "fontsize": 8, "color": _ROOF}
    axes.annotate(said, (high, top), xytext=(-2, 3), ha="right", **text)
    for levels, rate in _merged(found.bytes_per_second):
        ridge = min(top / rate, high)
        axes.plot([low, ridge], [low * rate, ridge * rate], color=_ROOF, linewidth=1.1)
        start = 1.08 * max(low, bottom / rate)
        (x0, y0), (x1, y1) = axes.transData.transform([(start, start * rate), (2 * start, 2 * start * rate)])
        axes.annotate(
            f"{', '.join(levels)}: {significant(rate / 1e9)} GB/s",
            (start, start * rate),
            xytext=(0, 2),
            rotation=math.degrees(math.atan2(y1 - y0, x1 - x0)),
            rotation_mode="anchor",
            va="bottom",
            **text,
        )


def _merged(rates: Mapping[Level, float]) -> list[tuple[list[Level], float]]:
    """Levels with their bandwidth; neighbours that are alike together, with the highest."""
    merged: list[tuple[list[Level], float]] = []
    for level, rate in rates.items():
        if merged and merged[-1][1] <= rate * ALIKE:
            merged[-1][0].append(level)
        else:
            merged.append(([level], rate))
    return merged


def _limits(axes: Axes, joined: pd.DataFrame) -> None:
    """What nothing can pass at the slice's sizes, and what the fastest chain of products has shown to be possible."""
    cases = joined.drop_duplicates("workload")
    lines: dict[str, tuple[Any, str]] = {
        "bound_seconds": ((0, (1, 1.2)), "no implementation can be faster"),
        "reached_seconds": ((0, (5, 2)), "with the fastest chain measured"),
    }
    for column, (line, said) in lines.items():
        known = cases[cases[column].notna()]
        rates = known["flops"] / known[column]
        axes.plot(known["intensity"], rates, color=TEXT, linewidth=1.3, linestyle=line, label=said)
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 0.03), frameon=False, fontsize=8, handlelength=2.6)
    known = cases[cases["bound_seconds"].notna()]
    limit = known["flops"] / known["bound_seconds"]
    axes.fill_between(known["intensity"], limit, axes.get_ylim()[1], color=MUTED, alpha=0.12, linewidth=0)


def _columns(axes: Axes, joined: pd.DataFrame) -> None:
    """Which sizes each column of the slice is: of them what the columns differ in."""
    workloads = joined.drop_duplicates("workload").sort_values("intensity")
    letters = [letter for letter in "TBHL" if len(set(workloads[letter])) > 1] or ["B"]
    for number, row in enumerate(workloads.to_dict("records")):
        axes.annotate(
            ", ".join(f"{letter} {row[letter]}" for letter in letters),
            (row["intensity"], 0.0),
            xycoords=axes.get_xaxis_transform(),
            # Names of several letters are wider than columns may be apart.
            xytext=(0, 3 + 10 * (number % 2) * (len(letters) > 1)),
            textcoords="offset points",
            ha="center",
            fontsize=8,
            color=MUTED,
        )


def _nearest(rows: pd.DataFrame) -> str:
    shares = rows.groupby("implementation")["share_of_attainable"].median().dropna()
    if shares.empty:
        return ""
    best = str(shares.idxmax())
    return f"{best} comes nearest: {share(float(shares[best]))} of the attainable (median)"
