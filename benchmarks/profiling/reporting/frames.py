"""The breakdown of a profile as a frame: the time of each pass by kind of work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from benchmarks.profiling.records import GPU, PASS_NAMES
from benchmarks.profiling.sampling.kinds import KINDS, kind_of
from benchmarks.profiling.sampling.symbols import Place
from benchmarks.workload import Case


def breakdown_frame(records: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """One row for each case, repeat, pass and kind; `seconds` are the kind's share of the pass's unprofiled time."""
    rows = []
    for record in records:
        case = Case.parse(record["case"])
        for number, sampled in record["passes"].items():
            kinds = kinds_of(sampled)
            total = sum(kinds.values())
            pass_seconds = record["pass_seconds"][int(number) - 1]
            for kind in KINDS if total else ():
                share = kinds.get(kind, 0) / total
                seconds = share * pass_seconds
                place = {"case": record["case"], "implementation": case.implementation, "workload": case.workload.id}
                place |= {"repeat": record["repeat"], "pass": PASS_NAMES[number], "kind": kind}
                rows.append(place | {"share": share, "seconds": seconds, "step_seconds": seconds / case.workload.T})
    columns = ["case", "implementation", "workload", "repeat", "pass", "kind", "share", "seconds", "step_seconds"]
    return pd.DataFrame(rows, columns=columns)


def kinds_of(sampled: Mapping[str, Any]) -> dict[str, float]:
    """{kind: samples} of a record's pass, by the present rules for the functions that the record names."""
    found = dict(sampled["kinds"])
    for kind, library, function, samples in sampled.get("functions", ()):
        present = present_kind(kind, library, function)
        found[kind] -= samples
        found[present] = found.get(present, 0) + samples
    return found


def present_kind(kind: str, library: str, function: str) -> str:
    """The kind of a function by the present rules; a kernel of a GPU keeps its recorded kind."""
    return kind if library == GPU else kind_of(Place(library, function))


def functions_frame(records: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """One row for each case, repeat, pass and function that a record names."""
    rows = []
    for record in records:
        for number, sampled in record["passes"].items():
            place = [record["case"], record["repeat"], PASS_NAMES[number]]
            for kind, library, function, samples in sampled["functions"]:
                rows.append([*place, present_kind(kind, library, function), library, function, samples])
    return pd.DataFrame(rows, columns=["case", "repeat", "pass", "kind", "library", "function", "samples"])


def shares_of(frame: pd.DataFrame, case: str) -> pd.DataFrame:
    """The `median`, `least` and `most` share of a call that each kind has over the repeats of a case."""
    own = frame[frame["case"] == case].pivot_table(index="repeat", columns="kind", values="seconds", aggfunc="sum")
    by_repeat = own.div(own.sum(axis=1), axis=0)
    return pd.DataFrame({"median": by_repeat.median(), "least": by_repeat.min(), "most": by_repeat.max()})
