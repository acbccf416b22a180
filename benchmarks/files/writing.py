"""Write, append to and remove single files so that no link is followed and a reader never sees half a file.

A place is a folder and a name in it, such as `plots/speedup.png`. The folder is the user's choice, and a link that
leads to it is followed. Everything below it is opened step by step, and a link on the way is refused, so that nothing
outside of the folder is reached.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import secrets
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

_KINDS = {
    stat.S_IFLNK: "a link",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class StoreError(Exception):
    """A folder or file cannot be read or written; the message names it, what was found and what to do."""


def write(folder: Path, name: str, content: bytes | str, *, replace: bool = True, durable: bool = False) -> None:
    """Write a file in one step, and the folders below `folder` that its name needs: all of it, or nothing.

    An existing regular file is replaced and its permissions stay, or with `replace=False` it is refused. With `durable`
    the file is on disk on return.
    Raises StoreError for a link or anything else that is no regular file, OSError for an error of the system.
    """
    data = content.encode() if isinstance(content, str) else content
    with directory(folder, name) as (parent, last):
        mode = _check_replaceable(folder / name, parent, last, replace=replace)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        # A new file gets its name at once, so a file that another process makes meanwhile is an error.
        written = f".{last[:100]}.{secrets.token_hex(6)}" if replace else last
        descriptor = os.open(written, flags, 0o666, dir_fd=parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                if mode is not None:
                    os.fchmod(descriptor, stat.S_IMODE(mode))
                file.write(data)
                file.flush()
                if durable:
                    os.fsync(descriptor)
            if replace:
                os.replace(written, last, src_dir_fd=parent, dst_dir_fd=parent)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(written, dir_fd=parent)
            raise


def append(folder: Path, name: str, line: bytes) -> None:
    """Add a line, which ends in a newline, to a file; it is on disk on return. A torn last line is ended first.

    Raises StoreError for a link, for a file with a second name, and for anything that is no regular file.
    """
    with open_to_append(folder, name) as file:
        descriptor = file.fileno()
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            line = b"\n" + line  # a kill or a full disk tore the line before
        while line:
            line = line[os.write(descriptor, line) :]
        os.fsync(descriptor)


def open_to_append(folder: Path, name: str) -> BinaryIO:
    """A file open for appending, made where it is missing. Raises as `append` does."""
    with directory(folder, name) as (parent, last):
        # O_NONBLOCK: opening a named pipe that nobody reads would block.
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            descriptor = os.open(last, flags, 0o666, dir_fd=parent)
        except OSError as error:
            raise _explained(error, folder / name, parent, last) from error
    found = os.fstat(descriptor)
    if stat.S_ISREG(found.st_mode) and found.st_nlink <= 1:
        return os.fdopen(descriptor, "ab", buffering=0)
    os.close(descriptor)
    if not stat.S_ISREG(found.st_mode):
        raise StoreError(_refusal(folder / name, found.st_mode))
    raise StoreError(
        f"{folder / name} has {found.st_nlink} names (hard links), and what is added would be added to all of them; "
        "expected a file of its own: nothing was changed, put a copy in its place"
    )


def append_to_named(path: Path, text: str) -> None:
    """Add text to a file that the user named as a file, wherever a link leads: CI's job summary.

    Raises OSError where it cannot be written, and for a named pipe that nobody reads.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK, 0o666)
    os.set_blocking(descriptor, True)
    with os.fdopen(descriptor, "wb") as file:
        file.write(text.encode())


def make_named(folder: Path) -> None:
    """Make a folder that the user named, and its parents; a link that leads there is followed."""
    folder.mkdir(parents=True, exist_ok=True)


def make_folder(folder: Path, name: str) -> Path:
    """A folder below another, made where it is missing. Raises StoreError where a link or a file is in the way."""
    with directory(folder, f"{name}/any"):
        return folder / name


def remove(folder: Path, name: str) -> None:
    """Remove a file, or a link itself; a missing file is no error."""
    with contextlib.suppress(FileNotFoundError), directory(folder, name, make=False) as (parent, last):
        os.unlink(last, dir_fd=parent)


def open_to_read(folder: Path, name: str) -> io.BufferedReader:
    """A regular file, opened without blocking on a named pipe and without following links.

    Raises StoreError for a link and for anything that is no regular file.
    """
    with directory(folder, name, make=False) as (parent, last):
        try:
            descriptor = os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=parent)
        except OSError as error:
            raise _explained(error, folder / name, parent, last) from error
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        os.close(descriptor)
        raise StoreError(_refusal(folder / name, found.st_mode))
    return open(descriptor, "rb")  # noqa: PTH123  # an open descriptor has no path


