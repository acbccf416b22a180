"""Grid and sweep: sets of workloads as plain frozen values, one tuple of values an axis."""

from __future__ import annotations

import dataclasses
import itertools
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from benchmarks.counts import flops
from benchmarks.quoting import quoted
from benchmarks.sequence_lengths import LENGTHS, LengthsName
from benchmarks.workload import (
    CACHES,
    DEFAULT_MODES,
    DENORMALS,
    DEVICES,
    LARGEST_SIZE,
    MODES,
    MOST_LAYERS,
    OLD_NAMES,
    SIGNALS,
    Caches,
    Denormals,
    Device,
    Mode,
    Signal,
    Workload,
)
from rnnimpl.dtypes import DTYPES, PRECISIONS, Dtype, Precision
from rnnimpl.interface import CELL_NAMES, CellName
from rnnimpl.suggestions import did_you_mean


@dataclasses.dataclass(frozen=True, kw_only=True)
class Grid:
    """The product of its axes. An axis that is not given has the one value named here.

    Raises ValueError, naming the axis, the value and what was expected, when an axis is empty or holds a value that
    makes no workload.
    """

    mode: tuple[Mode, ...] = DEFAULT_MODES
    T: tuple[int, ...] = (64,)
    B: tuple[int, ...] = (16,)
    I: tuple[int, ...] | None = None
    """None: as many input features as hidden units."""
    H: tuple[int, ...] = (256,)
    L: tuple[int, ...] = (1,)
    bidirectional: tuple[bool, ...] = (False,)
    cell: tuple[CellName, ...] = ("tanh",)
    bias: tuple[bool, ...] = (True,)
    dtype: tuple[Dtype, ...] = ("float32",)
    precision: tuple[Precision, ...] = ("ieee",)
    device: tuple[Device, ...] | None = None
    """None: every kind of device that the machine has."""
    threads: tuple[int, ...] | None = None
    """CPU threads of each process. None: one for each physical core that the process may use."""
    processes: tuple[int, ...] | None = (1,)
    """Processes at once. None: one for each physical core that the process may use."""
    caches: tuple[Caches, ...] = ("warm",)
    signal: tuple[Signal, ...] = ("normal",)
    denormals: tuple[Denormals, ...] = ("kept",)
    lengths: tuple[LengthsName, ...] = ("equal",)

    def __post_init__(self) -> None:
        for axis in AXES:
            values = getattr(self, axis)
            if values is None and axis in _MAY_BE_NONE:
                continue
            if not isinstance(values, tuple):
                raise ValueError(f"{axis} is {quoted(values)}; expected a tuple of {_expected(axis)}")
            if not values:
                raise ValueError(f"{axis} is empty; expected one or more values, {_expected(axis)}: leave the axis out")
            for value in values:
                if not _fits(axis, value):
                    raise ValueError(f"{axis} is {quoted(value)}; expected {_expected(axis)}")

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> Grid:
        """A grid from {axis: value or list of values}, the form it has in JSON and in TOML.

        Runs and files of earlier versions call the axis `cell` `nonlinearity`. Raises ValueError for a key that is no
        axis, with the nearest one, and for what the class refuses.
        """
        if "nonlinearity" in mapping and "cell" in mapping:
            raise ValueError("nonlinearity is an old name of the axis cell, which is given too: leave it out")
        axes = {OLD_NAMES.get(key, key): values for key, values in mapping.items()}
        for key in axes:
            check_axis(key)
        return cls(**{axis: as_axis(values) for axis, values in axes.items()})

    def to_json(self) -> dict[str, Any]:
        """{axis: list of values, or None}; `from_mapping` reads it."""
        axes = {axis: getattr(self, axis) for axis in AXES}
        return {axis: None if values is None else list(values) for axis, values in axes.items()}

    def size(self, devices: int) -> int:
        """The number of points of the grid on a machine with `devices` kinds of device."""
        given = {axis: getattr(self, axis) for axis in AXES}
        lengths = [1 if values is None else len(values) for values in given.values()]
        if self.device is None:
            lengths.append(devices)
        return math.prod(lengths)

    def workloads(self, devices: Iterable[Device], cores: int) -> Iterable[Workload]:
        """Each point of the grid on a machine with these kinds of device and physical cores; may repeat itself.

        TF32 exists for float32 on CUDA; elsewhere such a point is computed in ieee precision. Work on CUDA is launched
        by one thread.
        """
        axes = {axis: getattr(self, axis) for axis in AXES}
        axes["I"] = self.I or (None,)
        axes["device"] = self.device or tuple(devices)
        axes["threads"] = self.threads or (cores,)
        axes["processes"] = self.processes or (cores,)
        for values in itertools.product(*axes.values()):
            point = dict(zip(axes, values, strict=True))
            point["I"] = point["I"] or point["H"]
            if point["device"] == "cuda":
                point["threads"] = 1
            if point["device"] != "cuda" or point["dtype"] != "float32":
                point["precision"] = "ieee"
            yield Workload(**point)


