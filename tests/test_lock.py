"""One measurement at a time on a machine."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.measuring.conditions.lock import measuring_alone

HOLD = """
import sys
from pathlib import Path
from benchmarks.measuring.conditions.lock import measuring_alone
with measuring_alone("the \\x1b[31mfirst", print, Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


class Holder:
    """A process that holds the lock until its input ends; `said` are the messages of those that wait for it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.said: list[str] = []

    def say(self, message: str) -> None:
        """Keep the message, and end the holder."""
        self.said.append(message)
        self.process.communicate("")


@pytest.fixture
def first(tmp_path: Path) -> Iterator[Holder]:
    """Another process that holds the lock in the test's folder."""
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield Holder(process)
        process.kill()


def test_a_second_sweep_says_who_measures_and_waits(first: Holder, tmp_path: Path) -> None:
    """It begins when the first is done; the name of the first is no markup."""
    with measuring_alone("the second", first.say, tmp_path):
        assert first.process.returncode == 0
    assert len(first.said) == 1
    assert f"the [31mfirst (process {first.process.pid}, since " in first.said[0]


def test_a_clock_can_be_shown_only_while_the_lock_is_waited_for(first: Holder, tmp_path: Path) -> None:
    """The context is entered after the message, and left before the second begins."""
    events: list[str] = []

    def say(text: str) -> None:
        events.append("said")
        first.say(text)

    @contextlib.contextmanager
    def waiting() -> Iterator[None]:
        events.append("waits")
        yield
        events.append("has waited")

    with measuring_alone("the second", say, tmp_path, waiting=waiting):
        events.append("measures")
    with measuring_alone("the third", say, tmp_path, waiting=waiting):
        events.append("measures")
    assert events == ["said", "waits", "has waited", "measures", "measures"]


def test_a_holder_that_was_killed_leaves_no_lock(first: Holder, tmp_path: Path) -> None:
    """The operating system releases the lock."""
    first.process.kill()
    first.process.wait()
    with measuring_alone("the second", first.say, tmp_path):
        pass
    assert first.said == []


def alone(folder: Path, *, say: Callable[[str], None] = print) -> dict[str, object]:
    """Hold the lock once; the content of the holder's file meanwhile."""
    with measuring_alone("this", say, folder):
        content: dict[str, object] = json.loads((folder / "rnnbench.lock.json").read_text())
        return content


def test_a_file_that_may_only_be_read_is_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux refuses to open another user's file in /tmp for writing, or with the flag that makes it."""
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
    """The mask of the user who makes it does not count."""
    mask = os.umask(0o077)
    try:
        alone(tmp_path)
    finally:
        os.umask(mask)
    for name in ("rnnbench.lock", "rnnbench.lock.json"):
        assert (tmp_path / name).stat().st_mode & 0o444 == 0o444


@pytest.mark.parametrize("kind", ["link", "dangling link", "folder", "pipe"])
def test_a_lock_that_is_no_file_is_refused_in_a_sentence(kind: str, tmp_path: Path) -> None:
    """Nothing is written through a link, and a pipe is not waited for."""
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
    """The holder's file replaces a link, or stays unwritten; the lock is held, and no temporary file is left."""
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


def test_a_holder_that_has_ended_is_not_named(first: Holder, tmp_path: Path) -> None:
    """A foreign file that names a process which has ended is passed over."""
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    (tmp_path / "rnnbench.lock.json").write_text(json.dumps({"pid": ended.pid, "what": "old", "since": "then"}))
    alone(tmp_path, say=first.say)
    assert first.said[0].startswith("another process is measuring on this machine")


def test_a_lock_that_was_removed_meanwhile_is_acquired_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others would lock the file that replaces it."""
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


def test_a_missing_temporary_folder_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence names the variable."""

    def none() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr("tempfile.gettempdir", none)
    with pytest.raises(ValueError, match="set TMPDIR"), measuring_alone("this", print):
        pass
