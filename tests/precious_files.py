"""Files that a test must leave as they are, and what could go wrong with them."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path

from benchmarks import files
from benchmarks.files import CommandFiles, replacing

KIND = CommandFiles("draw", re.compile(r"table\.md|plots/(a|b)\.png"), folders=("plots",))
SPECIAL = (
    *("a link", "a link to a folder", "a dangling link", "a link in a circle"),
    *("a folder", "a named pipe", "a socket"),
)
"""What may be in the place of a file, by the names that `put` takes."""


def content(folder: Path) -> dict[str, str]:
    """The text of every file below a folder, and the target of every link, git's own files aside."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        elif ".git" in path.parts:
            continue
        elif path.is_file():
            found[name] = path.read_text()
        elif not path.is_dir():
            found[name] = "special"
    return found


def draw(folder: Path, **written: str) -> None:
    """Write table.md, plots/a.png or plots/b.png as a command does."""
    names = {"table": "table.md", "a": "plots/a.png", "b": "plots/b.png"}
    with replacing(folder, KIND) as staged:
        for name, text in written.items():
            files.write(staged, names[name], text)


def put(kind: str, path: Path, precious: Path) -> None:
    """Something that is no regular file."""
    if kind == "a link":
        path.symlink_to(precious / "thesis.txt")
    elif kind == "a link to a folder":
        path.symlink_to(precious)
    elif kind == "a dangling link":
        path.symlink_to(precious / "new.txt")
    elif kind == "a link in a circle":
        path.symlink_to(path.name)
    elif kind == "a folder":
        path.mkdir()
    elif kind == "a named pipe":
        os.mkfifo(path)
    else:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(path))
