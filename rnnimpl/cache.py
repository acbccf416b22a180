"""Folders for compiled code below the user's cache, and the check that a file there is safe to load.

Anyone who can write to such a folder or file decides what this process executes. So folders are made for the user
alone, and a file is loaded only if it belongs to the user and nobody else can write to it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path, PurePosixPath

from rnnimpl.interface import Unavailable

VARIABLE = "XDG_CACHE_HOME"
"""The environment variable that names the user's cache: freedesktop.org, "XDG Base Directory Specification"."""


def cache_home() -> Path:
    """$XDG_CACHE_HOME, else ~/.cache. Raises Unavailable where neither names a folder."""
    given = os.environ.get(VARIABLE, "")
    # The specification ignores relative paths.
    if Path(given).is_absolute():
        return Path(given)
    try:
        home = Path.home()
    except RuntimeError as error:
        raise Unavailable(
            f"this user has no home folder to hold a cache: HOME is not set and passwd has no entry; "
            f"set {VARIABLE} to a folder of your own"
        ) from error
    if not home.is_absolute():
        raise Unavailable(f"HOME is {str(home)!r}; expected an absolute path: set it, or set {VARIABLE}")
    return home / ".cache"


def private_folder(name: str) -> Path:
    """The folder `name`, such as `rnnimpl` or `rnnbench/environments`, below the user's cache; made if it is missing.

    Raises Unavailable when it cannot be made, and when others could write to it or to a folder of `name` above it.
    """
    parts = PurePosixPath(name).parts
    assert parts, "a folder needs a name"
    assert not {"/", ".."} & {*parts}, f"{name!r} leaves the cache"
    folder = cache_home()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for part in parts:
            folder = folder / part
            # Anything may have that name; the check below names it.
            with contextlib.suppress(FileExistsError):
                folder.mkdir(mode=0o700)
            check_private(folder)
            if not folder.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
    except OSError as error:
        raise Unavailable(f"the folder {folder} cannot be made: {error}; set {VARIABLE} to another") from error
    return folder


def check_private(path: Path) -> None:
    """Raise Unavailable unless `path` is a file or folder of this user's to which nobody else can write.

    Every link is refused. Raises OSError for a path that does not exist or cannot be opened.
    """
    # Without O_NONBLOCK, opening a named pipe would wait for a writer.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        # ELOOP is POSIX's, EMLINK FreeBSD's.
        if error.errno in (errno.ELOOP, errno.EMLINK):
            raise Unavailable(_refusal(path, "is a link", path)) from error
        if error.errno == errno.EACCES:
            raise Unavailable(_refusal(path, "cannot be read by this user", path)) from error
        raise
    try:
        status = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    # The folder of a file that others could change may hold more of theirs.
    whole = path.parent if stat.S_ISREG(status.st_mode) else path
    if not (stat.S_ISDIR(status.st_mode) or stat.S_ISREG(status.st_mode)):
        raise Unavailable(_refusal(path, "is neither a file nor a folder", whole))
    if status.st_uid != os.geteuid():
        raise Unavailable(_refusal(path, f"belongs to user {status.st_uid}", whole))
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        reason = f"can be written by others: its mode is {stat.S_IMODE(status.st_mode):o}"
        raise Unavailable(_refusal(path, reason, whole))


def _refusal(path: Path, reason: str, remove: Path) -> str:
    """A sentence on an unsafe path. The remedy is to remove it: a new mode would keep what others wrote there."""
    return (
        f"{path} {reason}; code is loaded only from files of this user's alone: remove {remove}, which is made again, "
        f"or set {VARIABLE} to a folder of your own"
    )
