"""The plot of a ranking: what is drawn and named in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from benchmarks.presentation.plot_style import choose_styles
from benchmarks.reporting import ranking_plot
from benchmarks.reporting.ranking import ranking_frame, rankings
from benchmarks.reporting.slices import panels
from benchmarks.runs.loading import LoadedRun, load_runs
from benchmarks.trial import Trial
from benchmarks.workload import Workload
from tests.synthetic_runs import run_of, trial, workload

SHORT, CENTRE, LONG = (workload(T=T) for T in (16, 64, 256))


def loaded(folder: Path, trials: Sequence[Trial], **fields: Any) -> LoadedRun:
    """A run of these trials."""
    run_of(folder, trials, **fields)
    return load_runs(folder)[0]


def measured(of: Workload, times: Mapping[str, float], **factors: float) -> list[Trial]:
    """Trials of one visit; `factors` move the blocks of an implementation up and down."""
    found = []
    for name, seconds in times.items():
        width = factors.get(name, 0.0)
        blocks = [seconds * (1 + width * (2 * at / 5 - 1)) for at in range(6)]
        found.append(trial(name, of, [sample for block in blocks for sample in (block,) * 3]))
    return found


def typed(text: str) -> str:
    """The text with the signs that a keyboard has."""
    return text.replace("\N{MULTIPLICATION SIGN}", "x").replace("\N{EN DASH}", "-")


THREE = [
    *measured(SHORT, {"mine": 1.0, "one": 4.0, "two": 2.0}),
    *measured(CENTRE, {"mine": 1.0, "one": 8.0, "two": 9.0}),
    *measured(LONG, {"mine": 1.0, "one": 0.5, "two": 3.0}),
]


def drawn(folder: Path, trials: Sequence[Trial]) -> tuple[str, list[str], pd.DataFrame]:
    """What the plot says above it and in it, and its rows."""
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
    """Where names would not fit, the peers stand in a legend with how often each is the best of the others."""
    trials: list[Trial] = []
    for T in range(1, 50):
        trials += measured(workload(T=T), {"mine": 1.0, "one": 2.0, "two": 1.9 if T < 10 else 3.0})
    said, texts, rows = drawn(tmp_path / "run", trials)
    assert len(rows) == 49
    assert texts == ["one (40)", "two (9)"]
    assert said.startswith(f"mine: {np.exp((9 * np.log(1.9) + 40 * np.log(2)) / 49):.2f}x")
