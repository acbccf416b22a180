"""One measurement at a time on a machine."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.measuring.lock import measuring_alone

HOLD = """
import sys
from pathlib import Path
from benchmarks.measuring.lock import measuring_alone
with measuring_alone("the \\x1b[31mfirst", print, Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(folder: Path) -> subprocess.Popen[str]:
    """A process that holds the lock until its input ends."""
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_a_second_sweep_says_who_measures_and_waits(tmp_path: Path) -> None:
    """The second sweep begins when the first is done, and shows the first's name without markup."""
    with holder(tmp_path) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "held\n"
        said: list[str] = []

        def say(message: str) -> None:
            said.append(message)
            first.communicate("")

        with measuring_alone("the second", say, tmp_path):
            assert first.returncode == 0
    assert len(said) == 1
    assert f"the [31mfirst (process {first.pid}, since " in said[0]


def test_a_holder_that_was_killed_leaves_no_lock(tmp_path: Path) -> None:
    """The lock is the operating system's."""
    with holder(tmp_path) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "held\n"
        first.kill()
        first.wait()
        said: list[str] = []
        with measuring_alone("the second", said.append, tmp_path):
            pass
    assert said == []


def alone(folder: Path, *, say: Callable[[str], None] = print) -> dict[str, object]:
    """Hold the lock once, and give what is written of the holder meanwhile."""
    with measuring_alone("this", say, folder):
        content: dict[str, object] = json.loads((folder / "rnnbench.lock.json").read_text())
        return content


def test_a_file_that_may_only_be_read_is_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another user's file in /tmp can be locked: Linux refuses to open it for writing or with O_CREAT."""
    (tmp_path / "rnnbench.lock").touch()
    opened, open_file = list[int](), os.open

    def refuse(path: Path, flags: int, mode: int = 0o777) -> int:
        if Path(path).name == "rnnbench.lock":
            opened.append(flags)
            if flags & (os.O_CREAT | os.O_WRONLY | os.O_RDWR):
                raise PermissionError(13, "Permission denied", str(path))
        return open_file(path, flags, mode)

    monkeypatch.setattr("os.open", refuse)
    assert alone(tmp_path)["pid"] == os.getpid()
    assert opened


def test_every_user_may_read_the_lock_that_is_made(tmp_path: Path) -> None:
    """The lock file is readable by all, whatever the mask of its maker."""
    mask = os.umask(0o077)
    try:
        alone(tmp_path)
    finally:
        os.umask(mask)
    for name in ("rnnbench.lock", "rnnbench.lock.json"):
        assert (tmp_path / name).stat().st_mode & 0o444 == 0o444


@pytest.mark.parametrize("kind", ["link", "dangling link", "folder", "pipe"])
def test_what_is_no_file_is_refused_in_a_sentence(kind: str, tmp_path: Path) -> None:
    """A link or a pipe in the lock's place is refused, not written through and not waited for."""
    place, target = tmp_path / "rnnbench.lock", tmp_path / "target"
    if kind == "link":
        target.write_text("mine")
    make = {"folder": place.mkdir, "pipe": lambda: os.mkfifo(place)}
    make.get(kind, lambda: place.symlink_to(target))()
    with pytest.raises(ValueError, match=r"rnnbench\.lock, the lock .*expected a file that every user can read"):
        alone(tmp_path)
    assert target.exists() == (kind == "link")


@pytest.mark.parametrize("kind", ["link", "folder"])
def test_the_holder_is_not_written_through_a_link(kind: str, tmp_path: Path) -> None:
    """The name takes its place, or stays unwritten; the lock is held in any case, and no temporary file is left."""
    place, target = tmp_path / "rnnbench.lock.json", tmp_path / "target"
    target.write_text("mine")
    if kind == "link":
        place.symlink_to(target)
    else:
        place.mkdir()
    with contextlib.suppress(IsADirectoryError):
        assert alone(tmp_path)["what"] == "this"
    assert target.read_text() == "mine"
    assert {path.name for path in tmp_path.iterdir()} == {"rnnbench.lock", "rnnbench.lock.json", "target"}


def test_a_holder_that_is_no_more_is_not_named(tmp_path: Path) -> None:
    """A holder that has ended, or a file in another form, is not named."""
    with holder(tmp_path) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "held\n"
        said: list[str] = []

        def say(message: str) -> None:
            said.append(message)
            first.communicate("")

        with subprocess.Popen([sys.executable, "-c", ""]) as ended:
            ended.wait()
        (tmp_path / "rnnbench.lock.json").write_text(json.dumps({"pid": ended.pid, "what": "old", "since": "then"}))
        alone(tmp_path, say=say)
    assert said[0].startswith("another process is measuring on this machine")


def test_a_lock_that_was_removed_meanwhile_is_taken_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others would lock the file that follows it."""
    removals = iter([True, False])
    lock = __import__("fcntl").flock

    def remove_first(file: int, how: int) -> None:
        lock(file, how)
        if next(removals):
            (tmp_path / "rnnbench.lock").unlink()

    monkeypatch.setattr("fcntl.flock", remove_first)
    alone(tmp_path)
    assert (tmp_path / "rnnbench.lock").exists()
    assert next(removals, None) is None


def test_no_temporary_folder_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence names the variable."""

    def none() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr("tempfile.gettempdir", none)
    with pytest.raises(ValueError, match="set TMPDIR"), measuring_alone("this", print):
        pass
