"""The run folder: what is written is there, what is broken is said, and nothing is overwritten."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from benchmarks.store import StoreError, create_run, open_run
from benchmarks.trial import MEASURED
from benchmarks.workload import Workload
from tests.synthetic_runs import failed, run_of, trial, workload

A = trial("nn_rnn", workload())
B = trial("torch_loop", workload(), 2e-3)
C = failed("numpy_loop", workload("training"), "crashed", "killed by SIGSEGV")


def lines(folder: Path) -> list[str]:
    return (folder / "trials.jsonl").read_text().splitlines()


def test_trials_are_read_as_they_were_appended(tmp_path: Path) -> None:
    """A trial, measured or failed, comes back equal, in written order, also from a run opened anew."""
    run_of(tmp_path / "run", [A, B, C])
    assert open_run(tmp_path / "run").trials() == [A, B, C]


def test_infinite_errors_come_back(tmp_path: Path) -> None:
    """A wrong case may have an infinite error, which JSON has no number for."""
    wrong = failed("torch_loop", workload(), "wrong", "not finite", error_output=float("inf"))
    assert run_of(tmp_path / "run", [wrong]).trials() == [wrong]
    assert "Infinity" not in lines(tmp_path / "run")[0]


def test_numbers_without_json_come_back_as_they_read(tmp_path: Path) -> None:
    """NaN and NumPy's scalars are stored as JSON and read back."""
    import numpy as np

    odd = trial("nn_rnn", workload(), gpu_before={"clock": float("nan"), "power": np.float32(2.5), "at": Path("x")})
    run = run_of(tmp_path / "run", [odd])
    assert run.trials()[0].gpu_before == {"clock": "nan", "power": 2.5, "at": "x"}