AXES: tuple[str, ...] = tuple(field.name for field in dataclasses.fields(Grid))
"""The names of a grid's axes: a workload's fields."""

_MAY_BE_NONE = ("I", "device", "threads", "processes")
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "mode": MODES,
    "cell": CELL_NAMES,
    "dtype": DTYPES,
    "precision": PRECISIONS,
    "device": DEVICES,
    "caches": CACHES,
    "signal": SIGNALS,
    "denormals": DENORMALS,
    "lengths": LENGTHS,
}
_SWITCHES = ("bidirectional", "bias")
MOST_WORKLOADS = 20_000
"""Workloads of a sweep: at a second for each, its first round takes hours. More are refused before they are built."""
LONGEST_SECONDS = 1000 * 3600.0
"""Longer budgets and time-outs are a mistake, and exceed the clocks of the operating system."""
_SECONDS_EXPECTED = f"more than 0 and at most {LONGEST_SECONDS:.0f}"
# Names in other programs for the axes that are a letter here.
_OTHER_NAMES = {
    **dict.fromkeys(("t", "seq_len", "seqlen", "length", "steps", "sequence_length", "time"), "T"),
    **dict.fromkeys(("b", "batch", "batch_size", "batchsize"), "B"),
    **dict.fromkeys(("i", "input", "input_size", "features"), "I"),
    **dict.fromkeys(("h", "hidden", "hidden_size", "units"), "H"),
    **dict.fromkeys(("l", "layers", "num_layers", "depth"), "L"),
    **dict.fromkeys(("d", "directions", "num_directions"), "bidirectional"),
    **dict.fromkeys(("cells", "cell_type", "rnn_type", "kind", "activation"), "cell"),
}


def _expected(axis: str) -> str:
    if axis in _CHOICES:
        return f"one of {', '.join(_CHOICES[axis])}"
    return "true or false" if axis in _SWITCHES else f"a whole number from 1 to {_most(axis)}"


def _fits(axis: str, value: Any) -> bool:
    if axis in _CHOICES:
        return isinstance(value, str) and value in _CHOICES[axis]
    if axis in _SWITCHES:
        return isinstance(value, bool)
    return type(value) is int and 1 <= value <= _most(axis)


def _most(axis: str) -> int:
    return MOST_LAYERS if axis == "L" else LARGEST_SIZE


def as_axis(values: Any) -> Any:
    """A tuple of a list or tuple; a tuple of one of a single value; None as it is."""
    if values is None:
        return None
    return tuple(values) if isinstance(values, list | tuple) else (values,)


def check_axis(name: str) -> None:
    """Raise ValueError, with the nearest axis, unless `name` is one."""
    check_key(name, AXES, "axis", _OTHER_NAMES)


