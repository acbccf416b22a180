"""Files of JSON lines: a record is on disk when it is appended, and a line that a kill tore costs itself alone.

A file whose name ends in `.xz` or `.gz` is compressed by LZMA or gzip, and read in the same way.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import lzma
import math
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

from benchmarks.files import StoreError, append, explained, remove, write
from benchmarks.reading import LARGEST_FILE, lines_of, open_regular, parse_json

Record = TypeVar("Record")

COMPRESSED = ".xz"
"""What is added to the name of a file of lines for its compressed part."""
MOST_UNPACKED = 2**30
"""Bytes that are read of a compressed file: a few kilobytes can unpack to any number."""
_OPENERS: Mapping[str, Callable[..., Any]] = {COMPRESSED: lzma.open, ".gz": gzip.open}


def append_line(path: Path, record: Mapping[str, Any], what: str, within: Path | None = None) -> None:
    """Add one record to a file of JSON lines; it is on disk on return.

    Missing folders are made below `within`, the file's folder by default, and no link is followed there. Raises
    StoreError, which calls the record `what`, when it cannot be written.
    """
    with explained(path, f"write {what} to"):
        append(within or path.parent, str(path.relative_to(within or path.parent)), to_json(record).encode() + b"\n")


def read_lines(path: Path, parse: Callable[[Any], Record], what: str) -> tuple[list[Record], list[str]]:
    """The result of `parse` for each line's JSON, and a sentence for each line that is not `what`, but a torn last one.

    `parse` raises ValueError, TypeError, LookupError, AttributeError or ArithmeticError for a record that it refuses. A
    missing file has no lines. Raises StoreError when the file cannot be read.
    """
    found: list[Record] = []
    problems: list[str] = []
    if not path.exists():
        return found, problems
    with explained(path, "read"), _open(path, problems) as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                found.append(parse(parse_json(line)))
            except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
                if line.endswith(b"\n") or len(line) >= LARGEST_FILE:
                    reason = f"{type(error).__name__}: {error}"
                    problems.append(f"{path}, line {number}: not {what}, passed over ({reason[:200]})")
    return found, problems


@contextlib.contextmanager
def _open(path: Path, problems: list[str]) -> Iterator[Iterator[bytes]]:
    """The lines of a file; a sentence is added to the problems where it cannot be unpacked to its end."""
    with open_regular(path) as file:
        yield _unpacked(path, file, problems) if path.suffix in _OPENERS else lines_of(file)


def _unpacked(path: Path, file: BinaryIO, problems: list[str]) -> Iterator[bytes]:
    size = 0
    try:
        with _OPENERS[path.suffix](file, "rb") as unpacked:
            for line in lines_of(cast(BinaryIO, unpacked)):
                size += len(line)
                if size > MOST_UNPACKED:
                    problems.append(f"{path}: the rest is passed over (it unpacks to more than {MOST_UNPACKED} bytes)")
                    return
                yield line
    except (lzma.LZMAError, zlib.error, gzip.BadGzipFile, EOFError) as error:
        problems.append(f"{path}: the rest is passed over ({type(error).__name__}: {error})")


def raw_lines(path: Path) -> list[bytes]:
    """The lines of a file as they were written, without the blank ones; none of a missing file.

    Raises StoreError when the file cannot be read or unpacked.
    """
    if not path.exists():
        return []
    problems: list[str] = []
    with explained(path, "read"), _open(path, problems) as lines:
        found = [line for line in lines if line.strip()]
    if problems:
        raise StoreError(problems[0])
    return found


def lines_of_both(folder: Path, name: str) -> list[bytes]:
    """The lines of a file's compressed part and of what was added since, as they were written.

    A line that a kill in `compress_lines` left in both is there once. Raises StoreError when a file cannot be read or
    unpacked.
    """
    packed, added = (
        [line if line.endswith(b"\n") else line + b"\n" for line in raw_lines(folder / part)]
        for part in (name + COMPRESSED, name)
    )
    known = set(packed)
    return packed + [line for line in added if line not in known]


def compress_lines(folder: Path, name: str) -> int:
    """Move the lines of a file to its compressed part, `name.xz`; the bytes of that part.

    After a kill every line is in at least one of both. Raises StoreError when a file cannot be read or written.
    """
    packed = lzma.compress(b"".join(lines_of_both(folder, name)), preset=9)
    with explained(folder / (name + COMPRESSED), "write"):
        write(folder, name + COMPRESSED, packed, durable=True)
    with explained(folder / name, "remove"):
        remove(folder, name)
    return len(packed)


def to_json(value: Any, indent: int | None = None) -> str:
    """The value as JSON text; infinities and NaN are strings, and objects of other types are their text."""
    return json.dumps(_finite(value), indent=indent, allow_nan=False, default=_as_builtin)


def _finite(value: Any) -> Any:
    """The value with infinities and NaN as strings that float() reads: JSON has neither."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {str(name): _finite(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return value


def _as_builtin(value: Any) -> Any:
    """NumPy's scalars as Python's; anything else (a path, a version) as its text."""
    return _finite(value.item()) if hasattr(value, "item") else str(value)
