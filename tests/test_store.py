"""The run folder: what is written is there, what is broken is said, and nothing is overwritten."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from benchmarks.files import folder_for
from benchmarks.store import StoreError, create_run, open_run
from benchmarks.trial import SCHEMA
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
    """What a GPU query gives goes in as it is, NaN and NumPy's scalars included, and the line stays JSON."""
    import numpy as np

    odd = trial("nn_rnn", workload(), gpu_before={"clock": float("nan"), "power": np.float32(2.5), "at": Path("x")})
    run = run_of(tmp_path / "run", [odd])
    assert run.trials()[0].gpu_before == {"clock": "nan", "power": 2.5, "at": "x"}


def test_each_trial_is_forced_to_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When append returns, the line has been written and fsynced."""
    run = create_run(tmp_path / "run", {})
    forced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda _: forced.append((tmp_path / "run" / "trials.jsonl").read_text()))
    run.append(A)
    assert json.loads(forced[-1])["case"] == A.case.id


@pytest.mark.parametrize("kept", [1, 40, -1])
def test_a_torn_last_line_costs_only_itself(tmp_path: Path, kept: int) -> None:
    """Whatever part of the last line a kill left, the others are read and nothing is reported."""
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
    """After a kill the next trial begins a line of its own; the torn one is reported by its number."""
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
    """Whatever a stranger's file holds, the other trials are read and the line is named."""
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


def test_the_record_is_kept_and_updated(tmp_path: Path) -> None:
    """run.json holds what was given, the schema, and what is set later; the rest stays."""
    run = create_run(tmp_path / "a" / "run", {"name": "default", "peaks": []})
    run.update(finished_at="now", activity_seconds={"sampling": 1.5})
    again = open_run(tmp_path / "a" / "run").record
    assert again == run.record
    assert again["schema"] == SCHEMA
    assert (again["name"], again["finished_at"], again["activity_seconds"]) == ("default", "now", {"sampling": 1.5})
    assert [path.name for path in (tmp_path / "a" / "run").iterdir()] == ["run.json"]


@pytest.mark.parametrize(("names", "said"), [(("sweep",), "sweep"), (("machine", "key"), r"machine\.key")])
def test_what_a_record_lacks_is_named(tmp_path: Path, names: tuple[str, ...], said: str) -> None:
    """With the file; where it is there, it is given."""
    run = create_run(tmp_path / "run", {"name": "default", "machine": "a stranger's"})
    assert run.known("name") == "default"
    with pytest.raises(StoreError, match=rf"run\.json does not say {said}; expected it as a sweep writes it"):
        run.known(*names)


def test_an_update_that_fails_leaves_the_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the disk is full, the old run.json is whole, no temporary file is left, and the message says why."""
    run = create_run(tmp_path / "run", {"name": "default"})

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", full)
        with pytest.raises(StoreError, match=r"cannot write .*run\.json: No space left on device.*--resume"):
            run.update(name="other")
    assert run.record["name"] == "default"
    assert open_run(tmp_path / "run").record["name"] == "default"
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["run.json"]


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


def test_a_folder_that_holds_a_run_is_not_begun_again(tmp_path: Path) -> None:
    """Creating a run where one is raises, and changes nothing."""
    run_of(tmp_path / "run", [A])
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    with pytest.raises(StoreError, match=r"run already holds run\.json, trials\.jsonl.*choose another --out"):
        create_run(tmp_path / "run", {})
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before


@pytest.mark.parametrize("name", ["report.md", "trials.jsonl", "summary.csv"])
def test_a_file_that_a_run_would_overwrite_is_not(tmp_path: Path, name: str) -> None:
    """A folder that holds a file by the name of one of a run's is refused."""
    (tmp_path / name).write_text("mine")
    with pytest.raises(StoreError, match=name):
        create_run(tmp_path, {})
    assert (tmp_path / name).read_text() == "mine"
    assert not (tmp_path / "run.json").exists()


def test_a_folder_with_other_files_takes_a_run(tmp_path: Path) -> None:
    """Files that have nothing to do with a run are no hindrance."""
    (tmp_path / "notes.txt").write_text("mine")
    assert create_run(tmp_path, {}).trials() == []


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    """A file where the folder should be, and a folder where the trials should be, give clear messages."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"cannot create .*file"):
        create_run(tmp_path / "file" / "run", {})
    run = create_run(tmp_path / "run", {})
    (tmp_path / "run" / "trials.jsonl").mkdir()
    with pytest.raises(StoreError, match=r"cannot write a trial to .*Is a directory"):
        run.append(A)
    with pytest.raises(StoreError, match=r"cannot read .*Is a directory"):
        run.read()


def test_a_read_only_folder_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that may not be written gives a message with the path and what to do."""
    run = create_run(tmp_path / "run", {})

    def refuse(*_: Any, **__: Any) -> int:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with monkeypatch.context() as broken:
        broken.setattr(os, "open", refuse)
        with pytest.raises(StoreError, match=r"trials\.jsonl: Read-only file system.*allow writing"):
            run.append(A)


def test_what_is_no_run_folder_is_said(tmp_path: Path) -> None:
    """A missing folder, a file, and a folder without run.json each have a message of their own."""
    with pytest.raises(StoreError, match=r"nowhere does not exist; expected a run folder"):
        open_run(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"file is a file; expected a run folder"):
        open_run(tmp_path / "file")
    with pytest.raises(StoreError, match=r"holds no run\.json"):
        open_run(tmp_path)
    run_of(tmp_path / "quick-1", [A])
    with pytest.raises(StoreError, match=r"name one of the runs in it: .*quick-1"):
        open_run(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[1]", "holds a list; expected a mapping"),
        ("{}", "has schema None; expected a whole number from 1"),
        ('{"schema": "1"}', "has schema '1'; expected"),
        ('{"schema": true}', "has schema True; expected"),
        ('{"schema": 0}', "has schema 0; expected"),
        (json.dumps({"schema": SCHEMA + 1}), f"has schema {SCHEMA + 1}, later than the {SCHEMA}.*nothing was changed"),
    ],
)
def test_a_record_that_cannot_be_read_is_refused(tmp_path: Path, content: str, message: str) -> None:
    """A broken record and one of a later schema are refused with a message, and left as they are."""
    run_of(tmp_path / "run", [A])
    (tmp_path / "run" / "run.json").write_text(content)
    with pytest.raises(StoreError, match=message):
        open_run(tmp_path / "run")
    assert (tmp_path / "run" / "run.json").read_text() == content
    assert len(lines(tmp_path / "run")) == 1


def test_bytes_that_are_no_text_in_the_record_are_refused(tmp_path: Path) -> None:
    """run.json that is not UTF-8 is not JSON."""
    (tmp_path / "run.json").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(StoreError, match="is not JSON"):
        open_run(tmp_path)


def test_a_run_without_trials_has_none(tmp_path: Path) -> None:
    """A sweep killed before its first trial left a run that can be read."""
    create_run(tmp_path / "run", {})
    assert open_run(tmp_path / "run").trials() == []


@pytest.mark.parametrize("raised", [ValueError, KeyboardInterrupt])
def test_a_folder_made_for_nothing_goes(tmp_path: Path, raised: type[BaseException]) -> None:
    """One that was there before stays, and so does what was written."""

    def fail(folder: Path, *written: str) -> None:
        with folder_for("--out", folder):
            for name in written:
                (folder / name).touch()
            raise raised

    (tmp_path / "before").mkdir()
    for names in (["new"], ["before"], ["holds", "a.txt"]):
        with pytest.raises(raised):
            fail(tmp_path / names[0], *names[1:])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["before", "holds"]
