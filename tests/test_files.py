"""What is written, added to and removed: links are followed to no place, and what is not ours stays as it is."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks import files
from benchmarks.files import StoreError
from tests.precious_files import SPECIAL, content, put

WRITERS: dict[str, Callable[[Path, str], Any]] = {
    "write": lambda folder, name: files.write(folder, name, "ours"),
    "append": lambda folder, name: files.append(folder, name, b"ours\n"),
    "open to append": lambda folder, name: files.open_to_append(folder, name).close(),
}


@pytest.mark.parametrize("kind", SPECIAL)
@pytest.mark.parametrize("writer", WRITERS)
def test_what_is_no_regular_file_is_refused(
    writer: str, kind: str, folder: Path, precious: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The refusal names the file and does not block, and neither the file nor the target of a link is changed."""
    monkeypatch.chdir(folder)  # the path of a socket may not be long
    put(kind, Path("x"), precious)
    before = content(folder.parent)
    with pytest.raises((StoreError, OSError), match=r"x is a|directory"):
        WRITERS[writer](folder, "x")
    assert content(folder.parent) == before


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("leads_to", ["precious", "precious/none", "."])
def test_no_link_below_the_folder_is_followed(writer: str, leads_to: str, folder: Path, precious: Path) -> None:
    """A link in the middle of a name is refused, whether its target exists or not."""
    (folder / "plots").symlink_to(precious.parent / leads_to)
    before = content(folder.parent)
    with pytest.raises(StoreError, match=r"plots is a link to .*; expected a folder: .*nothing was changed"):
        WRITERS[writer](folder, "plots/x/thesis.txt")
    assert content(folder.parent) == before


@pytest.mark.parametrize("writer", WRITERS)
def test_the_folder_itself_may_be_reached_by_a_link(writer: str, folder: Path, tmp_path: Path) -> None:
    """The user named it: results are often a link to a larger disk."""
    (tmp_path / "results").symlink_to(folder)
    WRITERS[writer](tmp_path / "results", "plots/x")
    assert (folder / "plots" / "x").is_file()
    assert (tmp_path / "results").is_symlink()


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/../../x", "/x", "a\0b"])
def test_a_name_that_leads_out_is_refused(name: str, folder: Path) -> None:
    """A name that leads out of its folder is refused in every form."""
    with pytest.raises(ValueError, match="no name of something in a folder"):
        files.write(folder, name, "ours")


def test_nothing_is_added_to_a_file_with_two_names(folder: Path, precious: Path) -> None:
    """A copy by hard links, as backups make them, would change with it."""
    (folder / "x").hardlink_to(precious / "thesis.txt")
    with pytest.raises(StoreError, match=r"x has 2 names \(hard links\)"):
        files.append(folder, "x", b"ours\n")
    assert (precious / "thesis.txt").read_text() == "years of work"


def test_a_file_with_two_names_is_replaced_under_one(folder: Path, precious: Path) -> None:
    """The other name keeps its content."""
    (folder / "x").hardlink_to(precious / "thesis.txt")
    files.write(folder, "x", "ours")
    assert ((folder / "x").read_text(), (precious / "thesis.txt").read_text()) == ("ours", "years of work")


@pytest.mark.parametrize("mode", [0o600, 0o755])
def test_a_file_that_is_replaced_keeps_its_permissions(mode: int, folder: Path) -> None:
    """A private file stays private."""
    (folder / "a.md").write_text("old")
    (folder / "a.md").chmod(mode)
    files.write(folder, "a.md", "new")
    assert (folder / "a.md").read_text() == "new"
    assert stat.S_IMODE((folder / "a.md").stat().st_mode) == mode


def test_a_new_file_takes_no_place(folder: Path) -> None:
    """With replace=False an existing file is refused, and stays."""
    (folder / "x").write_text("mine")
    with pytest.raises(StoreError, match="x is there already; expected a new file"):
        files.write(folder, "x", "ours", replace=False)
    assert content(folder) == {"x": "mine"}


@pytest.mark.parametrize("replace", [True, False])
def test_a_write_that_fails_leaves_what_was_there(replace: bool, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No half a file, and no file beside it."""
    if replace:
        (folder / "x").write_text("before")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        files.write(folder, "x", "ours", replace=replace, durable=True)
    assert content(folder) == ({"x": "before"} if replace else {})


def test_a_link_is_removed_and_not_what_it_leads_to(folder: Path, precious: Path) -> None:
    """Removing a link leaves its target; removing a missing file is no error."""
    (folder / "x").symlink_to(precious / "thesis.txt")
    files.remove(folder, "x")
    files.remove(folder, "x")
    files.remove(folder, "none/x")
    assert content(folder.parent) == {"precious/thesis.txt": "years of work"}


def test_a_job_summary_may_be_a_link_and_does_not_wait(folder: Path, precious: Path) -> None:
    """The user named it as a file; a named pipe that nobody reads is an error."""
    (folder / "job").symlink_to(precious / "thesis.txt")
    files.append_to_named(folder / "job", ", done")
    assert (precious / "thesis.txt").read_text() == "years of work, done"
    os.mkfifo(folder / "pipe")
    with pytest.raises(OSError, match="No such device"):
        files.append_to_named(folder / "pipe", "x")
