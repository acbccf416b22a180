"""The answer by machine, as data: the fastest on each machine, where it changes, and what a second costs elsewhere.

Workloads of two machines are the same where all but their threads is. Threads are the same where their number is, or
where both are all cores of their machine. A GPU's workloads have no threads to compare.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from benchmarks.reporting.answers.findings import geometric_mean, mean_of
from benchmarks.runs.loading import LoadedRun
from benchmarks.statistics import Estimate, widest_ratio
from benchmarks.workload import Workload

ALL_CORES = "all cores"
_SAME = tuple(field.name for field in dataclasses.fields(Workload) if field.name != "threads")
_USUAL = {
    "dtype": "float32",
    "precision": "ieee",
    "processes": 1,
    "caches": "warm",
    "signal": "normal",
    "denormals": "kept",
    "lengths": "equal",
}
"""The values of options that are not said."""


class Point(NamedTuple):
    """A workload as several machines have it: its fields without threads, and the threads in words."""

    fields: tuple[Any, ...]
    threads: str

    @property
    def setting(self) -> tuple[str, str, str, str]:
        """Mode, cell, device and threads."""
        named = dict(zip(_SAME, self.fields, strict=True))
        return named["mode"], named["cell"], named["device"], self.threads

    @property
    def sizes(self) -> str:
        """Its sizes and options: T64 B16 H256."""
        named = dict(zip(_SAME, self.fields, strict=True))
        said = [f"{letter}{named[letter]}" for letter in "TBH"]
        said += [f"I{named['I']}"] if named["I"] != named["H"] else []
        said += [f"L{named['L']}"] if named["L"] != 1 else []
        said += ["both directions"] if named["bidirectional"] else []
        said += [] if named["bias"] else ["no bias"]
        said += [f"{name} {named[name]}" for name, usual in _USUAL.items() if named[name] != usual]
        return " ".join(said)


class Best(NamedTuple):
    """The fastest implementation of a workload on a machine."""

    implementation: str
    close: frozenset[str]
    """The implementations that are too close to the fastest to call."""
    seconds: Estimate
    cores: float
    """Threads of all processes; NaN on a GPU."""
    joules: float
    """Energy of a call; NaN where it could not be read."""

    @property
    def possible(self) -> frozenset[str]:
        """The implementations that may be the fastest."""
        return self.close | {self.implementation}


@dataclasses.dataclass(frozen=True)
class Exchange:
    """The cost on another machine of what takes one second on `machine`, each computed by its fastest.

    Costs are geometric means over the workloads that both measured.
    """

    machine: str
    other: str
    threads: str
    """As in `Point`: means are over workloads of the same threads."""
    workloads: int
    seconds: Estimate
    lowest: float
    """The lowest ratio of medians of any workload."""
    highest: float
    core_seconds: Estimate
    joules: float
    """The ratio of energies; NaN unless the energy of every workload could be read on both machines."""


Table = Mapping[Point, Mapping[str, Best]]
"""{workload: {machine: the fastest there}}."""


def by_machine(runs: Sequence[LoadedRun], frame: pd.DataFrame, winners: pd.DataFrame) -> Table:
    """The fastest of each workload on each machine that measured it.

    `frame` is that of `load_run`, `winners` that of `winners_by_workload`. Several runs of one machine are told apart
    by their labels.
    """
    machines = [run.machine for run in runs]
    names = {run.label: run.machine if machines.count(run.machine) == 1 else run.label for run in runs}
    cores = {run.label: _cores(run.record) for run in runs}
    fastest = winners[["run", "workload", "fastest", "close"]].rename(columns={"fastest": "implementation"})
    rows = frame.merge(fastest, on=["run", "workload", "implementation"])
    table: dict[Point, dict[str, Best]] = {}
    for row in rows.to_dict("records"):
        fields = tuple(row[name] for name in _SAME)
        for threads in _threads(row, cores[row["run"]]):
            table.setdefault(Point(fields, threads), {})[names[row["run"]]] = _best(row)
    return _without_doubles(table)


def changes(table: Table) -> dict[Point, Mapping[str, Best]]:
    """The workloads for which no implementation is the fastest, or too close to it to call, on two of the machines."""
    return {
        point: bests
        for point, bests in table.items()
        if any(one.possible.isdisjoint(other.possible) for one, other in itertools.combinations(bests.values(), 2))
    }


def exchanges(table: Table) -> list[Exchange]:
    """What a second costs elsewhere, for each pair of machines and threads with workloads in common."""
    machines = list(dict.fromkeys(machine for bests in table.values() for machine in bests))
    found = []
    classes = dict.fromkeys(point.threads for point in table)
    for (machine, other), threads in itertools.product(itertools.combinations(machines, 2), classes):
        pairs = [
            (bests[machine], bests[other])
            for point, bests in table.items()
            if point.threads == threads and machine in bests and other in bests
        ]
        if pairs:
            ratios = [widest_ratio(there.seconds, here.seconds) for here, there in pairs]
            cores = [there.cores / here.cores for here, there in pairs]
            found.append(
                Exchange(
                    machine=machine,
                    other=other,
                    threads=threads,
                    workloads=len(pairs),
                    seconds=mean_of(ratios),
                    lowest=min(ratio.median for ratio in ratios),
                    highest=max(ratio.median for ratio in ratios),
                    core_seconds=mean_of([ratio.scaled(times) for ratio, times in zip(ratios, cores, strict=True)]),
                    joules=geometric_mean([there.joules / here.joules for here, there in pairs]),
                )
            )
    return found


def _best(row: Mapping[Any, Any]) -> Best:
    watts = [row[name] for name in ("cpu_watts", "gpu_watts") if not math.isnan(row[name])]
    is_known = watts and (row["device"] == "cpu" or not math.isnan(row["gpu_watts"]))
    close = row["close"] if isinstance(row["close"], str) else ""
    return Best(
        implementation=row["implementation"],
        close=frozenset(close.split(", ")) - {""},
        seconds=Estimate(row["median_seconds"], row["low_seconds"], row["high_seconds"]),
        cores=row["threads"] * row["processes"] if row["device"] == "cpu" else math.nan,
        joules=row["median_seconds"] * sum(watts) if is_known else math.nan,
    )


def _threads(row: Mapping[Any, Any], cores: int | None) -> list[str]:
    if row["device"] != "cpu":
        return [""]
    number = f"{row['threads']} thread{'s' if row['threads'] > 1 else ''}"
    return [ALL_CORES, number] if row["threads"] == cores else [number]


def _without_doubles(table: Mapping[Point, Mapping[str, Best]]) -> Table:
    """The points of several machines; of two that have the same rows, the one of all cores."""
    kept = {}
    for point, bests in table.items():
        double = point.threads != ALL_CORES and table.get(Point(point.fields, ALL_CORES), {}).items() >= bests.items()
        if len(bests) > 1 and not double:
            kept[point] = bests
    return kept


def _cores(record: Mapping[str, Any]) -> int | None:
    machine = record.get("machine")
    cpu = machine.get("cpu") if isinstance(machine, dict) else None
    cores = cpu.get("usable_cores") if isinstance(cpu, dict) else None
    return cores if isinstance(cores, int) else None
