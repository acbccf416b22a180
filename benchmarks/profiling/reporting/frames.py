"""From the records of a profile to its breakdown as a frame: what the time of each phase goes to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from benchmarks.profiling.records import GPU, PHASE_NAMES
from benchmarks.profiling.sampling.kinds import KINDS, kind_of
from benchmarks.profiling.sampling.symbols import Place
from benchmarks.workload import Case


def breakdown_frame(records: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """One row a case, repeat, phase and kind. A share of the looks times the phase's unprofiled time is `seconds`."""
    rows = []
    for record in records:
        case = Case.parse(record["case"])
        for phase, looks in record["phases"].items():
            kinds = kinds_of(looks)
            total = sum(kinds.values())
            of_phase = record["phase_seconds"][int(phase) - 1]
            for kind in KINDS if total else ():
                of_kind = kinds.get(kind, 0) / total
                taken = of_kind * of_phase
                place = {"case": record["case"], "implementation": case.implementation, "workload": case.workload.id}
                place |= {"repeat": record["repeat"], "phase": PHASE_NAMES[phase], "kind": kind}
                rows.append(place | {"share": of_kind, "seconds": taken, "step_seconds": taken / case.workload.T})
    columns = ["case", "implementation", "workload", "repeat", "phase", "kind", "share", "seconds", "step_seconds"]
    return pd.DataFrame(rows, columns=columns)


def kinds_of(looks: Mapping[str, Any]) -> dict[str, float]:
    """Looks by kind as functions are taken now: those that a record names may have been taken for something else."""
    counted = dict(looks["kinds"])
    for kind, library, function, count in looks.get("functions", ()):
        now = named_now(kind, library, function, count)[0]
        counted[kind] -= count
        counted[now] = counted.get(now, 0) + count
    return counted


def named_now(kind: str, library: str, function: str, count: float) -> tuple[str, str, str, float]:
    """A function with the kind that it is taken for now; a GPU's kernels keep theirs."""
    now = kind if library == GPU else kind_of(Place(library, function))
    return now, library, function, count


def shares_of(frame: pd.DataFrame, case: str) -> pd.DataFrame:
    """Of a case: each kind's median share of a call over repeats, with the least and the most."""
    own = frame[frame["case"] == case].pivot_table(index="repeat", columns="kind", values="seconds", aggfunc="sum")
    by_repeat = own.div(own.sum(axis=1), axis=0)
    return pd.DataFrame({"median": by_repeat.median(), "least": by_repeat.min(), "most": by_repeat.max()})
