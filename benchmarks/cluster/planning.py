"""The plan of a campaign: workloads of each kind of machine, divided among its jobs."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.cluster.file import MachineKind
from benchmarks.runs.campaign import Part
from benchmarks.sweeps import Grid, Sweep
from benchmarks.workload import Workload

TRACKING_SECONDS = 4 * 3600.0
_MARGIN_SECONDS = 300.0
"""For starting Python, measuring peaks and writing; a job that runs longer has a hung process."""


def parts_of(sweep: Sweep, kind: MachineKind) -> list[Part]:
    """The parts of a kind, the number of whose cores is known: each has small and large workloads.

    All implementations of a workload are in one part, since they take turns on one node. Raises ValueError where the
    sweep asks for a device or for threads that the kind does not have.
    """
    cores = kind.cores
    assert cores is not None
    workloads = sweep.workloads(kind.devices, cores)
    for workload in workloads:
        if workload.device not in kind.devices:
            raise ValueError(
                f"{workload.id} is for {workload.device}; kind {kind.name} has {', '.join(kind.devices)}: name another "
                "--device, or devices in its table"
            )
        if workload.threads * workload.processes > cores:
            raise ValueError(f"threads is {workload.threads}; expected at most {cores}, the cores of kind {kind.name}")
    number = min(kind.jobs, len(workloads))
    digits = max(3, len(str(number - 1)))
    return [Part(f"{kind.name}-{at:0{digits}d}", kind.name, workloads[at::number]) for at in range(number)]


def parts_of_revisions(revisions: Sequence[str], kind: MachineKind) -> list[Part]:
    """The parts of a range of commits: the first is the anchor of all, the others are divided among the jobs.

    Each commit is measured on one node, interleaved with the anchor.
    """
    anchor, others = revisions[0], revisions[1:]
    number = max(1, min(kind.jobs, len(others)))
    return [Part(f"{kind.name}-{at:03d}", kind.name, (), (anchor, *others[at::number])) for at in range(number)]


def sweep_of(sweep: Mapping[str, Any], workloads: Iterable[Workload], budget_seconds: float) -> Sweep:
    """The sweep of some workloads, with a budget of its own. Raises ValueError where the stored sweep is none."""
    whole = Sweep.from_json(sweep)
    return dataclasses.replace(whole, grids=tuple(map(_grid, workloads)), budget_seconds=budget_seconds)


def _grid(workload: Workload) -> Grid:
    return Grid(**{field.name: (getattr(workload, field.name),) for field in dataclasses.fields(Workload)})


def time_minutes(kind: MachineKind, sweep: Sweep | None) -> int:
    """The limit of a job in minutes: as the kind says, else by the budget of a sweep and what may come after its end.

    Tracking has no budget; its jobs have `TRACKING_SECONDS`, and are queued again where that is not enough.
    """
    by_budget = 1.1 * sweep.budget_seconds + 2 * sweep.timeout_seconds + _MARGIN_SECONDS if sweep else TRACKING_SECONDS
    return max(1, math.ceil((kind.time_seconds or by_budget) / 60))


def arrays(parts: Sequence[Part], most: int) -> Iterable[Sequence[Part]]:
    """The parts in arrays of one kind each, with at most so many tasks."""
    for kind in dict.fromkeys(part.kind for part in parts):
        of_kind = [part for part in parts if part.kind == kind]
        for start in range(0, len(of_kind), most):
            yield of_kind[start : start + most]
