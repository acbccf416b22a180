"""The plot of a ranking: what is drawn and named in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from benchmarks.presentation.plot_style import choose_styles
from benchmarks.reporting import ranking_plot
from benchmarks.reporting.ranking import ranking_frame, rankings
from benchmarks.reporting.slices import panels
from benchmarks.trial import Trial
from tests.synthetic_runs import THREE, loaded, measured, typed, workload


def drawn(folder: Path, trials: Sequence[Trial]) -> tuple[str, list[str], pd.DataFrame]:
    """The line above the plot, the texts in it, and its rows."""
    rows = ranking_frame(rankings([loaded(folder, trials)]))
    (panel,) = panels(rows)
    axes = Figure().add_subplot()
    said = ranking_plot.draw(axes, panel, choose_styles(rows["peer"]), ranking_plot.height(panel))
    legend = axes.get_legend()
    texts = [text.get_text() for text in [*axes.texts, *(legend.get_texts() if legend else [])]]
    return typed(said), [typed(text) for text in texts], rows


def test_the_plot_names_each_peer(tmp_path: Path) -> None:
    """The ratio and the peer beside each workload, the least at the bottom, the mean above."""
    said, texts, _ = drawn(tmp_path / "run", THREE)
    assert texts == ["0.500x one", "2.00x two", "8.00x one"]
    assert said == "mine: 2.00x (geometric mean), at least 0.500x"


def test_many_workloads_share_a_legend(tmp_path: Path) -> None:
    """Without room for names, a legend has the peers with the number of their workloads."""
    trials: list[Trial] = []
    for T in range(1, 50):
        trials += measured(workload(T=T), {"mine": 1.0, "one": 2.0, "two": 1.9 if T < 10 else 3.0})
    said, texts, rows = drawn(tmp_path / "run", trials)
    assert len(rows) == 49
    assert texts == ["one (40)", "two (9)"]
    assert said.startswith(f"mine: {np.exp((9 * np.log(1.9) + 40 * np.log(2)) / 49):.2f}x")
