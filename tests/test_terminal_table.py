"""The table of a run on a terminal."""

from __future__ import annotations

import io
import re
from pathlib import Path

from rich.console import Console

from benchmarks.reporting.report import terminal_table
from benchmarks.reporting.workload_winners import winners_by_workload
from benchmarks.runs.frames import load_run
from benchmarks.trial import Trial
from tests.synthetic_runs import failed, run_of, trial, typed, workload

CENTRE = workload()
PAIR = [trial("nn_rnn", CENTRE, 2e-3), trial("mine", CENTRE, 1e-3)]


def printed(folder: Path, trials: list[Trial], width: int = 120) -> str:
    """The table on the terminal at the end of a sweep."""
    run_of(folder, trials)
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    frame = load_run(folder)
    console.print(terminal_table(frame, winners_by_workload(frame)))
    assert isinstance(console.file, io.StringIO)
    return typed(console.file.getvalue())


def test_the_terminal_shows_the_winners(tmp_path: Path) -> None:
    """A row a workload: what all share stands in the title, the second with its lead or as too close."""
    trials = [*PAIR, trial("nn_rnn", workload(T=65)), trial("mine", workload(T=65))]
    text = printed(tmp_path / "run", [*trials, failed("other", CENTRE, "crashed", "SIGSEGV")])
    title = " ".join(text.split("\n\n")[0].split())
    assert (
        "(inference, B 16, H 256, L 1, 2 threads, one direction, with bias, tanh, float32, ieee, cpu, I = H)" in title
    )
    assert re.search(r"^ *64 +mine +1\.00 ms +2\.00x +nn_rnn 2\.00x", text, re.MULTILINE)
    assert re.search(r"^ *65 +mine +1\.00 ms +1\.00x +≈ nn_rnn", text, re.MULTILINE)
    assert "5 cases: 4 ok, 1 crashed; the report says why" in text


def test_the_terminal_shows_what_differs(tmp_path: Path) -> None:
    """A field that differs between workloads is a column, so that rows can be told apart."""
    other = workload(device="cuda", threads=1, dtype="float16")
    text = printed(tmp_path / "run", [trial("nn_rnn", CENTRE), trial("nn_rnn", other)])
    assert re.search(r"2 +float32 +cpu +nn_rnn", text)
    assert re.search(r"1 +float16 +cuda +nn_rnn", text)


def test_the_terminal_shows_no_markup_of_a_stranger(tmp_path: Path) -> None:
    """A name in brackets is no style, an escape no command."""
    text = printed(tmp_path / "run", [trial("[red]x[/red]\x1b]0;t\x07", CENTRE)])
    assert "[red]x[/red]" in text
    assert "\x1b" not in text


def test_the_terminal_shows_an_empty_run(tmp_path: Path) -> None:
    """A run without trials is no error."""
    assert "The fastest implementation" in printed(tmp_path / "run", [])
