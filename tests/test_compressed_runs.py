"""The trials of a run that is kept are compressed, and read as before."""

from __future__ import annotations

import lzma
import shutil
from pathlib import Path

import pytest

from benchmarks import json_lines, load_run
from benchmarks.runs.compress import main
from benchmarks.store import StoreError, create_run, open_run
from tests.synthetic_runs import run_of, trial, workload

A = trial("nn_rnn", workload())
B = trial("torch_loop", workload(), 2e-3)
C = trial("numpy_loop", workload("training"), 3e-3)
RESULTS = Path(__file__).parent.parent / "results"


def test_compressed_trials_are_read_in_their_order(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", [A, B])
    size = run.compress()
    assert not (tmp_path / "run" / "trials.jsonl").exists()
    assert (tmp_path / "run" / "trials.jsonl.xz").stat().st_size == size
    assert open_run(tmp_path / "run").trials() == [A, B]


def test_what_is_measured_afterwards_is_added_and_compressed_in_turn(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", [A])
    run.compress()
    run.append(B)
    assert run.trials() == [A, B]
    run.compress()
    assert run.trials() == [A, B]
    run.compress()
    assert run.trials() == [A, B]


def test_a_trial_that_a_kill_left_in_both_files_is_read_once(tmp_path: Path) -> None:
    """The compressed file is there before the other one is removed."""
    run = run_of(tmp_path / "run", [A, B])
    content = (tmp_path / "run" / "trials.jsonl").read_bytes()
    run.compress()
    (tmp_path / "run" / "trials.jsonl").write_bytes(content)
    assert run.trials() == [A, B]
    run.append(C)
    run.compress()
    assert run.trials() == [A, B, C]
    assert lzma.decompress((tmp_path / "run" / "trials.jsonl.xz").read_bytes()).count(b"\n") == 3


def test_a_run_with_a_broken_line_is_left_as_it_is(tmp_path: Path) -> None:
    """Compressing it would remove the line."""
    run = run_of(tmp_path / "run", [A])
    with (tmp_path / "run" / "trials.jsonl").open("a") as file:
        file.write("{}\n")
    with pytest.raises(StoreError, match=r"line 2: not a trial.*nothing was changed"):
        run.compress()
    assert not (tmp_path / "run" / "trials.jsonl.xz").exists()
    assert run.trials() == [A]


@pytest.mark.parametrize("kept", [0, 1, 40, -1])
def test_a_torn_compressed_file_is_named(tmp_path: Path, kept: int) -> None:
    run = run_of(tmp_path / "run", [A, B])
    run.compress()
    path = tmp_path / "run" / "trials.jsonl.xz"
    path.write_bytes(path.read_bytes()[:kept])
    (problem,) = run.read().problems
    assert "trials.jsonl.xz: the rest is passed over" in problem
    with pytest.raises(StoreError, match="the rest is passed over"):
        run.compress()


def test_a_file_that_unpacks_without_end_is_read_to_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_of(tmp_path / "run", [A])
    run.compress()
    line = lzma.decompress((tmp_path / "run" / "trials.jsonl.xz").read_bytes())
    monkeypatch.setattr(json_lines, "MOST_UNPACKED", 2 * len(line))
    (tmp_path / "run" / "trials.jsonl.xz").write_bytes(lzma.compress(line * 1000))
    found = run.read()
    assert len(found.trials) == 2
    assert "unpacks to more than" in found.problems[-1]


def test_a_sweep_does_not_begin_in_a_folder_with_compressed_trials(tmp_path: Path) -> None:
    run_of(tmp_path / "run", [A]).compress()
    (tmp_path / "run" / "run.json").unlink()
    with pytest.raises(StoreError, match=r"already holds trials\.jsonl\.xz"):
        create_run(tmp_path / "run", {})


def test_a_committed_run_of_an_earlier_version_reads_as_before(tmp_path: Path) -> None:
    """Its lines are kept as they were written, with the names of their time."""
    copy = tmp_path / "run"
    shutil.copytree(RESULTS / "reference-peers", copy)
    before = load_run(copy)
    lines = json_lines.raw_lines(copy / "trials.jsonl") or json_lines.raw_lines(copy / "trials.jsonl.xz")
    open_run(copy).compress()
    assert json_lines.raw_lines(copy / "trials.jsonl.xz") == lines
    assert load_run(copy).equals(before)


def test_the_command_compresses_runs_and_names_what_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_of(tmp_path / "run", [A])
    assert main([str(tmp_path / "run")]) == 0
    assert "kB" in capsys.readouterr().out
    assert main([str(tmp_path)]) == 2
    assert "holds no run.json" in capsys.readouterr().err