def check_key(key: str, known: Iterable[str], what: str, other_names: Mapping[str, str] | None = None) -> None:
    """Raise ValueError, with the nearest one, unless `key` is among those known."""
    known = tuple(known)
    if key in known:
        return
    meanings = {name: name for name in known} | dict(other_names or {})
    raise ValueError(f"{what} {key!r} is not known; {did_you_mean(key, meanings, most=1)}Known: {', '.join(known)}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sweep:
    """A named set of workloads, and how long and how well they are measured.

    Raises ValueError, naming the field, when a value makes no sweep.
    """

    name: str
    """Letters, digits, dot, dash and underscore: it becomes part of a folder's name."""
    summary: str
    """What is measured, in a line."""
    grids: tuple[Grid, ...]
    budget_seconds: float
    """Limit of the sweep. Round 0 visits every case before any is visited again."""
    target_interval: float = 0.05
    """A case is noisy when half the 95 % interval of its median is more than this share of the median."""
    stop_interval: float = 0.01
    """While the budget lasts, workloads are visited again until half the interval of each case is within this share."""
    deadlines_seconds: tuple[float, ...] = (1e-5, 1e-4, 1e-3, 1e-2)
    """Times within which a call of a stream should be done: the report has the share of calls that are later."""
    timeout_seconds: float = 120.0
    """A case whose building, checking and warming up, or one block of samples, takes longer is stopped."""
    grids_of_one_cell: tuple[Grid, ...] = ()
    """Replaces `grids` where `override` names a single cell: more sizes, in the same time."""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,79}", self.name):
            raise ValueError(
                f"name is {quoted(self.name)}; expected up to 80 letters, digits, dots, dashes or underscores"
            )
        if not isinstance(self.summary, str):
            raise ValueError(f"summary is {quoted(self.summary)}; expected text")
        if not self.grids or not all(isinstance(grid, Grid) for grid in self.grids):
            raise ValueError(f"sweep {self.name} has grids {quoted(self.grids)}; expected one or more")
        if not _is_number(self.budget_seconds) or not 0 < self.budget_seconds <= LONGEST_SECONDS:
            raise ValueError(
                f"budget is {quoted(self.budget_seconds)} seconds; expected {_SECONDS_EXPECTED}: 5m is five minutes"
            )
        if not _is_number(self.timeout_seconds) or not 0 < self.timeout_seconds <= LONGEST_SECONDS:
            raise ValueError(
                f"timeout is {quoted(self.timeout_seconds)} seconds; expected {_SECONDS_EXPECTED}: 2m is two minutes"
            )
        if not self.deadlines_seconds or not all(
            _is_number(each) and 0 < each <= LONGEST_SECONDS for each in self.deadlines_seconds
        ):
            raise ValueError(f"deadlines is {quoted(self.deadlines_seconds)}; expected times, {_SECONDS_EXPECTED}")
        for field in ("target_interval", "stop_interval"):
            value = getattr(self, field)
            if not _is_number(value) or not 0 < value < 1:
                raise ValueError(f"{field} is {quoted(value)}; expected a share of the median, such as 0.05, below 1")

    def override(self, **axes: Any) -> Sweep:
        """The sweep with an axis replaced in every grid: `sweep.override(T=(16, 64), device=("cpu",))`.

        Where one cell is named, the grids are those of one cell, if the sweep has any. A single value stands for a
        tuple of one. Raises ValueError for a name that is no axis and for values that `Grid` refuses.
        """
        for name in axes:
            check_axis(name)
        replaced = {axis: as_axis(values) for axis, values in axes.items()}
        one_cell = len(replaced.get("cell") or ()) == 1
        grids = self.grids_of_one_cell if one_cell and self.grids_of_one_cell else self.grids
        return dataclasses.replace(
            self, grids=tuple(dataclasses.replace(grid, **replaced) for grid in grids), grids_of_one_cell=()
        )

    def workloads(self, devices: Iterable[Device], cores: int) -> tuple[Workload, ...]:
        """Every workload of the sweep once, on a machine with these kinds of device and physical cores.

        A device that a grid names is kept where the machine has none, so that its cases become trials with that reason.
        Workloads with the same settings of a process (device, threads, dtype, precision) follow each other, those with
        fewer operations first.
        """
        devices = tuple(devices)
        points = sum(grid.size(len(devices)) for grid in self.grids)
        if points > MOST_WORKLOADS:
            raise ValueError(
                f"sweep {self.name} has {points} workloads; expected at most {MOST_WORKLOADS}: "
                "name fewer values of its axes"
            )
        found = dict.fromkeys(workload for grid in self.grids for workload in grid.workloads(devices, cores))
        return tuple(sorted(found, key=_order))

    def to_json(self) -> dict[str, Any]:
        """A mapping of JSON values; `from_json` reads it."""
        return {
            "name": self.name,
            "summary": self.summary,
            "budget_seconds": self.budget_seconds,
            "target_interval": self.target_interval,
            "stop_interval": self.stop_interval,
            "timeout_seconds": self.timeout_seconds,
            "deadlines_seconds": list(self.deadlines_seconds),
            "grids": [grid.to_json() for grid in self.grids],
        }

    @classmethod
    def from_json(cls, mapping: Mapping[str, Any]) -> Sweep:
        """The sweep that `to_json` wrote. Raises ValueError when it is none."""
        if not isinstance(mapping, Mapping):
            raise ValueError(f"the sweep is {quoted(mapping)}; expected a mapping")
        names = tuple(field.name for field in dataclasses.fields(cls))
        for key in mapping:
            check_key(key, names, "field of a sweep")
        # Runs of earlier versions do not have all, and a stored sweep has its final grids.
        later = ("stop_interval", "deadlines_seconds", "grids_of_one_cell")
        missing = [name for name in names if name not in mapping and name not in later]
        if missing:
            raise ValueError(f"the sweep has no {', '.join(missing)}; expected all of {', '.join(names)}")
        grids = mapping["grids"]
        if not isinstance(grids, list) or not all(isinstance(grid, dict) for grid in grids):
            raise ValueError(f"grids is {quoted(grids)}; expected a list of mappings")
        given = {**mapping, "grids": tuple(Grid.from_mapping(grid) for grid in grids)}
        if "deadlines_seconds" in mapping:
            given["deadlines_seconds"] = as_axis(mapping["deadlines_seconds"])
        return cls(**given)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def _order(workload: Workload) -> tuple[Any, ...]:
    group = (workload.device, workload.threads, DTYPES.index(workload.dtype), workload.precision)
    return (*group, flops(workload), workload.id)
