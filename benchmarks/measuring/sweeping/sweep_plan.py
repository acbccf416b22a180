"""The plan of a sweep, checked before anything is measured: its workloads on this machine and its implementations."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks import machine
from benchmarks.measuring.sweeping.implementations import ALL, parse_implementation, split_label
from benchmarks.memory_needed import too_large
from benchmarks.program import implementation_options
from benchmarks.quoting import quoted
from benchmarks.store import Run, StoreError, resume_command
from benchmarks.sweeps import Sweep, load_sweep, parse_duration
from benchmarks.workload import Workload
from rnnimpl.registry import default_names, names


@dataclasses.dataclass(frozen=True)
class SweepPlan:
    """The workloads of a sweep on this machine, and {name in the run: source} of its implementations."""

    sweep: Sweep
    workloads: tuple[Workload, ...]
    implementations: Mapping[str, str]


def plan_sweep(
    sweep: str, *, implementations: Sequence[str] = (), axes: Mapping[str, Any] | None = None, budget: str | None = None
) -> SweepPlan:
    """The plan of a sweep by its name or file, with implementations, axes and budget of the command line.

    Raises ValueError, naming the argument and the remedy, for an argument that has no meaning or does not fit this
    machine.
    """
    return check_plan(*requested(sweep, implementations=implementations, axes=axes, budget=budget))


def requested(
    sweep: str, *, implementations: Sequence[str] = (), axes: Mapping[str, Any] | None = None, budget: str | None = None
) -> tuple[Sweep, dict[str, str]]:
    """The sweep and {name: source} of the implementations that the command line asks for, on whatever machine.

    Raises ValueError, naming the argument and the remedy, for an argument that has no meaning.
    """
    chosen = load_sweep(sweep).override(**(axes or {}))
    if budget is not None:
        chosen = dataclasses.replace(chosen, budget_seconds=parse_duration(budget))
    wanted = (names() if text == ALL else (text,) for text in implementations) if implementations else [default_names()]
    named = [parse_implementation(text) for text in itertools.chain.from_iterable(wanted)]
    twice = {name for name, _ in named if [each for each, _ in named].count(name) > 1}
    if twice:
        raise ValueError(
            f"implementation {', '.join(sorted(twice))} is given twice; give one a name of its own: LABEL=NAME"
        )
    return chosen, dict(named)


def trusted_implementations(run: Run, named: Sequence[str]) -> Mapping[str, str]:
    """{name: source} of a run's implementations, each from the registry or named again by the user.

    Raises ValueError where one is neither. Before that nothing of the run is imported; `listing` is not asked either,
    as it imports a class that inherits its devices.
    """
    recorded = run.known_texts("implementations")
    for name in recorded:
        if "=" in name:
            raise StoreError(f"{run.folder} has an implementation named {quoted(name)}; expected a name without =")
    given = dict(split_label(text) for text in named if text != ALL)
    others = {name: source for name, source in given.items() if recorded.get(name) != source}
    if others:
        raise ValueError(
            f"{' '.join(implementation_options(others))} is not in {run.folder}; expected none, or those of the run: "
            f"{' '.join(implementation_options(recorded))}"
        )
    strange = {name: source for name, source in recorded.items() if name not in given and source not in names()}
    if strange:
        again = resume_command(run.folder, strange)
        raise ValueError(
            f"{run.folder} was measured with {', '.join(strange.values())}, which is not in the registry: code that a "
            f"run's folder names is not run unless you name it too: {again}"
        )
    return dict(parse_implementation(f"{name}={source}") for name, source in recorded.items())


def check_threads(threads: Iterable[int]) -> None:
    """Raise ValueError for a number of threads that is more than the cores of this machine."""
    most = machine.usable_cores()
    for number in threads:
        if number > most:
            raise ValueError(f"threads is {number}; expected at most {most}, the cores of this machine")


def check_plan(sweep: Sweep, implementations: Mapping[str, str]) -> SweepPlan:
    """The plan of a sweep with its workloads on this machine.

    Raises ValueError where a workload asks for a device, threads or memory that the machine does not have.
    """
    devices = machine.devices_here()
    workloads = sweep.workloads(devices, machine.usable_cores())
    missing = {workload.device for workload in workloads} - set(devices)
    if missing:
        raise ValueError(f"device is {', '.join(missing)}; this machine has {', '.join(devices)}")
    check_threads(workload.threads for workload in workloads)
    for workload in workloads:
        if workload.threads * workload.processes > machine.usable_cores():
            raise ValueError(
                f"{workload.processes} processes of {workload.threads} threads need more than the "
                f"{machine.usable_cores()} cores of this machine: each is measured on cores of its own"
            )
        available = machine.available_bytes(workload.device)
        refusal = None if available is None else too_large(workload, available)
        if refusal:
            raise ValueError(refusal)
    return SweepPlan(sweep, workloads, implementations)
