"""The problem sizes of published RNN benchmarks, as sweeps by origin.

`data/workloads.csv` holds them, a row a size; `data/README.md` says where each comes from.
"""

from __future__ import annotations

import csv
import functools
import importlib.resources
import re
from collections.abc import Mapping
from types import MappingProxyType

from benchmarks import program
from benchmarks.sweeps.grid import Grid, Sweep
from benchmarks.workload import DEFAULT_MODES
from rnnimpl.interface import CellName

BUDGET_SECONDS = 1800.0
"""Published sizes were chosen for GPUs: on a CPU a single training step of the larger ones takes seconds."""

CELLS: Mapping[str, CellName] = MappingProxyType({"rnn": "tanh", "lstm": "lstm", "gru": "gru"})
"""The cell that is measured for each that a row can name. Most origins do not say which function their RNN applies."""


def slug(origin: str) -> str:
    """The name that selects an origin: `Persistent RNN` is `persistent-rnn`."""
    return re.sub(r"[^a-z0-9]+", "-", origin.lower()).strip("-")


@functools.cache
def published_names() -> tuple[str, ...]:
    """The arguments of `published_sweep`: each origin, and ORIGIN-CELL where an origin has sizes of several cells."""
    names = []
    for origin, rows in _rows().items():
        cells = dict.fromkeys(row["cell"] for row in rows)
        names += [origin, *(f"{origin}-{cell}" for cell in cells if len(cells) > 1)]
    return tuple(names)


def published_sweep(name: str) -> Sweep:
    """The sizes of one origin, or of one cell in it, each with its cell and the modes that it was published for.

    Raises KeyError for a name that is not one of `published_names`.
    """
    if name not in published_names():
        raise KeyError(name)
    rows = _rows().get(name)
    if rows is None:
        origin, _, cell = name.rpartition("-")
        rows = tuple(row for row in _rows()[origin] if row["cell"] == cell)
    cells = " and ".join(row_cell.upper() for row_cell in dict.fromkeys(row["cell"] for row in rows))
    return Sweep(
        name=name,
        summary=f"The problem sizes of {rows[0]['origin']}, {cells}",
        grids=tuple(map(_grid, rows)),
        budget_seconds=BUDGET_SECONDS,
    )


@functools.cache
def _rows() -> Mapping[str, tuple[Mapping[str, str], ...]]:
    """The rows of the table by the slug of their origin, in the order of the file."""
    table = importlib.resources.files(program.PACKAGE) / "data" / "workloads.csv"
    rows: dict[str, list[Mapping[str, str]]] = {}
    for row in csv.DictReader(table.read_text(encoding="utf-8").splitlines()):
        rows.setdefault(slug(row["origin"]), []).append(row)
    return MappingProxyType({name: tuple(of_one) for name, of_one in rows.items()})


def _grid(row: Mapping[str, str]) -> Grid:
    point = {letter: int(row[letter]) for letter in "TBIHL"}
    modes = [mode for mode in DEFAULT_MODES if row["mode"] in (mode, "both")]
    return Grid.from_mapping(
        {"mode": modes, "bidirectional": row["bidirectional"] == "1", "cell": CELLS[row["cell"]], **point}
    )
