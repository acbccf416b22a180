"""The problem sizes that published RNN benchmarks use, as sweeps by origin.

`data/workloads.csv` holds them, a row a size; `data/README.md` says where each comes from.
"""

from __future__ import annotations

import csv
import functools
import importlib.resources
import re
from collections.abc import Mapping
from types import MappingProxyType

from benchmarks.sweeps.grid import Grid, Sweep
from benchmarks.workload import MODES

BUDGET_SECONDS = 1800.0
"""Published sizes were chosen for GPUs: on a CPU a single training step of the larger ones takes seconds."""

_CELL = "rnn"


def slug(origin: str) -> str:
    """The name under which an origin is selected: `Persistent RNN` is `persistent-rnn`."""
    return re.sub(r"[^a-z0-9]+", "-", origin.lower()).strip("-")


@functools.cache
def published_names() -> tuple[str, ...]:
    """The origins that have sizes of vanilla RNNs, as `published_sweep` takes them."""
    return tuple(name for name, rows in _rows().items() if any(row["cell"] == _CELL for row in rows))


@functools.cache
def unmeasured_names() -> tuple[str, ...]:
    """The origins whose sizes are all of cells that are not measured yet."""
    return tuple(name for name in _rows() if name not in published_names())


def published_sweep(name: str) -> Sweep:
    """The sizes of one origin, each in the modes in which it was published.

    Raises ValueError for an origin that has only cells that are not measured yet, KeyError for one that is not
    known.
    """
    rows = _rows()[name]
    origin = rows[0]["origin"]
    grids = tuple(_grid(row) for row in rows if row["cell"] == _CELL)
    if not grids:
        cells = " and ".join(sorted({row["cell"].upper() for row in rows}))
        raise ValueError(
            f"the sizes of {origin} are for {cells}, and these cells are not measured yet, only vanilla RNNs: "
            f"choose one of {', '.join(published_names())}"
        )
    return Sweep(
        name=name,
        summary=f"The problem sizes of {origin}, vanilla RNN",
        grids=grids,
        budget_seconds=BUDGET_SECONDS,
    )


@functools.cache
def _rows() -> Mapping[str, tuple[Mapping[str, str], ...]]:
    """The rows of the table by the slug of their origin, in the order of the file."""
    table = importlib.resources.files("benchmarks") / "data" / "workloads.csv"
    rows: dict[str, list[Mapping[str, str]]] = {}
    for row in csv.DictReader(table.read_text(encoding="utf-8").splitlines()):
        rows.setdefault(slug(row["origin"]), []).append(row)
    return MappingProxyType({name: tuple(of_one) for name, of_one in rows.items()})


def _grid(row: Mapping[str, str]) -> Grid:
    point = {letter: int(row[letter]) for letter in "TBIHL"}
    modes = [mode for mode in MODES if row["mode"] in (mode, "both")]
    return Grid.from_mapping({"mode": modes, "bidirectional": row["bidirectional"] == "1", **point})
