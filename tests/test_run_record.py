"""The record and the folder of a run: kept, refused and updated."""

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
from tests.synthetic_runs import run_of, trial, workload

A = trial("nn_rnn", workload())


def lines(folder: Path) -> list[str]:
    return (folder / "trials.jsonl").read_text().splitlines()


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
    """The message names the file and the missing field."""
    run = create_run(tmp_path / "run", {"name": "default", "machine": "a stranger's"})
    assert run.known("name") == "default"
    with pytest.raises(StoreError, match=rf"run\.json does not say {said}; expected it as a sweep writes it"):
        run.known(*names)


def test_an_update_that_fails_leaves_the_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a full disk the old run.json is whole, no temporary file is left, and the message says why."""
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


@pytest.mark.parametrize("raised", [ValueError, KeyboardInterrupt])
def test_a_folder_made_for_nothing_goes(tmp_path: Path, raised: type[BaseException]) -> None:
    """A folder that was made for a failed command is removed; an existing one, or one with files, stays."""

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
