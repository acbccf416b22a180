"""The plot of a ranking: what is drawn and named in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from benchmarks.reporting.answers.ranking import ranking_frame, rankings
from benchmarks.reporting.answers.slices import panels
from benchmarks.reporting.plots import ranking_plot
from benchmarks.reporting.plots.plot_roles import ANSWER, OTHERS
from benchmarks.trial import Trial
from tests.synthetic_runs import CENTRE, SHORT, THREE, loaded, measured, typed, workload


def drawn(folder: Path, trials: Sequence[Trial]) -> tuple[str, list[str], pd.DataFrame, Figure]:
    """The line above the plot, the texts in it, its rows, and the figure."""
    rows = ranking_frame(rankings([loaded(folder, trials)]))
    (panel,) = panels(rows)
    figure = Figure()
    axes = figure.add_subplot()
    said = ranking_plot.draw(axes, panel, dict.fromkeys(rows["peer"], OTHERS), (0.4, 10.0))
    legend = axes.get_legend()
    texts = [text.get_text() for text in [*axes.texts, *(legend.get_texts() if legend else [])]]
    return typed(said), [typed(text) for text in texts], rows, figure


def test_the_plot_names_each_peer(tmp_path: Path) -> None:
    """Workloads stand in the order of sizes, the shortest on top, each with its ratio and peer."""
    said, texts, _, figure = drawn(tmp_path / "run", THREE)
    assert texts == ["0.500x one", "8.00x one", "2.00x two"]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == [
        "T256 B16 H256",
        "T64 B16 H256",
        "T16 B16 H256",
    ]
    assert said == "surely the fastest on 2 of 3, slower on 1"


def test_what_is_too_close_is_grey(tmp_path: Path) -> None:
    """And is counted; without an interval no ratio is given."""
    trials = [
        *measured(SHORT, {"mine": 1.0, "one": 2.0}),
        *measured(CENTRE, {"mine": 1.0, "one": 1.01}, mine=0.1),
    ]
    said, _, _, figure = drawn(tmp_path / "run", trials)
    assert said == "surely the fastest on 1 of 2, tied on 1"
    marks = [line for line in figure.axes[0].lines if line.get_marker() == "|"]
    assert [line.get_color() for line in marks] == [OTHERS.colour, ANSWER.colour]


def test_many_workloads_share_a_legend(tmp_path: Path) -> None:
    """Without room for names, a legend has the peers with the number of their workloads."""
    trials: list[Trial] = []
    for T in range(1, 50):
        trials += measured(workload(T=T), {"mine": 1.0, "one": 2.0, "two": 1.9 if T < 10 else 3.0})
    said, texts, rows, _ = drawn(tmp_path / "run", trials)
    assert len(rows) == 49
    assert texts == ["one (40)", "two (9)"]
    assert said == "surely the fastest on 49 of 49"
