"""The plot of a ranking: how many times as fast as the best of the others, a row a workload, named by that peer."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.presentation.figures import Axes, Line2D
from benchmarks.presentation.plain_text import times
from benchmarks.presentation.plot_style import MUTED, Style, log_axis, plain_times
from benchmarks.reporting.answers.slices import Panel, short_name
from benchmarks.reporting.plots.plot_labels import label
from benchmarks.reporting.plots.plot_roles import ANSWER, OTHERS, text_colour
from benchmarks.reporting.plots.row_plots import SMALL
from benchmarks.reporting.words.answer_words import UNKNOWN
from benchmarks.workload import Workload

MOST_NAMED = 40
"""With more workloads than this, dots are close together and a legend counts the peers."""
LETTER_INCHES = 0.068
"""The width of a letter beside a panel, at the most."""
_ROW_INCHES = 0.185
_CLOUD_INCHES = 4.0


def height(panel: Panel) -> float:
    """Inches of a panel: a row a workload, as long as each has its name."""
    named = panel.rows["workload"].nunique() <= MOST_NAMED
    return max(0.9, _ROW_INCHES * len(panel.rows) + 0.15) if named else _CLOUD_INCHES


def draw(axes: Axes, panel: Panel, styles: Mapping[str, Style], scale: tuple[float, float]) -> str:
    """A row a workload in the order of sizes: the ratio with its interval, and the name of the peer."""
    rows = panel.rows.sort_values(list("LHBT"), kind="stable", ascending=False)
    named = len(rows) <= MOST_NAMED
    rows = rows if named else rows.sort_values("ratio", kind="stable")
    axes.set_xscale("log")
    axes.set_xlim(*scale)
    axes.axvline(1.0, color=MUTED, linewidth=1.2)
    for at, row in enumerate(rows.to_dict("records")):
        known = bool(row["sure"]) or row["ratio_high"] < 1
        colour = ANSWER.colour if known else OTHERS.colour
        if np.isfinite(row["ratio_low"]):
            axes.plot([row["ratio_low"], row["ratio_high"]], [at, at], color=colour, linewidth=4, alpha=0.4)
        axes.plot(
            row["ratio"], at, "|" if named else "o", color=colour, markersize=10 if named else 3, markeredgewidth=2
        )
        if named:
            axes.text(
                1.02,
                at,
                _beside(row),
                transform=axes.get_yaxis_transform(),
                va="center",
                fontsize=SMALL - 0.5,
                color=text_colour(styles[row["peer"]]),
            )
    axes.set_ylim(-0.7, len(rows) - 0.3)
    axes.grid(visible=False, axis="y")
    if named:
        names = [short_name(Workload.parse(workload)) for workload in rows["workload"]]
        axes.set_yticks(range(len(rows)), names, fontsize=SMALL - 0.5)
    else:
        axes.set_yticks([])
        axes.set_ylabel(f"{len(rows)} workloads, by ratio")
        _legend(axes, rows)
    log_axis(axes.xaxis, *scale, plain_times)
    axes.set_xlabel("times as fast as the best other")
    return finding(rows)


def finding(rows: pd.DataFrame) -> str:
    """A line with the numbers of workloads on which the subject is surely the fastest, tied, slower, and not known."""
    ahead, behind = int(rows["sure"].astype(bool).sum()), int((rows["ratio_high"] < 1).sum())
    unknown = int(rows["ratio_low"].isna().sum())
    tied = len(rows) - ahead - behind - unknown
    said = [f"surely the fastest on {ahead} of {len(rows)}"]
    said += [f"tied on {tied}"] if tied else []
    said += [f"slower on {behind}"] if behind else []
    said += [f"{UNKNOWN} on {unknown}"] if unknown else []
    return ", ".join(said)


def _beside(row: Mapping[Hashable, Any]) -> str:
    """The ratio and the peer: 1.23× nn_rnn."""
    return f"{times(row['ratio']) if np.isfinite(row['ratio_low']) else UNKNOWN} {label(row['peer'])}"


def beside(rows: pd.DataFrame) -> Sequence[str]:
    """What stands beside the rows of a panel: the ratio and the peer of each, or with many the peers of the legend."""
    if len(rows) > MOST_NAMED:
        return [f"{label(str(name))} (00)" for name in rows["peer"].unique()]
    return [_beside(row) for row in rows.to_dict("records")]


def _legend(axes: Axes, rows: pd.DataFrame) -> None:
    """The peers with the number of workloads on which each is the best of the others."""
    handles = [
        Line2D([], [], linestyle="", label=f"{label(str(name))} ({number})")
        for name, number in rows["peer"].value_counts().items()
    ]
    axes.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(1.01, 1.02), frameon=False, fontsize=SMALL, handlelength=0
    )
