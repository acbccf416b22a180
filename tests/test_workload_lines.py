"""The fastest of each workload as lines of a terminal."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from rich.cells import cell_len

from benchmarks.reporting.answers.workload_winners import winners_by_workload
from benchmarks.reporting.words.workload_lines import workload_lines
from benchmarks.runs.frames import runs_frame
from benchmarks.trial import Trial
from tests.synthetic_runs import default_workloads, failed, loaded, realistic_trials, trial, typed, workload

CENTRE = workload()
PAIR = [trial("nn_rnn", CENTRE, 2e-3), trial("mine", CENTRE, 1e-3)]


def printed(folder: Path, trials: list[Trial], width: int = 120) -> list[str]:
    frame = runs_frame([loaded(folder, trials)])
    return [typed(line) for line in workload_lines(frame, winners_by_workload(frame), width)]


def test_each_workload_has_its_winner(tmp_path: Path) -> None:
    """A row a workload: what all share stands above, the second with its lead or as too close."""
    trials = [*PAIR, trial("nn_rnn", workload(T=65)), trial("mine", workload(T=65))]
    lines = printed(tmp_path / "run", [*trials, failed("other", CENTRE, "crashed", "SIGSEGV")])
    assert lines[:3] == ["All: tanh RNN, 2 threads, cpu, float32", "", "inference"]
    assert any(re.match(r"  T64 B16 H256 +mine +1\.00 ms +2\.00x +nn_rnn 2\.00x", line) for line in lines)
    assert any(re.match(r"  T65 B16 H256 +mine +1\.00 ms +1\.00x +≈ nn_rnn", line) for line in lines)
    assert lines[-1] == "5 cases: 4 ok, 1 crashed; the report says why"


def test_settings_have_headings(tmp_path: Path) -> None:
    other = workload(device="cuda", threads=1, dtype="float16")
    lines = printed(tmp_path / "run", [trial("nn_rnn", CENTRE), trial("nn_rnn", other)])
    assert {"inference, 2 threads, cpu, float32", "inference, cuda, float16"} <= set(lines)


@pytest.mark.parametrize("width", [60, 80, 100])
def test_lines_fit_and_names_are_whole(tmp_path: Path, width: int) -> None:
    names = ["nn_rnn", "torch_compile_module", "onnxruntime_rnn"]
    trials = realistic_trials(default_workloads(), names)
    trials += [failed("other", workload(T=T), status, "why") for T, status in enumerate(("crashed", "failed"), 1)]
    trials += [failed(f"other_{at}", CENTRE, "unsupported", "why") for at in range(3)]
    lines = printed(tmp_path / "run", trials, width)
    assert " 3 unsupported, 1 crashed, 1 failed; the report says why" in " ".join(lines)
    assert all(cell_len(line) <= width for line in lines)
    assert "torch_compile_module" in "\n".join(lines)


def test_a_long_run_is_cut(tmp_path: Path) -> None:
    lines = printed(tmp_path / "run", [trial("nn_rnn", workload(T=T)) for T in range(1, 211)])
    assert "and 10 more in summary.csv" in lines
    assert sum(line.startswith("  T") for line in lines) == 200


def test_a_strangers_name_is_text(tmp_path: Path) -> None:
    lines = printed(tmp_path / "run", [trial("[red]x[/red]\x1b]0;t\x07", CENTRE)])
    assert any("[red]x[/red]" in line for line in lines)
    assert "\x1b" not in "".join(lines)


def test_an_empty_run_is_no_error(tmp_path: Path) -> None:
    assert printed(tmp_path / "run", []) == [""]
