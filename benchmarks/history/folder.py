"""The files of a history: `FOLDER/MACHINE/processes.jsonl`, one line a process, in a form that git merges.

Lines are only added, each on disk before the next group begins, and each is complete without the others.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from benchmarks.files import check_no_link, make_named, open_to_append
from benchmarks.history.record import Measurement
from benchmarks.json_lines import append_line, read_lines
from benchmarks.store import StoreError, explained

HISTORY = Path("results/history")
"""The folder of a project's history, from the top of its checkout."""
_FILE = "processes.jsonl"


def append(folder: Path, machine: str, measurement: Measurement) -> None:
    """Add one process to a machine's history; it is on disk when this returns. Raises StoreError where it cannot be."""
    with explained(folder, "create"):
        make_named(folder)
    append_line(folder / machine / _FILE, measurement.to_json(), "a process", within=folder)


def check(folder: Path, machine: str) -> None:
    """Raise StoreError where a machine's history cannot be added to, or its file is another program's."""
    path = folder / machine / _FILE
    with explained(path, "write a process to"):
        check_no_link(folder, machine)
        if os.path.lexists(path):
            open_to_append(folder, f"{machine}/{_FILE}").close()
    processes, problems = read(folder, machine)
    if problems and not processes:
        raise StoreError(
            f"{path} holds no record of a process ({problems[0]}): nothing was changed, name another --history"
        )


def read(folder: Path, machine: str) -> tuple[list[Measurement], list[str]]:
    """The processes of one machine, and a sentence for each other line; both are empty where there is no file."""
    return read_lines(folder / machine / _FILE, Measurement.from_json, "a process's record")


def collect(folders: Sequence[Path], target: Path) -> dict[str, int]:
    """Add the processes of other histories to a history; {machine: how many were added}.

    Processes that it has already, by their group and revision, are not added again. Raises StoreError where a history
    cannot be read, or `target` cannot be added to.
    """
    added: dict[str, int] = {}
    for folder in folders:
        for path in sorted(folder.glob(f"*/{_FILE}")):
            machine = path.parent.name
            check(target, machine)
            known = {(each.group, each.revision) for each in read(target, machine)[0]}
            for each in read(folder, machine)[0]:
                if (each.group, each.revision) not in known:
                    append(target, machine, each)
                    added[machine] = added.get(machine, 0) + 1
    return added


def machines(folder: Path) -> list[str]:
    """The machines that have a history in the folder. Raises StoreError where none has."""
    found = sorted(path.parent.name for path in folder.glob(f"*/{_FILE}"))
    if not found:
        raise StoreError(
            f"{folder} holds no history yet: measure a revision by `python -m benchmarks track --rev HEAD`"
        )
    return found
