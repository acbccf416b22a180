"""Reading files of strangers as data: regular files alone, of bounded size, JSON of bounded numbers and depth."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

LARGEST_FILE = 2**26
"""Bytes of a file that is read as a whole, and of a line of one that is read line by line."""
MOST_DIGITS = 30
"""Digits of a whole number; this project writes shorter ones, and floats, tables and plots take no longer ones."""
DEEPEST = 50
"""Nested mappings and lists; records are processed by recursion."""


def open_regular(path: Path) -> BinaryIO:
    """Open a file for reading. Raises OSError where it cannot be opened or is not regular: a named pipe would block."""
    # O_NONBLOCK keeps a pipe without a writer from blocking; it does not affect a regular file.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    file = os.fdopen(descriptor, "rb")
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        file.close()
        raise OSError(None, "Is a directory or a special file, no regular one", str(path))
    return file


def read_whole(path: Path, most: int = LARGEST_FILE) -> bytes:
    """The content of a file. Raises OSError as `open_regular`, and ValueError where it has more bytes than `most`."""
    with open_regular(path) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"it has more than {most} bytes")
    return content


def lines_of(file: BinaryIO) -> Iterator[bytes]:
    """The lines of a file, with their ends; of a line longer than `LARGEST_FILE` the beginning without an end."""
    while line := file.readline(LARGEST_FILE):
        yield line
        while line and len(line) == LARGEST_FILE and not line.endswith(b"\n"):
            line = file.readline(LARGEST_FILE)


def parse_json(content: bytes) -> Any:
    """The value of a JSON text in UTF-8. Raises ValueError, also for long numbers and deep nesting."""
    try:
        value = json.loads(content.decode("utf-8-sig"), parse_int=_whole_number)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    # Most records have too few brackets to be nested too deeply.
    if content.count(b"[") + content.count(b"{") > DEEPEST and _depth(value) > DEEPEST:
        raise ValueError(f"it is nested more than {DEEPEST} deep")
    return value


def _whole_number(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise ValueError(f"a whole number has {len(digits)} digits; expected at most {MOST_DIGITS}")
    return int(digits)


def _depth(value: Any) -> int:
    """The depth of nested mappings and lists, level by level: recursion could be too deep."""
    level, depth = [value], 0
    while level := [each for each in level if isinstance(each, list | dict)]:
        depth += 1
        level = [inner for each in level for inner in (each.values() if isinstance(each, dict) else each)]
    return depth
