"""What a call counts: operator calls, bytes, threads and hardware events, as a frame and in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from benchmarks.reporting.plain_text import NOTHING, code, escape, significant, table
from benchmarks.workload import Case

COLUMNS = (
    *("case", "implementation", "workload", "operator_calls", "operator_calls_per_step", "operators_per_step"),
    *(
        "bytecodes_per_step",
        "allocated_bytes_per_step",
        "peak_bytes",
        "context_switches",
        "threads",
        "threads_computing",
    ),
    *("instructions", "cycles", "cache_misses"),
)
_UNITS = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))


def counts_frame(records: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """One row a case that was counted, of a call unless a name says otherwise; what is not known is NaN."""
    rows = []
    for record in records:
        counts = record.get("counts")
        if counts is None or "status" in counts:
            continue
        case = Case.parse(record["case"])
        T = case.workload.T
        operators = counts["operators"] or {}
        row = {"case": record["case"], "implementation": case.implementation, "workload": case.workload.id}
        row |= {"peak_bytes": record["peak_bytes"], "context_switches": record["context_switches"]}
        row |= {"threads": counts["threads"], **counts["counters"]}
        row |= {"bytecodes_per_step": counts["bytecodes"] / T}
        busy = [looks["computing_threads"] for looks in record["phases"].values()]
        row |= {"threads_computing": max(busy, default=math.nan)}
        if operators:
            row |= {"operator_calls": operators["operator_calls"], "operators_per_step": operators["operators"] / T}
            row |= {"operator_calls_per_step": operators["operator_calls"] / T}
            row |= {"allocated_bytes_per_step": operators["allocated_bytes"] / T}
        rows.append(row)
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    return frame.astype(dict.fromkeys(COLUMNS[3:], "float64"))


def counts_table(counts: pd.DataFrame) -> str:
    """The counts of one workload's implementations."""
    header = ["implementation", "operator calls a step", "operators a step", "bytecodes a step", "allocated a step"]
    header += [
        "peak memory",
        "context switches a call",
        "threads",
        "computing",
        "instructions",
        "cycles",
        "cache misses",
    ]
    rows = []
    for row in counts.to_dict("records"):
        per_step = ("operator_calls_per_step", "operators_per_step", "bytecodes_per_step")
        steps = [_number(row[name]) for name in per_step]
        memory = [_bytes(row["allocated_bytes_per_step"]), _bytes(row["peak_bytes"])]
        names = ("context_switches", "threads", "threads_computing", "instructions", "cycles", "cache_misses")
        rows.append([code(row["implementation"]), *steps, *memory, *(_number(row[name]) for name in names)])
    return table(header, rows)


def count_reasons(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Why something was not counted, each reason once."""
    said: dict[str, None] = {}
    for record in records:
        counts = record.get("counts")
        if counts is None:
            continue
        if "status" in counts:
            said[f"{record['case']} was not counted ({counts['status']}: {counts['reason']})"] = None
        elif counts["counters_reason"]:
            said[counts["counters_reason"]] = None
    return [f"- {escape(reason[0].upper() + reason[1:])}." for reason in said]


def _number(value: float) -> str:
    if math.isnan(value):
        return NOTHING
    return f"{value:.0f}" if value >= 100 or value == round(value) else significant(value)


def _bytes(value: float) -> str:
    if math.isnan(value):
        return NOTHING
    unit, name = next(((unit, name) for unit, name in _UNITS if value >= unit), (1, "B"))
    return f"{significant(value / unit)} {name}"
