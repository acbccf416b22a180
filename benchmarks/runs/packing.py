"""A run in one file, to hand to others: its record, its trials, and what the page shows of it.

The file is gzip of JSON lines. The first is {"pack": 1, "record": what `run.json` holds}, the second {"page": the data
of the page}, each further one a trial as `trials.jsonl` has it. Reading takes the record and the trials alone, as data
of bounded size, and executes nothing; a page in a browser takes the second line alone.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.files import StoreError, explained, write
from benchmarks.json_lines import read_lines, to_json
from benchmarks.quoting import quoted
from benchmarks.store import StoredTrials, check_record, open_run
from benchmarks.stored_trial import parse_trial
from benchmarks.trial import Trial

SUFFIX = ".rnnbench.gz"
SCHEMA = 1
"""1: the first."""


def is_pack(path: Path) -> bool:
    """Whether the name is that of a packed run."""
    return path.name.endswith(SUFFIX)


def pack_stem(path: Path) -> str:
    """The file's name without the ending of packed runs."""
    return path.name.removesuffix(SUFFIX)


def write_pack(folder: Path, page: Mapping[str, Any], target: Path) -> int:
    """Write the run of a folder into a new file; the bytes of it. `page` is what `page_data` says of that run.

    Raises StoreError where the folder holds no run, one of its lines is no trial, the name does not end in `SUFFIX`, or
    something has that name already.
    """
    if not is_pack(target) or not pack_stem(target):
        raise StoreError(f"{target} is no name of a packed run; expected one that ends in {SUFFIX}")
    run = open_run(folder)
    reading = run.read()
    if reading.problems:
        raise StoreError(f"{reading.problems[0]}: nothing was written; remove the line to pack the rest")
    head: list[Mapping[str, Any]] = [{"pack": SCHEMA, "record": run.record}, {"page": page}]
    lines = [*map(to_json, head), *(to_json(trial.to_json()) for trial in reading.trials)]
    packed = gzip.compress("".join(f"{line}\n" for line in lines).encode(), compresslevel=9, mtime=0)
    with explained(target, "write"):
        write(target.parent, target.name, packed, replace=False)
    return len(packed)


def read_pack(path: Path) -> tuple[Mapping[str, Any], StoredTrials]:
    """The record and the trials of a packed run. Raises StoreError where the file cannot be read or is none."""
    if not path.exists():
        raise StoreError(f"{path} does not exist; expected a file that `python -m benchmarks pack` writes")
    found, problems = read_lines(path, _parse_line, "a line of a packed run")
    if not found or not isinstance(found[0], dict):
        reason = f" ({problems[0]})" if problems else ""
        raise StoreError(f"{path} is no packed run{reason}; expected a file that `python -m benchmarks pack` writes")
    schema, record = found[0].get("pack"), found[0].get("record")
    if schema != SCHEMA:
        raise StoreError(
            f"{path} has schema {quoted(schema)} of packed runs, and this version knows {SCHEMA}: use the version that "
            "wrote it or a later one"
        )
    check_record(path, record)
    assert isinstance(record, dict)
    return record, StoredTrials([each for each in found[1:] if isinstance(each, Trial)], problems)


def _parse_line(line: Any) -> Trial | Mapping[str, Any] | None:
    """A trial, the first line's mapping, or nothing of the page's data."""
    if "page" in line:
        return None
    return line if "pack" in line else parse_trial(line)
