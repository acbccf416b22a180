"""The files of a command that it may replace: its own, and no others."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from benchmarks import files
from benchmarks.files import CommandFiles, StoreError, check_outputs, replacing
from tests.precious_files import KIND, SPECIAL, content, draw, put

RECORD = ".rnnbench-files.json"


def test_a_command_replaces_its_own_files_and_no_others(folder: Path) -> None:
    """Files that the command does not write again are removed; files with other names stay."""
    (folder / "plots").mkdir()
    (folder / "plots" / "holiday.png").write_text("mine")
    draw(folder, table="1", a="1", b="1")
    draw(folder, table="2", a="2")
    found = content(folder)
    record = json.loads(found.pop(RECORD))
    assert found == {"table.md": "2", "plots/a.png": "2", "plots/holiday.png": "mine"}
    assert list(record["written"]["draw"]) == ["plots/a.png", "table.md"]


@pytest.mark.parametrize("name", ["table.md", "plots/a.png"])
@pytest.mark.parametrize("is_after_a_run", [False, True])
def test_a_file_of_the_users_is_refused_at_once(name: str, is_after_a_run: bool, folder: Path) -> None:
    """A file of the same name, and a file of the command's that was changed, are refused in a helpful sentence."""
    if is_after_a_run:
        draw(folder, table="1", a="1")
    (folder / "plots").mkdir(exist_ok=True)
    (folder / name).write_text("mine")
    before = content(folder)
    said = rf"folder holds {name}, where draw would write.*nothing was changed, choose another --out"
    with pytest.raises(StoreError, match=said):
        check_outputs(folder, KIND)
    with pytest.raises(StoreError, match=said), replacing(folder, KIND):
        pytest.fail("it was computed")
    assert content(folder) == before


def test_a_file_that_appears_meanwhile_is_refused(folder: Path) -> None:
    """The places are checked again when the new files are ready."""

    def draw_beside_the_user() -> None:
        with replacing(folder, KIND) as staged:
            files.write(staged, "table.md", "ours")
            (folder / "table.md").write_text("mine")

    with pytest.raises(StoreError, match=r"holds table\.md"):
        draw_beside_the_user()
    assert content(folder) == {"table.md": "mine"}


def test_files_of_another_command_are_not_replaced(folder: Path) -> None:
    """Two commands may keep their files in one folder, unless they write the same names."""
    other = CommandFiles("train", re.compile(r"table\.md|losses\.csv"))
    with replacing(folder, other) as staged:
        files.write(staged, "losses.csv", "of train")
    draw(folder, table="1")
    with pytest.raises(StoreError, match=r"holds table\.md, where train would write"):
        check_outputs(folder, other)
    assert content(folder)["losses.csv"] == "of train"


@pytest.mark.parametrize("kind", SPECIAL)
@pytest.mark.parametrize("name", ["table.md", "plots", RECORD])
def test_what_is_no_file_of_ours_is_in_the_way(
    name: str, kind: str, folder: Path, precious: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Links and special files in place of a file, of a folder and of the record; a folder of plots may be there."""
    monkeypatch.chdir(folder)
    put(kind, Path(name), precious)
    before = content(folder.parent)
    if (name, kind) == ("plots", "a folder"):
        draw(folder, a="1")
        return
    with pytest.raises(StoreError, match=re.escape(name)):
        draw(folder, table="ours", a="ours")
    assert content(folder.parent) == before


@pytest.mark.parametrize(
    "record",
    [
        "",
        "[]",
        "{}",
        "[" * 100_000,
        '{"schema": 1, "written": []}',
        '{"schema": 1, "written": {"draw": 1}}',
        '{"schema": 9, "written": {}}',
    ],
    ids=range(7),
)
def test_a_record_that_is_none_is_refused(record: str, folder: Path) -> None:
    """A broken record identifies no file as the command's own."""
    (folder / RECORD).write_text(record)
    with pytest.raises(StoreError, match=r"\.rnnbench-files\.json .*nothing was changed"):
        draw(folder, table="ours")
    assert content(folder) == {RECORD: record}


def test_a_strangers_record_reaches_nothing_else(folder: Path, precious: Path) -> None:
    """Names that the command does not write are no names to remove, even with the right digests."""
    draw(folder, table="1")
    record = json.loads((folder / RECORD).read_text())
    digests = record["written"]["draw"]["table.md"]
    (folder / "notes.txt").write_text("1")
    (precious / "thesis.txt").write_text("1")
    outside = dict.fromkeys(("../precious/thesis.txt", "notes.txt", str(precious / "thesis.txt")), digests)
    record["written"]["draw"] |= outside
    (folder / RECORD).write_text(json.dumps(record))
    draw(folder, table="2")
    assert ((folder / "notes.txt").read_text(), (precious / "thesis.txt").read_text()) == ("1", "1")


def test_a_command_that_fails_changes_nothing(folder: Path) -> None:
    """The files of the run before are whole, and nothing of this one is left."""
    draw(folder, table="1", a="1")
    before = content(folder)

    def fail() -> None:
        with replacing(folder, KIND) as staged:
            files.write(staged, "table.md", "half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert content(folder) == before


@pytest.mark.parametrize("replaced", [0, 1])
def test_a_command_killed_while_it_replaces_can_be_run_again(
    replaced: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Old files and new ones are known as its own until all are in place."""
    draw(folder, table="1", a="1")
    rename, seen = os.replace, [0]

    def kill(source: Any, *rest: Any, **places: Any) -> None:
        if str(source) in ("table.md", "a.png"):
            if seen[0] == replaced:
                raise KeyboardInterrupt
            seen[0] += 1
        rename(source, *rest, **places)

    with monkeypatch.context() as broken:
        broken.setattr(os, "replace", kill)
        with pytest.raises(KeyboardInterrupt):
            draw(folder, table="2", a="2")
    draw(folder, table="3", b="3")
    found = content(folder)
    found.pop(RECORD)
    assert found == {"table.md": "3", "plots/b.png": "3"}


def test_what_a_killed_command_staged_goes_with_the_next(folder: Path) -> None:
    """A staging folder of a run that has ended is removed; one that only has the name stays."""
    (folder / ".rnnbench-new-dead").mkdir()
    (folder / ".rnnbench-new-dead" / "rnnbench-owned").touch()
    (folder / ".rnnbench-new-mine").mkdir()
    draw(folder, table="1")
    assert sorted(path.name for path in folder.iterdir()) == [RECORD, ".rnnbench-new-mine", "table.md"]


def test_an_earlier_versions_files_are_replaced_once(folder: Path) -> None:
    """Without a record, files count by their names in a folder that the command recognises as its own."""
    earlier = CommandFiles("draw", KIND.names, KIND.folders, is_earlier=lambda folder: (folder / "mark").exists())
    (folder / "plots").mkdir()
    for name in ("mark", "table.md", "plots/a.png", "plots/holiday.png"):
        (folder / name).write_text("before")
    with replacing(folder, earlier) as staged:
        files.write(staged, "table.md", "2")
    found = content(folder)
    found.pop(RECORD)
    assert found == {"mark": "before", "table.md": "2", "plots/holiday.png": "before"}
    (folder / "plots" / "a.png").write_text("mine")
    with pytest.raises(StoreError, match=r"holds plots/a\.png"):
        check_outputs(folder, earlier)


def test_a_file_that_was_not_foreseen_is_a_fault_of_ours(folder: Path) -> None:
    """A file outside of the command's names would never be recognised as its own."""
    with pytest.raises(AssertionError, match=r"other\.md"), replacing(folder, KIND) as staged:
        files.write(staged, "other.md", "x")
    assert content(folder) == {}
