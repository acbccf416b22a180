"""Reasons to doubt the numbers of a run, as data.

They are a sweep that was not finished, disturbance, noise, missing intervals, libraries that were held back, impossible
times, processes of an implementation's own, and lost visits.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import pandas as pd

from benchmarks.presentation.plain_text import clean

DISTURBED = 0.1
"""A case is disturbed where others used at least this share of the cores' time."""
UNSUSPENDED_SECONDS = 0.1
"""Core time in the turns of others from which on their times are doubted: several ticks of the clock."""
MANY = 0.25
"""Disturbance and noise are reasons to doubt a run where they affect at least this share of the measured cases."""
TOO_FAST = 1.1
"""Share of the hardware limit from which on a time is doubted: the limit is accurate to a few percent."""

HOLDING_BACK = (
    *("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "MKL_ENABLE_INSTRUCTIONS", "MKL_CBWR", "MKL_DEBUG_CPU_TYPE"),
    *("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY", "NPY_DISABLE_CPU_FEATURES"),
)
"""Environment variables that keep a library from the fastest code that the processor can run."""


@dataclasses.dataclass(frozen=True)
class TooFast:
    """Cases faster than the hardware limit that was measured: their number, and the fastest of them."""

    cases: int
    implementation: str
    workload: str
    share_of_attainable: float


@dataclasses.dataclass(frozen=True)
class OwnProcesses:
    """The processes that an implementation started, which are suspended while other implementations are measured."""

    most: int
    """The most at a time."""
    unsuspended_seconds: float
    """The core time that it used while others were measured; 0 where it is less than `UNSUSPENDED_SECONDS`."""


@dataclasses.dataclass(frozen=True)
class Doubts:
    """Reasons to doubt a run; 0, None or empty where there is no reason."""

    measured: int
    """Cases with times."""
    disturbed: int
    """Disturbed cases, where there are many."""
    noisy: int
    """Noisy cases with an interval, where there are many."""
    without_interval: int
    """Cases with too few blocks for an interval."""
    held_back: tuple[str, ...]
    """The environment variables of `HOLDING_BACK` that were set, each as NAME=value."""
    too_fast: TooFast | None
    processes: Mapping[str, OwnProcesses]
    """{implementation: its processes}, where it has some, or they used cores while others were measured."""
    lost: int
    """Cases with visits that were cut short from outside."""
    unfinished: int = 0
    """Workloads that were measured before the sweep was stopped or its budget ended; 0 where it measured all."""


def find_doubts(frame: pd.DataFrame, record: Mapping[str, Any]) -> Doubts:
    """The doubts about the run whose rows of `load_run` and whose record these are."""
    measured = frame[frame["median_seconds"].notna()]
    disturbed = int((measured["elsewhere_share"] >= DISTURBED).sum())
    noisy = int(((measured["status"] == "noisy") & measured["relative_half_width"].notna()).sum())
    return Doubts(
        measured=len(measured),
        disturbed=disturbed if disturbed >= MANY * len(measured) else 0,
        noisy=noisy if noisy >= MANY * len(measured) else 0,
        without_interval=int(measured["relative_half_width"].isna().sum()),
        held_back=_held_back(record),
        too_fast=_too_fast(measured),
        processes=_processes(measured),
        lost=int((frame["lost_visits"] > 0).sum()),
        unfinished=frame["workload"].nunique() if record.get("finished_at", "") is None else 0,
    )


def _held_back(record: Mapping[str, Any]) -> tuple[str, ...]:
    machine = record.get("machine")
    found = machine.get("thread_environment") if isinstance(machine, Mapping) else None
    variables = found if isinstance(found, Mapping) else {}
    return tuple(f"{name}={clean(variables[name], 40)}" for name in HOLDING_BACK if name in variables)


def _processes(measured: pd.DataFrame) -> dict[str, OwnProcesses]:
    found = {}
    for name, cases in measured.groupby("implementation", sort=False):
        most, seconds = cases["helper_processes"].max(), cases["unsuspended_seconds"].max()
        own = OwnProcesses(int(most) if most > 0 else 0, float(seconds) if seconds >= UNSUSPENDED_SECONDS else 0.0)
        if own.most or own.unsuspended_seconds:
            found[str(name)] = own
    return found


def _too_fast(measured: pd.DataFrame) -> TooFast | None:
    cases = measured[measured["share_of_attainable"] >= TOO_FAST]
    if cases.empty:
        return None
    fastest = cases.sort_values("share_of_attainable").iloc[-1]
    return TooFast(len(cases), fastest["implementation"], fastest["workload"], float(fastest["share_of_attainable"]))
