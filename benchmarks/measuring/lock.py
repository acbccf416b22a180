"""One measurement at a time on a machine: two would spoil each other."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout


@contextlib.contextmanager
def measuring_alone(what: str, say: Callable[[str], None], folder: Path | None = None) -> Iterator[None]:
    """Hold the machine's lock; when another process holds it, say which and wait until it is free.

    The lock is the operating system's own on an open file, so it goes when its holder dies, however it dies.
    """
    folder = Path(tempfile.gettempdir()) if folder is None else folder
    path = folder / "rnnbench.lock"
    holder_path = folder / "rnnbench.lock.json"
    lock = FileLock(path, mode=0o666)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say(f"{_holder(holder_path)} is measuring on this machine; waiting until it is done (Ctrl-C to stop)")
        lock.acquire()
    try:
        started = datetime.now(UTC).isoformat(timespec="seconds")
        with contextlib.suppress(OSError):
            # Only for the message above; another user's file may stand there.
            holder_path.write_text(json.dumps({"pid": os.getpid(), "what": what, "since": started}), encoding="utf-8")
        yield
    finally:
        lock.release()


def _holder(path: Path) -> str:
    """Who holds the lock, as far as it was written down."""
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
        return f"{holder['what']} (process {holder['pid']}, since {holder['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
