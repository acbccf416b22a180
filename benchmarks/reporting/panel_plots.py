"""The drawing of each kind of panel. Every function draws into given axes and returns the finding in a few words."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from benchmarks.presentation.figures import Axes, Rectangle
from benchmarks.presentation.plain_text import NOTHING, at_least, count, times
from benchmarks.presentation.plot_style import (
    GRID,
    MUTED,
    TEXT,
    WIDTH,
    Style,
    lighter,
    log_axis,
    plain_seconds,
    plain_share,
    plain_times,
    size_axis,
)
from benchmarks.reporting.findings import too_close
from benchmarks.reporting.plot_labels import end_labels, label, point_labels
from benchmarks.reporting.slices import AXIS_NAMES, Panel
from benchmarks.runs.pooling import BASELINE

MOST_DOTS = 30
"""With more workloads than this, a row shows their middle half and their range."""
LONGEST_FINDING = 66
"""Letters that fit above a panel."""
_ROW_INCHES = 0.34


def rows_height(panel: Panel) -> float:
    """Inches of a panel with a row an implementation."""
    return max(1.2, _ROW_INCHES * panel.rows["implementation"].nunique() + 0.15)


def lines(
    axis: str, value: str, bounds: tuple[str, str] | None
) -> Callable[[Axes, Panel, Mapping[str, Style], float], str]:
    """A drawer of a line an implementation along an axis, with bounds as error bars where they are known."""

    def draw(axes: Axes, panel: Panel, styles: Mapping[str, Style], height: float) -> str:
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        ends: dict[str, tuple[float, float]] = {}
        for name, rows in panel.rows.sort_values(axis).groupby("implementation", sort=True):
            style = styles[str(name)]
            axes.plot(
                rows[axis],
                rows[value],
                color=style.colour,
                linestyle=style.line,
                linewidth=style.width,
                marker=style.marker,
                markersize=5,
                markeredgecolor="white",
                markeredgewidth=0.5,
            )
            if bounds:
                low, high = (rows[bound].fillna(rows[value]) for bound in bounds)
                axes.vlines(rows[axis], low, high, color=style.colour, linewidth=5, alpha=0.35)
            ends[str(name)] = (float(rows[axis].iloc[-1]), float(rows[value].iloc[-1]))
        size_axis(axes.xaxis, panel.rows[axis])
        sizes = panel.rows[axis]
        beside = (sizes.max() / sizes.min()) ** 0.04
        axes.set_xlim(sizes.min() / beside, sizes.max() * beside)
        axes.set_xlabel(AXIS_NAMES[axis])
        text = plain_share if value == "share_of_peak" else plain_seconds
        values = panel.rows[value]
        lowest, highest = float(values.min()), float(values.max())
        if bounds:
            # Intervals are shown whole unless they are so wide that they would flatten the lines.
            lowest = max(min(lowest, float(panel.rows[bounds[0]].min())), lowest / 3)
            highest = min(max(highest, float(panel.rows[bounds[1]].max())), highest * 3)
        lowest, highest = lowest / 1.25, highest * 1.25
        if value == "share_of_peak":
            highest = max(highest, 1.2)
            axes.axhline(1.0, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        axes.set_ylim(lowest, highest)
        log_axis(axes.yaxis, lowest, highest, text)
        end_labels(axes, ends, styles, height)
        return _fastest_along(panel, axis) if value == "median_seconds" else _best_share(panel)

    return draw


def _fastest_along(panel: Panel, axis: str) -> str:
    """Who is fastest from where on; one that is too close to call keeps the lead it had."""
    leaders: list[tuple[int, str]] = []
    for size, rows in panel.rows.groupby(axis, sort=True):
        ordered = rows.sort_values("median_seconds")
        close = {
            name for name, low in zip(ordered["implementation"], ordered["slowdown_low"], strict=True) if too_close(low)
        }
        close.add(ordered["implementation"].iloc[0])
        if not leaders or leaders[-1][1] not in close:
            leaders.append((int(str(size)), ordered["implementation"].iloc[0]))
    if len(leaders) == 1:
        return f"fastest throughout: {leaders[0][1]}"
    (_, first), *later = leaders
    said = f"fastest: {first}, " + ", ".join(f"from {axis} {size} {name}" for size, name in later)
    return said if len(said) <= LONGEST_FINDING else f"the fastest changes {count(len(later), 'time')}"


def _best_share(panel: Panel) -> str:
    best = panel.rows.sort_values("share_of_peak").iloc[-1]
    return f"at most {best['share_of_peak']:.0%}, by {best['implementation']} at H {best['H']}".replace("%", " %")


def winner_map(axes: Axes, panel: Panel, styles: Mapping[str, Style], _height: float) -> str:
    """A cell a batch and hidden size, in the colour of the fastest, with its name and speed-up."""
    batches, hiddens = (sorted(panel.rows[letter].unique()) for letter in "BH")
    axes.set_facecolor("#F2F2F2")
    names: list[str] = []
    for (at_y, batch), (at_x, hidden) in itertools.product(enumerate(batches), enumerate(hiddens)):
        cell = panel.rows[(panel.rows["B"] == batch) & (panel.rows["H"] == hidden)]
        if cell.empty:
            continue
        best = cell.loc[cell["median_seconds"].idxmin()]
        others = cell[cell["implementation"] != best["implementation"]].sort_values("median_seconds")
        close = [str(each) for each in others.loc[others["slowdown_low"].map(too_close), "implementation"]]
        names.append(str(best["implementation"]))
        colour = lighter(styles[names[-1]].colour, 0.8 if names[-1] == BASELINE else 0.6)
        axes.add_patch(Rectangle((at_x - 0.5, at_y - 0.5), 1, 1, facecolor=colour, edgecolor="white", linewidth=2))
        said = [times(best["speedup"])] if np.isfinite(best["speedup"]) and names[-1] != BASELINE else []
        if names[-1] == BASELINE and len(others) and not close:
            said = [f"{times(others['slowdown'].iloc[0])} second"]
        said += [f"≈ {label(close[0])}" if len(close) == 1 else f"≈ {len(close)} others"] if close else []
        _cell_text(axes, (at_x, at_y), names[-1], said, small=len(hiddens) > 5)
    axes.set_xlim(-0.5, len(hiddens) - 0.5)
    axes.set_ylim(-0.5, len(batches) - 0.5)
    axes.set_xticks(range(len(hiddens)), [str(size) for size in hiddens])
    axes.set_yticks(range(len(batches)), [str(size) for size in batches])
    axes.set_xlabel(AXIS_NAMES["H"])
    axes.set_ylabel(AXIS_NAMES["B"])
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    winner = max(dict.fromkeys(names), key=names.count)
    return f"{winner} is fastest on {names.count(winner)} of {len(names)}"


def _cell_text(axes: Axes, place: tuple[int, int], name: str, said: list[str], *, small: bool) -> None:
    x, y = place
    size = 6.5 if small else 8.0
    broken = label(name).replace("_", "_\n", 1) if len(name) > 9 else name
    axes.text(x, y + 0.02, broken, ha="center", va="bottom", fontsize=size, fontweight="bold", linespacing=1.0)
    below = size - 1.2 if any(len(line) > 10 for line in said) else size
    axes.text(x, y - 0.06, "\n".join(said), ha="center", va="top", fontsize=below, linespacing=1.15)


def speedups(axes: Axes, panel: Panel, styles: Mapping[str, Style], _height: float) -> str:
    """A row an implementation: its speed-ups over the workloads and their geometric mean."""
    groups = panel.rows.groupby("implementation")["speedup"]
    means = np.exp(groups.apply(lambda values: np.log(values).mean())).sort_values()
    low, high = panel.rows["speedup"].min(), panel.rows["speedup"].max()
    axes.set_xscale("log")
    axes.axvline(1.0, color=MUTED, linewidth=1.2)
    for at, (name, mean) in enumerate(means.items()):
        style = styles[str(name)]
        _spread_row(axes, at, groups.get_group(name), style)
        axes.plot(mean, at, "|", color=TEXT, markersize=17, markeredgewidth=2.2)
        axes.text(1.02, at, times(mean), transform=axes.get_yaxis_transform(), va="center", fontsize=9)
    _name_rows(axes, list(map(str, means.index)))
    axes.set_xlim(min(low, 0.95) / 1.1, max(high, 1.05) * 1.1)
    log_axis(axes.xaxis, *axes.get_xlim(), plain_times)
    axes.set_xlabel("times as fast as nn_rnn")
    best = float(means.iloc[-1])
    if best < 1:
        return f"none is faster on the whole; {means.index[-1]} comes nearest with {times(best)}"
    return f"{means.index[-1]} is {times(best)} as fast (geometric mean)"


def _spread_row(axes: Axes, at: int, values: pd.Series, style: Style) -> None:
    """Values in one row: dots where they are few, else their middle half and their range."""
    if len(values) <= MOST_DOTS:
        axes.plot(values, [at] * len(values), style.marker, color=style.colour, markersize=5, alpha=0.55, linestyle="")
        return
    lowest, first, third, highest = values.quantile([0, 0.25, 0.75, 1])
    axes.plot([lowest, highest], [at, at], color=style.colour, linewidth=1.2)
    axes.plot([first, third], [at, at], color=style.colour, linewidth=8, solid_capstyle="butt", alpha=0.7)


def _name_rows(axes: Axes, names: list[str]) -> None:
    axes.set_yticks(range(len(names)), [label(name) for name in names])
    axes.set_ylim(-0.7, len(names) - 0.3)
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)


def errors(axes: Axes, panel: Panel, styles: Mapping[str, Style], height: float) -> str:
    """A point an implementation: time against the largest error."""
    rows = panel.rows.assign(error=panel.rows[["error_output", "error_gradient"]].max(axis=1))
    axes.set_xscale("log")
    axes.set_yscale("log")
    ends: dict[str, tuple[float, float]] = {}
    for row in rows.to_dict("records"):
        style = styles[row["implementation"]]
        axes.plot(row["median_seconds"], row["error"], style.marker, color=style.colour, markersize=9)
        ends[row["implementation"]] = (row["median_seconds"], row["error"])
    axes.set_xlim(rows["median_seconds"].min() / 1.25, rows["median_seconds"].max() * 1.6)
    axes.set_ylim(rows["error"].min() / 1.6, rows["error"].max() * 1.6)
    log_axis(axes.xaxis, *axes.get_xlim(), plain_seconds)
    log_axis(axes.yaxis, *axes.get_ylim(), lambda value: f"{value:g}".replace("e-0", "e-"))
    axes.set_xlabel("median time of a call")
    axes.set_ylabel("largest relative error")
    width = axes.get_position().width * WIDTH
    point_labels(axes, ends, styles, (width, height))
    return ""


def setup(axes: Axes, panel: Panel, styles: Mapping[str, Style], _height: float) -> str:
    """A row an implementation: the cost before the second call, and after how many calls it has paid back."""
    rows = panel.rows.assign(before=panel.rows["setup_seconds"] + panel.rows["first_call_seconds"])
    groups = rows.groupby("implementation")
    medians = groups["before"].median().sort_values(ascending=False)
    axes.set_xscale("log")
    for at, (name, median) in enumerate(medians.items()):
        style = styles[str(name)]
        values = groups.get_group(name)["before"]
        axes.plot([values.min(), values.max()], [at, at], color=style.colour, linewidth=3, alpha=0.45)
        axes.plot(median, at, style.marker, color=style.colour, markersize=8)
        calls = groups.get_group(name)["payback_calls"].median()
        text = NOTHING if name == BASELINE else calls_in_words(calls)
        axes.text(1.03, at, text, transform=axes.get_yaxis_transform(), va="center", fontsize=9)
    _name_rows(axes, list(map(str, medians.index)))
    axes.set_xlim(rows["before"].min() / 1.4, rows["before"].max() * 1.4)
    log_axis(axes.xaxis, *axes.get_xlim(), plain_seconds)
    axes.set_xlabel("set-up and first call")
    return ""


def calls_in_words(calls: float) -> str:
    """The number of calls after which a cost has paid back, in words."""
    if np.isnan(calls):
        return NOTHING
    if calls == 0:
        return "at once"
    return "never" if np.isinf(calls) else count(int(at_least(calls)), "call")


def device_times(axes: Axes, panel: Panel, styles: Mapping[str, Style], _height: float) -> str:
    """A row an implementation: one call by three clocks."""
    rows = panel.rows.sort_values("median_seconds", ascending=False).reset_index(drop=True)
    clocks = {"kernel_seconds": ("sum of kernels", "|"), "device_span_seconds": ("span on the device", "d")}
    clocks["median_seconds"] = ("wall time", "o")
    axes.set_xscale("log")
    for at, row in enumerate(rows.to_dict("records")):
        style = styles[row["implementation"]]
        known = [row[clock] for clock in clocks if np.isfinite(row[clock])]
        axes.plot([min(known), max(known)], [at, at], color=style.colour, linewidth=2, alpha=0.5)
        for clock, (_, marker) in clocks.items():
            axes.plot(row[clock], at, marker, color=style.colour, markersize=8, markeredgewidth=2)
        if np.isfinite(row["kernel_launches"]):
            text = f"{at_least(row['kernel_launches'])} kernels"
            axes.text(1.03, at, text, transform=axes.get_yaxis_transform(), va="center", fontsize=9)
    for clock_name, marker in clocks.values():
        axes.plot([], [], marker, color=MUTED, markersize=7, markeredgewidth=2, label=clock_name)
    axes.legend(
        loc="upper left",
        bbox_to_anchor=(-0.4, -0.13),
        ncols=3,
        columnspacing=1.2,
        frameon=False,
        fontsize=8.5,
        handletextpad=0.2,
    )
    _name_rows(axes, list(map(str, rows["implementation"])))
    low, high = rows[list(clocks)].min().min(), rows[list(clocks)].max().max()
    axes.set_xlim(low / 1.3, high * 1.3)
    log_axis(axes.xaxis, *axes.get_xlim(), plain_seconds)
    axes.grid(color=GRID, axis="x")
    return ""
