"""Copy a folder or file of one tree into another in place of what is there, without leaving either tree.

Links are copied as links: one that leads to a place in the first tree leads to the same place in the second. So a suite
that links to the project's code gets the code of its own revision.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import stat
from collections.abc import Collection
from pathlib import Path

from benchmarks.files.writing import explained, file_kind, open_to_read, parts, remove

_MOST_NOTES = 5


@dataclasses.dataclass(frozen=True)
class _Trees:
    """The top of the tree that is read, the top of the tree that is written, and sentences on differences."""

    source: Path
    target: Path
    notes: list[str]
    left_out: Collection[str]


def copy_across(source: Path, target: Path, name: str, *, left_out: Collection[str] = ("__pycache__",)) -> list[str]:
    """Copy the file or folder `name`, a path from the top, of the tree `source` to that of the tree `target`.

    What is there in `target` is removed first. Returns sentences on what could not be copied as it is.

    Files and folders with a name of `left_out` are not copied. Raises ValueError, and changes nothing, where the name
    leads out of the second tree or is that of the tree itself.
    """
    trees = _Trees(source.resolve(), target.resolve(), [], left_out)
    *parents, last = parts(name)
    parent = _resolved_inside(trees.target, trees.target.joinpath(*parents), name)
    place = parent / last
    if place.is_symlink():
        _resolved_inside(trees.target, place, name)
    with explained(place, "copy files into"):
        for above in (parent, *parent.parents):
            # A file, where the other tree has a folder.
            if above.is_relative_to(trees.target) and above.is_file():
                remove(above.parent, above.name)
        parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            _remove(descriptor, last)
            _copy(trees, trees.source.joinpath(*parents, last), descriptor, place)
        finally:
            os.close(descriptor)
    more = len(trees.notes) - _MOST_NOTES
    return [*trees.notes[:_MOST_NOTES], *([f"and {more} more such files in {name}"] if more > 0 else [])]


def _resolved_inside(tree: Path, place: Path, name: str) -> Path:
    """The path with links resolved. Raises ValueError where it is not in the tree."""
    try:
        resolved = place.resolve()
    except (OSError, RuntimeError):  # links in a circle
        resolved = None
    if resolved is None or not resolved.is_relative_to(tree):
        leads_to = "in a circle" if resolved is None else f"to {resolved}"
        raise ValueError(
            f"{name} leads out of {tree} by a link, {leads_to}; expected a place in it: nothing there was changed, "
            "leave this revision out or name another suite"
        )
    return resolved


def _remove(parent: int, last: str) -> None:
    """Remove a folder with its content, or a file, or a link and not its target."""
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISDIR(os.stat(last, dir_fd=parent, follow_symlinks=False).st_mode):
            shutil.rmtree(last, dir_fd=parent)
        else:
            os.unlink(last, dir_fd=parent)


def _copy(trees: _Trees, here: Path, parent: int, place: Path) -> None:
    """Copy a file, folder or link to the last part of `place`, which is in the opened folder and does not exist."""
    mode = here.lstat().st_mode
    if stat.S_ISLNK(mode):
        _copy_link(trees, here, parent, place)
    elif stat.S_ISDIR(mode):
        os.mkdir(place.name, 0o777, dir_fd=parent)
        within = os.open(place.name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
        try:
            for each in sorted(here.iterdir()):
                if each.name not in trees.left_out:
                    _copy(trees, each, within, place / each.name)
        finally:
            os.close(within)
    elif stat.S_ISREG(mode):
        with open_to_read(here.parent, here.name) as content:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            with os.fdopen(os.open(place.name, flags, 0o666, dir_fd=parent), "wb") as copy:
                shutil.copyfileobj(content, copy)
                os.fchmod(copy.fileno(), stat.S_IMODE(mode) & 0o777)
    else:
        trees.notes.append(f"{here} is {file_kind(mode)} and was passed over")


def _copy_link(trees: _Trees, here: Path, parent: int, place: Path) -> None:
    try:
        leads_to = here.resolve(strict=True)
    except (OSError, RuntimeError):
        trees.notes.append(f"{here} is a link that leads nowhere and was passed over")
        return
    if leads_to.is_relative_to(trees.source):
        same = trees.target / leads_to.relative_to(trees.source)
        os.symlink(os.path.relpath(same, place.parent), place.name, dir_fd=parent)
    else:
        trees.notes.append(f"{here} is a link out of the checkout: every revision meets what is in {leads_to} now")
        os.symlink(leads_to, place.name, dir_fd=parent)
