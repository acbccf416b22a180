"""The comparison of two runs as text: the largest changes, the mean change of each implementation, and counts."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import pandas as pd

from benchmarks.presentation.plain_text import code, count, escape, interval, seconds, significant, table
from benchmarks.reporting.answers.compare import FLOOR, Summary, summary
from benchmarks.reporting.answers.findings import Setting
from benchmarks.reporting.answers.setting_labels import setting_labels
from benchmarks.reporting.answers.slices import short_name
from benchmarks.statistics import Estimate
from benchmarks.workload import Workload
from rnnimpl.text_table import Column, text_table

MOST_CHANGES = 10
"""Cases that are shown, unless all are asked for."""
_CHANGES = ("implementation", "workload", "setting", "old", "new", "new / old", "interval", "verdict")
_MEANS = ("implementation", "new / old", "interval", "cases")


def comparison_lines(compared: pd.DataFrame, width: int, *, every: bool = False) -> list[str]:
    """The lines for a terminal of `width` places, the counts last; `every` case is shown, or the largest changes."""
    found = summary(compared)
    rows, title = _shown(compared, every=every)
    lines = textwrap.wrap(title, width)
    if rows:
        cells = list(zip(*rows, strict=True))
        # What a narrow terminal leaves out first is the times, which the ratio sums up.
        columns = [
            Column(name, cells[at], right=name in ("old", "new", "new / old"), dropped=_DROPPED.get(name, 0))
            for at, name in enumerate(_CHANGES)
        ]
        lines += text_table(columns, width, indent=2)
    means = list(zip(*_means(found), strict=True))
    columns = [Column(name, means[at], right=name in ("new / old", "cases")) for at, name in enumerate(_MEANS)]
    return [
        *lines,
        "",
        "Geometric mean of new time / old time:",
        *text_table(columns, width, indent=2),
        "",
        *textwrap.wrap(_counts(found), width),
    ]


_DROPPED = {"old": 1, "new": 1, "interval": 2}


def comparison_markdown(compared: pd.DataFrame, *, every: bool = False) -> str:
    """The comparison as Markdown, for a pull request or a chat; the counts first, since such a text is not scrolled."""
    found = summary(compared)
    rows, title = _shown(compared, every=every)
    means = [[code(name) if at else name, *rest] for at, (name, *rest) in enumerate(_means(found))]
    parts = [f"**{_counts(found)}**", "Geometric mean of new time / old time:", table(_MEANS, means), title]
    changes = [[code(name), escape(workload), escape(setting), *rest] for name, workload, setting, *rest in rows]
    return "\n\n".join([*parts, *([table(_CHANGES, changes)] if changes else [])]) + "\n"


def _shown(compared: pd.DataFrame, *, every: bool) -> tuple[list[list[str]], str]:
    """The rows of cases as text, and their title."""
    changed = compared[compared["verdict"].isin(["faster", "slower"])]
    rows = compared if every else changed.head(MOST_CHANGES)
    if every:
        title = f"All {count(len(rows), 'case')}, the largest changes first:"
    elif rows.empty:
        title = f"No case is surely faster or slower by more than {FLOOR:.0%}."
    else:
        of = f"{len(rows)} of {len(changed)}" if len(rows) < len(changed) else f"{len(rows)}"
        title = f"Faster or slower, the largest changes first ({of}):"
    workloads = [Workload.parse(str(workload)) for workload in rows["workload"]]
    labels, _ = setting_labels([("", Setting.of(each), each.mode) for each in workloads])
    found = []
    for row, workload, label in zip(rows.to_dict("records"), workloads, labels, strict=True):
        ratio = Estimate(row["ratio"], row["low"], row["high"])
        times = [seconds(row["old_seconds"]), seconds(row["new_seconds"])]
        found.append([row["implementation"], short_name(workload), label, *times, *_ratio(ratio), row["verdict"]])
    return found, title


def _ratio(ratio: Estimate) -> list[str]:
    return [significant(ratio.median), interval(ratio.low, ratio.high)]


def _means(found: Summary) -> Sequence[list[str]]:
    """All cases, then each implementation."""
    rows = [["all", *_ratio(found.overall), str(sum(found.counts.values()))]]
    return rows + [[name, *_ratio(mean), str(cases)] for name, (mean, cases) in found.by_implementation.items()]


def _counts(found: Summary) -> str:
    total = sum(found.counts.values())
    parts = [f"{number} {verdict}" for verdict, number in found.counts.items()]
    return f"Of {count(total, 'case')}: {', '.join(parts)}."
