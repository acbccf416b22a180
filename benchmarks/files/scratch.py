"""Temporary folders of a run: they are removed when it ends, and those of a killed run by the next.

The owner of such a folder holds a lock on a file in it. The operating system releases the lock when the process ends,
however it ends, so a folder whose lock is free has no owner. A process number could have been reused; a lock cannot.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

_PREFIX = "rnnbench-"
_OWNED = "rnnbench-owned"


@contextlib.contextmanager
def scratch_folder(kind: str, within: Path | None = None) -> Iterator[Path]:
    """A new folder `rnnbench-KIND-...`, removed with its content when the block ends.

    It is in the system's temporary folder, or hidden `within` another.
    """
    folder = Path(tempfile.mkdtemp(prefix=_prefix(kind, within), dir=within)).resolve()
    lock = os.open(folder / "new", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # It gets its name only once it is locked: another run must not take it for abandoned.
        (folder / "new").rename(folder / _OWNED)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def abandoned(kind: str = "", within: Path | None = None) -> Iterator[Path]:
    """The folders of this user's runs that have ended, one by one; each is removed when the next is asked for.

    They are of one kind, or of all; in the system's temporary folder, or `within` another.
    """
    place = Path(tempfile.gettempdir()) if within is None else within
    for folder in sorted(place.resolve().glob(f"{_prefix(kind, within)}*")):
        lock = _locked(folder)
        if lock is not None:
            try:
                yield folder
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)


def remove_abandoned(kind: str, say: Callable[[str], None]) -> None:
    """Remove the folders of one kind that killed runs of this user left in the system's temporary folder."""
    for folder in abandoned(kind):
        say(f"removing {folder}, left by a run that was killed")


def _prefix(kind: str, within: Path | None) -> str:
    return f"{_PREFIX if within is None else f'.{_PREFIX}'}{f'{kind}-' if kind else ''}"


def _locked(folder: Path) -> int | None:
    """The lock of an abandoned folder; None where its owner lives, or it is no folder of this user's runs."""
    try:
        if folder.is_symlink() or folder.stat().st_uid != os.getuid():
            return None
        lock = os.open(folder / _OWNED, os.O_RDWR | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock
