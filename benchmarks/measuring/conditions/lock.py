"""One measurement at a time on a machine: two would spoil each other."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from benchmarks.presentation.plain_text import LONGEST, clean

_MOST_BYTES = 4096
"""Limit of the file that names the holder."""


@contextlib.contextmanager
def measuring_alone(
    what: str,
    say: Callable[[str], None],
    folder: Path | None = None,
    *,
    waiting: Callable[[], AbstractContextManager[object]] = contextlib.nullcontext,
) -> Iterator[None]:
    """Hold the machine's lock; while another process holds it, `say` which one and wait.

    `waiting` makes the context in which it waits, such as one that shows a clock. The lock is the operating system's,
    on an open file, so it ends with its holder. The file belongs to the user who came first and is opened for reading
    only. Raises ValueError where something in its place cannot be locked, or where the file cannot be made.
    """
    try:
        folder = Path(tempfile.gettempdir()) if folder is None else folder
    except FileNotFoundError as error:
        raise ValueError(f"{error}; expected a temporary folder that can be written: set TMPDIR to one") from None
    holder_path = folder / "rnnbench.lock.json"

    @contextlib.contextmanager
    def wait() -> Iterator[None]:
        say(_waiting_for(holder_path))
        with waiting():
            yield

    lock = _locked(folder / "rnnbench.lock", wait)
    try:
        _write_holder(holder_path, what)
        yield
    finally:
        os.close(lock)


def _locked(path: Path, wait: Callable[[], AbstractContextManager[object]]) -> int:
    """The descriptor of the locked file. Raises ValueError."""
    while True:
        lock = open_lock_file(path)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                with wait():
                    fcntl.flock(lock, fcntl.LOCK_EX)
            # The file may have been cleaned away meanwhile; others would then lock its successor.
            if _is_same(lock, path):
                return lock
        except OSError as error:
            os.close(lock)
            raise ValueError(_refusal(path, f"cannot be locked: {error.strerror}")) from None
        except BaseException:
            os.close(lock)
            raise
        os.close(lock)


def open_lock_file(path: Path) -> int:
    """The file opened for reading, which every user may do, and made where it is missing. Raises ValueError.

    An existing file is opened without O_CREAT: Linux refuses that for another user's file in a folder like /tmp
    (fs.protected_regular). Links are not followed, and a pipe without a writer does not block.
    """
    kept_out = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        while True:
            try:
                lock = os.open(path, os.O_RDONLY | kept_out)
            except FileNotFoundError:
                with contextlib.suppress(FileExistsError):
                    os.close(_made(path, kept_out))
                continue
            break
    except OSError as error:
        why = "is a link" if error.errno == errno.ELOOP else f"cannot be opened: {error.strerror}"
        raise ValueError(_refusal(path, why)) from None
    if not stat.S_ISREG(os.fstat(lock).st_mode):
        os.close(lock)
        raise ValueError(_refusal(path, "is not a regular file"))
    return lock


def _made(path: Path, flags: int) -> int:
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | flags, 0o666)
    # Other users must be able to read it, whatever the user's mask.
    os.fchmod(lock, 0o666)
    return lock


def _refusal(path: Path, why: str) -> str:
    return (
        f"{path}, the lock by which one measurement at a time runs on this machine, {why}; expected a file that every "
        "user can read, or room for one: remove what stands there or have its owner do it, or set TMPDIR to another "
        "folder"
    )


def _is_same(lock: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(lock), os.lstat(path))
    except FileNotFoundError:
        return False


def _write_holder(path: Path, what: str) -> None:
    """Write who measures, for those who wait, into a new file that replaces the old one."""
    started = datetime.now(UTC).isoformat(timespec="seconds")
    content = json.dumps({"pid": os.getpid(), "what": what, "since": started})
    # The file serves a message only; another user may own it, or the disk may be full.
    with contextlib.suppress(OSError):
        file, name = tempfile.mkstemp(prefix=f"{path.name}-", dir=path.parent)
        try:
            with os.fdopen(file, "w", encoding="utf-8") as new:
                new.write(content)
                os.fchmod(file, 0o644)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink()
            raise


def _waiting_for(path: Path) -> str:
    return f"{_holder(path)} is measuring on this machine; waiting until it is done (Ctrl-C to stop)"


def _holder(path: Path) -> str:
    """The holder of the lock as it wrote itself down, if its process lives."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(file, "rb") as opened:
            holder: Any = json.loads(opened.read(_MOST_BYTES))
        if not psutil.pid_exists(int(holder["pid"])):
            return "another process"
        return clean(f"{holder['what']} (process {holder['pid']}, since {holder['since']})", LONGEST)
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return "another process"
