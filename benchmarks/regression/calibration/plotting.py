"""The plot of a calibration: error rates against the time of a verdict, a line for each rule."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.presentation.plain_text import share
from benchmarks.regression.calibration.curves import ALL, EQUAL, CurvePoint
from benchmarks.regression.calibration.injection import SIZES
from benchmarks.regression.calibration.rules import COMPARE
from benchmarks.regression.calibration.trials import INTERLEAVED, ONE_AFTER_ANOTHER, REGRESS, T_TEST

if TYPE_CHECKING:
    from matplotlib.axes import Axes

AIMS = {EQUAL: 0.01, "0.05": 0.80, "0.1": 0.95}
"""The aims of `regress`: the highest rate of false alarms, and the lowest rate of detections by size."""
_COLOURS = ("#56B4E9", "#E69F00", "#009E73")
_LINES = {
    (REGRESS, INTERLEAVED): ("#882255", "*", "regress"),
    (T_TEST, INTERLEAVED): ("#0072B2", "s", f"{T_TEST}"),
    **{
        (f"pytest-benchmark, {name}", ONE_AFTER_ANOTHER): (colour, marker, f"pytest-benchmark's compare, {name}")
        for name, colour, marker in zip(COMPARE, _COLOURS, "ov^", strict=True)
    },
}


def draw(points: Sequence[CurvePoint], aim_seconds: float, machine: str, folder: Path) -> None:
    """Write errors.png and errors.svg: false alarms and detections of each size, over the time of a verdict.

    `aim_seconds` is the time at which the aims are stated.
    """
    from benchmarks.presentation.figures import Figure, own_settings
    from benchmarks.presentation.plot_style import SETTINGS, WIDTH, heading, save

    with own_settings(SETTINGS):
        figure = Figure(figsize=(WIDTH, 7.4))
        panels = figure.subplots(2, 3, sharex=True, sharey=True)
        figure.subplots_adjust(left=0.065, right=0.985, top=0.83, bottom=0.075, hspace=0.24, wspace=0.08)
        titles = {EQUAL: "False alarms on equal code"}
        titles |= {str(size): f"Finds a slowdown of {share(size)} in a case" for size in SIZES}
        for panel, (size, title) in zip(panels.flat, titles.items(), strict=False):
            _panel(panel, [point for point in points if point.size == size and point.kind == ALL], size, aim_seconds)
            panel.set_title(title, fontsize=10.5, fontweight="bold", loc="left")
        for panel in panels[:, 0]:
            panel.set_ylabel("share of trials")
        _legend(panels.flat[-1], panels.flat[0])
        for panel in (panels.flat[2], *panels[1, :2]):
            panel.set_xlabel("minutes for a verdict")
            panel.tick_params(labelbottom=True)
        heading(
            figure,
            "How often a verdict is wrong, by the time it may take",
            f"{machine}. A false alarm is one in any case of the suite. Trials share no process pair; bars: exact 95 % "
            "intervals.\nDashed: the same groups in other orders, trials that are not independent. Green: the aims. "
            "Vertical line: two plain runs of the suite, times five.",
        )
        save(figure, folder, "errors")


def _panel(axes: Axes, points: Sequence[CurvePoint], size: str, aim_seconds: float) -> None:
    axes.axvline(aim_seconds / 60, color="#999999", linewidth=1.0)
    if size in AIMS:
        low, high = (0, AIMS[size]) if size == EQUAL else (AIMS[size], 1)
        axes.axhspan(low, high, color="#E8F3EC", zorder=0)
    for number, ((rule, runs), (colour, marker, label)) in enumerate(_LINES.items()):
        line = [each for each in points if (each.rule, each.runs) == (rule, runs) and each.rate.trials]
        minutes = [each.seconds / 60 for each in line]
        shares = [each.rate.hits / each.rate.trials for each in line]
        bounds = [each.rate.interval for each in line]
        below = [value - low for value, (low, _) in zip(shares, bounds, strict=True)]
        above = [high - value for value, (_, high) in zip(shares, bounds, strict=True)]
        axes.errorbar(
            minutes, shares, (below, above), color=colour, marker=marker, label=label, zorder=9 - number,
            linewidth=2.4 if rule == REGRESS else 1.4, elinewidth=0.9, markersize=9 if rule == REGRESS else 5,
        )  # fmt: skip
        shuffled = [(each.seconds, each.rate_in_other_orders) for each in line]
        again = [(seconds / 60, rate.hits / rate.trials) for seconds, rate in shuffled if rate and rate.trials]
        if again:
            axes.plot(*zip(*again, strict=True), color=colour, linestyle=(0, (4, 2)), zorder=8)
    axes.set_ylim(-0.03, 1.03)
    axes.set_xlim(left=0)
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")


def _legend(axes: Axes, shown: Axes) -> None:
    """Write the legend of the lines in `shown` in place of the last panel."""
    axes.axis("off")
    handles, labels = shown.get_legend_handles_labels()
    axes.legend(handles, labels, loc="center left", frameon=False, fontsize=9, bbox_to_anchor=(-0.06, 0.5))