def test_each_trial_is_forced_to_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line is written and fsynced when append returns."""
    run = create_run(tmp_path / "run", {})
    forced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda _: forced.append((tmp_path / "run" / "trials.jsonl").read_text()))
    run.append(A)
    assert json.loads(forced[-1])["case"] == A.case.id


@pytest.mark.parametrize("kept", [1, 40, -1])
def test_a_torn_last_line_costs_only_itself(tmp_path: Path, kept: int) -> None:
    """The other lines are read and nothing is reported, whatever part of the last one is left."""
    run = run_of(tmp_path / "run", [A, B])
    file = tmp_path / "run" / "trials.jsonl"
    first, second = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(first + second[:-1][:kept])
    assert run.read().trials == [A]
    assert run.read().problems == []


def test_a_last_line_that_lacks_only_its_end_counts(tmp_path: Path) -> None:
    """A whole record whose newline was not written is a trial."""
    run = run_of(tmp_path / "run", [A, B])
    file = tmp_path / "run" / "trials.jsonl"
    file.write_bytes(file.read_bytes()[:-1])
    assert run.trials() == [A, B]
    run.append(C)
    assert run.trials() == [A, B, C]


def test_a_torn_line_does_not_glue_to_the_next(tmp_path: Path) -> None:
    """The trial after a kill begins a new line; the torn one is reported by its number."""
    run = run_of(tmp_path / "run", [A, B])
    file = tmp_path / "run" / "trials.jsonl"
    file.write_bytes(file.read_bytes()[:-30])
    open_run(tmp_path / "run").append(C)
    reading = run.read()
    assert reading.trials == [A, C]
    assert len(reading.problems) == 1
    assert "trials.jsonl, line 2: not a trial" in reading.problems[0]


def changed(**fields: Any) -> str:
    return json.dumps(A.to_json() | fields)


@pytest.mark.parametrize(
    "line",
    [
        "not JSON",
        "[]",
        "null",
        "{}",
        "[" * 100_000,
        '{"a": ' * 50_000,
        "1" * 5000,
        changed(status="splendid"),
        changed(T=-1),
        changed(T=10**400),
        changed(T=True),
        changed(dtype="int4"),
        changed(dtype=["float32"]),
        changed(implementation=7),
        changed(source=None),
        changed(reason=["a"]),
        changed(started_at=0),
        changed(round=-1),
        changed(round="0"),
        changed(calls_per_sample=0),
        changed(seconds="abc"),
        changed(seconds=5),
        changed(seconds=[1e-3] * 17),
        changed(seconds=[-1e-3] * 18),
        changed(seconds=[0.0] * 18),
        changed(seconds=[None] * 18),
        changed(seconds=[True] * 18),
        changed(blocks=[18.0]),
        changed(blocks=[19, -1]),
        changed(backward_seconds=[1e-3]),
        changed(setup_seconds="soon"),
        changed(peak_bytes=-5),
        changed(describe=["torch"]),
        changed(gpu_before="hot"),
        changed(error_output="much"),
        changed(seconds=[1e-3] * 17 + [float("nan")]),
        changed(seconds=[1e-3] * 17 + [float("inf")]),
        changed(seconds=[float("nan")] + [1e-3] * 17),
        changed(seconds=[1e-3] * 17 + ["1e-3"]),
        changed(seconds=[1e-3] * 17 + [2**53]),
    ],
)
def test_a_line_that_is_no_trial_is_passed_over_and_reported(tmp_path: Path, line: str) -> None:
    """The other trials are read and the line is named, whatever it holds."""
    run = run_of(tmp_path / "run", [A])
    with (tmp_path / "run" / "trials.jsonl").open("a") as file:
        file.write(line + "\n")
    run.append(B)
    reading = run.read()
    assert reading.trials == [A, B]
    assert len(reading.problems) == 1
    assert "line 2" in reading.problems[0]
    assert len(reading.problems[0]) < 600


def test_bytes_that_are_no_text_are_reported(tmp_path: Path) -> None:
    """A line that is not UTF-8 is a broken line like another."""
    run = run_of(tmp_path / "run", [A])
    with (tmp_path / "run" / "trials.jsonl").open("ab") as file:
        file.write(b"\xff\xfe\x00\n")
    assert run.read().trials == [A]
    assert "UnicodeDecodeError" in run.read().problems[0]


def test_fields_of_a_later_version_are_passed_over(tmp_path: Path) -> None:
    """A field that this version does not know does not make a trial unreadable."""
    run = run_of(tmp_path / "run", [A])
    with (tmp_path / "run" / "trials.jsonl").open("a") as file:
        file.write(changed(colour="blue") + "\n\n")
    assert run.read().trials == [A, A]
    assert run.read().problems == []


@pytest.mark.parametrize("name", ["L", "bidirectional", "cell", "bias", "dtype", "precision", "device", "threads"])
def test_a_field_that_an_earlier_version_did_not_write_has_its_default(tmp_path: Path, name: str) -> None:
    """A new field of a workload does not make a run unreadable."""
    run = run_of(tmp_path / "run", [A])
    content = {key: value for key, value in A.to_json().items() if key != name}
    (tmp_path / "run" / "trials.jsonl").write_text(json.dumps(content) + "\n")
    (read,) = run.trials()
    assert getattr(read.case.workload, name) == getattr(Workload(mode="inference", T=1, B=1, I=1, H=1), name)


@pytest.mark.parametrize("cell", ["tanh", "relu"])
def test_the_cell_is_read_from_its_old_name(tmp_path: Path, cell: str) -> None:
    """Runs of schema 1 and 2 call it nonlinearity; IDs are the same."""
    run = run_of(tmp_path / "run", [A])
    content = A.to_json()
    del content["cell"]
    (tmp_path / "run" / "trials.jsonl").write_text(json.dumps(content | {"nonlinearity": cell}) + "\n")
    (read,) = run.trials()
    assert read.case.workload.cell == cell
    assert f"-{cell}-" in read.case.id


def test_a_full_disk_is_said_and_costs_only_the_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that stops halfway raises StoreError; once there is space, the next trial begins a new line."""
    run = run_of(tmp_path / "run", [A])
    write = os.write
    written = 0

    def fills_up(descriptor: int, data: bytes) -> int:
        nonlocal written
        if written:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = write(descriptor, data[:50])
        return written

    with monkeypatch.context() as broken:
        broken.setattr(os, "write", fills_up)
        with pytest.raises(StoreError, match=r"cannot write a trial to .*trials\.jsonl: No space left on device"):
            run.append(B)
    assert run.read().trials == [A]
    run.append(C)
    assert run.read().trials == [A, C]


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that takes only a part is gone on with."""
    run = create_run(tmp_path / "run", {})
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:100]))
    run.append(A)
    run.append(B)
    assert run.trials() == [A, B]


def test_a_run_without_trials_has_none(tmp_path: Path) -> None:
    """A sweep killed before its first trial left a run that can be read."""
    create_run(tmp_path / "run", {})
    assert open_run(tmp_path / "run").trials() == []


@pytest.mark.parametrize("status", ["ok", "noisy"])
def test_a_visit_of_an_earlier_version_keeps_its_status(tmp_path: Path, status: str) -> None:
    """Visits of schema 1 to 3 are ok or noisy, with a reason; they are read as they were written, and have times."""
    run = run_of(tmp_path / "run", [trial("nn_rnn", workload(), status=status, reason="too wide")])
    (read,) = open_run(run.folder).trials()
    assert (read.status, read.reason) == (status, "too wide")
    assert read.status in MEASURED
