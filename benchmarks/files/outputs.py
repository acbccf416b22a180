"""The files that a command writes into a folder and may replace when it is run again: its own, and no others.

A file is the command's own when its bytes are those that the command wrote: `.rnnbench-files.json` in the folder holds
a digest of each. A file by the same name that the user made, or has changed, is refused in a sentence before anything
is computed; files by other names are never touched. In a folder of a version before this record, the command's own are
the regular files by the names that it writes.

New files are made in a hidden folder beside the old ones and take their places at the end, so that a command that fails
or is killed leaves the old ones whole.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.files.scratch import abandoned, scratch_folder
from benchmarks.files.writing import (
    StoreError,
    directory,
    explained,
    file_kind,
    make_named,
    open_to_read,
    remove,
    write,
)

RECORD_FILE = ".rnnbench-files.json"
SCHEMA = 1
"""1: the first."""
_ABOUT = "written by `python -m benchmarks`, which replaces or removes these files alone, as long as they are unchanged"
_LARGEST_RECORD = 16 << 20
_STAGED = "new"
_MOST_NAMED = 5


@dataclasses.dataclass(frozen=True)
class CommandFiles:
    """The files of one command in its folder."""

    command: str
    names: re.Pattern[str]
    """Every name below the folder that the command may write, such as `plots/speedup.png`."""
    folders: tuple[str, ...] = ()
    """The folders below it that hold its files, each after its parent."""
    is_earlier: Callable[[Path], bool] = lambda _: False
    """Whether a version of the command that kept no record of its files wrote into this folder."""


def check_outputs(folder: Path, files: CommandFiles) -> None:
    """Raise StoreError where a file that is not the command's own is in the place of its output. Changes nothing."""
    with explained(folder, f"write the files of {files.command} to"):
        _own_files(folder, files)


@contextlib.contextmanager
def replacing(folder: Path, files: CommandFiles) -> Iterator[Path]:
    """A hidden folder for the command's files; when the block ends they take the places of earlier ones.

    Files of an earlier run that this one did not write are removed. Where the block raises, nothing has changed. Raises
    StoreError as `check_outputs` does, at the beginning and at the end.
    """
    with explained(folder, f"write the files of {files.command} to"):
        make_named(folder)
        _own_files(folder, files)
        for _ in abandoned(_STAGED, within=folder):
            pass
        with scratch_folder(_STAGED, within=folder) as staged:
            yield staged
            _publish(staged, folder, files)


def _publish(staged: Path, folder: Path, files: CommandFiles) -> None:
    """Put staged files in their places. The record names the old and the new bytes as long as either may be there."""
    new = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in _staged_files(staged, files)}
    old = _own_files(folder, files)
    either = {name: old.get(name, set()) | {new[name]} for name in new}
    _record(folder, files, old | either)
    for name in new:
        with directory(staged, name) as (source, last), directory(folder, name) as (target, _):
            os.replace(last, last, src_dir_fd=source, dst_dir_fd=target)
    for name in old.keys() - new.keys():
        remove(folder, name)
    _record(folder, files, {name: {digest} for name, digest in new.items()})


def _staged_files(staged: Path, files: CommandFiles) -> list[tuple[str, Path]]:
    found = [(path.relative_to(staged).as_posix(), path) for path in sorted(staged.rglob("*")) if path.is_file()]
    own = [(name, path) for name, path in found if not name.startswith("rnnbench-")]
    unforeseen = [name for name, _ in own if not files.names.fullmatch(name)]
    assert not unforeseen, f"{files.command} writes {unforeseen}, which its names do not foresee"
    return own


def _own_files(folder: Path, files: CommandFiles) -> dict[str, set[str]]:
    """{name: digests} of the command's own files. Raises StoreError where any other file has one of its names."""
    recorded = _recorded(folder).get(files.command)
    is_earlier = recorded is None and files.is_earlier(folder)
    own: dict[str, set[str]] = {}
    in_the_way: list[str] = []
    for name, mode in _present(folder, files):
        if not stat.S_ISREG(mode):
            in_the_way.append(f"{name} ({file_kind(mode)})")
            continue
        with open_to_read(folder, name) as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if is_earlier or digest in (recorded or {}).get(name, ()):
            own[name] = {digest}
        else:
            in_the_way.append(name)
    if in_the_way:
        more = f" and {len(in_the_way) - _MOST_NAMED} more" if len(in_the_way) > _MOST_NAMED else ""
        raise StoreError(
            f"{folder} holds {', '.join(in_the_way[:_MOST_NAMED])}{more}, where {files.command} would write; it did "
            "not write that, or it was changed since: nothing was changed, choose another --out, or move that away"
        )
    return own


def _present(folder: Path, files: CommandFiles) -> Iterator[tuple[str, int]]:
    """Name and mode of the files in the command's places, and of non-folders in the places of its folders."""
    for below in ("", *files.folders):
        try:
            with directory(folder, f"{below}/any" if below else "any", make=False) as (descriptor, _):
                entries = [(each.name, each.stat(follow_symlinks=False).st_mode) for each in os.scandir(descriptor)]
        except (FileNotFoundError, NotADirectoryError):
            continue
        for last, mode in sorted(entries):
            name = f"{below}/{last}" if below else last
            if files.names.fullmatch(name) or (name in files.folders and not stat.S_ISDIR(mode)):
                yield name, mode


def _recorded(folder: Path) -> dict[str, dict[str, list[str]]]:
    """{command: {name: digests}} of the folder's record, empty where there is none."""
    try:
        with open_to_read(folder, RECORD_FILE) as file:
            content = file.read(_LARGEST_RECORD)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    try:
        record = json.loads(content)
        schema = record["schema"]
        written = {
            str(command): {str(name): [str(digest) for digest in digests] for name, digests in files.items()}
            for command, files in record["written"].items()
        }
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise StoreError(
            f"{folder / RECORD_FILE} does not say what was written here ({type(error).__name__}): nothing was changed, "
            "choose another --out, or remove it with the files of an earlier run"
        ) from error
    if schema != SCHEMA:
        raise StoreError(
            f"{folder / RECORD_FILE} has schema {str(schema)[:50]}; this version knows {SCHEMA}: nothing was changed, "
            "choose another --out"
        )
    return written


def _record(folder: Path, files: CommandFiles, digests: Mapping[str, set[str]]) -> None:
    written = _recorded(folder) | {files.command: {name: sorted(digests[name]) for name in sorted(digests)}}
    content: dict[str, Any] = {"schema": SCHEMA, "about": _ABOUT, "written": dict(sorted(written.items()))}
    write(folder, RECORD_FILE, json.dumps(content, indent=1) + "\n")