def check_no_link(folder: Path, name: str) -> None:
    """Raise StoreError where a folder of this name below another is a link or no folder. It may be missing."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), directory(folder, f"{name}/any", make=False):
        pass


@contextlib.contextmanager
def directory(folder: Path, name: str, *, make: bool = True) -> Iterator[tuple[int, str]]:
    """A descriptor of the folder that holds a file of this name, and the last part of the name.

    With `make`, missing folders below `folder` are made. Raises StoreError where a link or a file is in the way.
    """
    *parents, last = parts(name)
    current = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        path = folder
        for part in parents:
            path /= part
            if make:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(part, dir_fd=current)
            try:
                below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=current)
            except OSError as error:
                # Linux reports a link that is opened as a folder as ENOTDIR.
                if error.errno in (errno.ENOTDIR, errno.ELOOP):
                    mode = os.stat(part, dir_fd=current, follow_symlinks=False).st_mode
                    raise StoreError(_refusal(path, mode, expected="a folder")) from error
                raise
            os.close(current)
            current = below
        yield current, last
    finally:
        os.close(current)


def parts(name: str) -> tuple[str, ...]:
    """The parts of a name below a folder. Raises ValueError for one that leads out of it."""
    found = PurePosixPath(name).parts
    if not found or found[0] == "/" or ".." in found or "\0" in name:
        raise ValueError(f"{name!r} is no name of something in a folder")
    return found


def check_writable(option: str, folder: Path) -> None:
    """Make the folder that an option names. Raises StoreError when nothing can be written there."""
    try:
        make_named(folder)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise StoreError(
            f"{option} is {folder}, where nothing can be written: {error.strerror or error}; expected a folder"
        ) from error


@contextlib.contextmanager
def folder_for(option: str, folder: Path) -> Iterator[None]:
    """Make the folder that an option names, and remove it again where the block raises and left it empty.

    Raises StoreError when nothing can be written there.
    """
    is_new = not folder.exists()
    check_writable(option, folder)
    try:
        yield
    except BaseException:
        if is_new:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise


@contextlib.contextmanager
def explained(path: Path, action: str) -> Iterator[None]:
    """Turn an OSError of the block into a StoreError that says what could not be done, why, and what helps."""
    try:
        yield
    except OSError as error:
        if isinstance(error, FileNotFoundError) and action.startswith("write") and not path.parent.exists():
            raise StoreError(
                f"cannot {action} {path}: its folder is gone, and what was measured with it; expected that nothing "
                "removes a run while it is measured, which one of its implementations may have done: sweep again"
            ) from error
        raise StoreError(
            f"cannot {action} {path}: {error.strerror or error}. What was written before is whole: "
            "free space or allow writing, or choose another folder; a sweep goes on with sweep --resume FOLDER"
        ) from error


def file_kind(mode: int) -> str:
    """The kind of a file by its mode: a link, a folder, a named pipe."""
    return _KINDS.get(stat.S_IFMT(mode), "a file")


def _explained(error: OSError, path: Path, parent: int, last: str) -> Exception:
    """Why a file cannot be opened, where it is a link or a socket; else the system's message."""
    if error.errno not in (errno.ELOOP, errno.ENXIO):
        return error
    return StoreError(_refusal(path, os.stat(last, dir_fd=parent, follow_symlinks=False).st_mode))


def _check_replaceable(path: Path, parent: int, last: str, *, replace: bool) -> int | None:
    """The mode of the file that is there; None where none is. Raises StoreError where it cannot be replaced."""
    try:
        mode = os.stat(last, dir_fd=parent, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(mode):
        raise StoreError(_refusal(path, mode))
    if not replace:
        raise StoreError(f"{path} is there already; expected a new file: nothing was changed, choose another folder")
    return mode


def _refusal(path: Path, mode: int, expected: str = "a file of its own") -> str:
    found = file_kind(mode)
    where = ""
    if found == "a link":
        with contextlib.suppress(OSError):
            where = f" to {path.readlink()}"
    return (
        f"{path} is {found}{where}; expected {expected}: links are not followed there and nothing was changed, "
        "remove it or choose another folder"
    )
