"""The plot of a ranking: how many times as fast as the best of the others, a dot a workload, named by that peer."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from benchmarks.presentation.figures import Axes, Line2D
from benchmarks.presentation.plain_text import times
from benchmarks.presentation.plot_style import MUTED, Style, log_axis, plain_times
from benchmarks.reporting.plot_labels import label
from benchmarks.reporting.slices import Panel, short_name
from benchmarks.workload import Workload

MOST_NAMED = 40
"""With more workloads than this, dots are close together and a legend names the peers."""
_ROW_INCHES = 0.2
_CLOUD_INCHES = 4.5


def height(panel: Panel) -> float:
    """Inches of a panel: a row a workload, as long as each has its name."""
    named = len(panel.rows) <= MOST_NAMED
    return max(1.2, _ROW_INCHES * len(panel.rows) + 0.15) if named else _CLOUD_INCHES


def draw(axes: Axes, panel: Panel, styles: Mapping[str, Style], _height: float) -> str:
    """A row a workload, the largest ratio on top: the ratio in the style of the peer, with its interval."""
    rows = panel.rows.sort_values("ratio", kind="stable")
    named = len(rows) <= MOST_NAMED
    axes.set_xscale("log")
    axes.axvline(1.0, color=MUTED, linewidth=1.2)
    for at, row in enumerate(rows.to_dict("records")):
        style = styles[row["peer"]]
        if np.isfinite(row["ratio_low"]):
            axes.plot([row["ratio_low"], row["ratio_high"]], [at, at], color=style.colour, linewidth=3, alpha=0.35)
        axes.plot(row["ratio"], at, style.marker, color=style.colour, markersize=6 if named else 4)
        if named:
            said = f"{times(row['ratio'])} {label(row['peer'])}"
            axes.text(1.02, at, said, transform=axes.get_yaxis_transform(), va="center", fontsize=8)
    axes.set_ylim(-0.7, len(rows) - 0.3)
    axes.grid(visible=False, axis="y")
    if named:
        names = [short_name(Workload.parse(workload)) for workload in rows["workload"]]
        axes.set_yticks(range(len(rows)), names, fontsize=8)
    else:
        axes.set_yticks([])
        axes.set_ylabel(f"{len(rows)} workloads, by ratio")
        _legend(axes, rows, styles)
    low, high = rows[["ratio", "ratio_low"]].min().min(), rows[["ratio", "ratio_high"]].max().max()
    axes.set_xlim(min(low, 0.95) / 1.1, max(high, 1.05) * 1.1)
    log_axis(axes.xaxis, *axes.get_xlim(), plain_times)
    axes.set_xlabel("times as fast as the best of the others")
    subject = rows["subject"].iloc[0]
    mean = float(np.exp(np.log(rows["ratio"]).mean()))
    return f"{label(subject)}: {times(mean)} (geometric mean), at least {times(rows['ratio'].iloc[0])}"


def _legend(axes: Axes, rows: pd.DataFrame, styles: Mapping[str, Style]) -> None:
    """The peers, the most frequent first, with the number of workloads on which each is the best of the others."""
    handles = []
    for name, number in rows["peer"].value_counts().items():
        style = styles[str(name)]
        said = f"{label(str(name))} ({number})"
        handles.append(Line2D([], [], color=style.colour, marker=style.marker, linestyle="", label=said))
    axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.01, 1.02), frameon=False, fontsize=8)
