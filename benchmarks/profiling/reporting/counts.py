"""The counts of a call as a frame, a table and sentences: operators, bytes, threads and hardware events."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from benchmarks.presentation.plain_text import NOTHING, code, escape, share, significant, table
from benchmarks.profiling.reporting.conclusion import LEAST_CALLS
from benchmarks.workload import Case

COUNTED = (
    *("operator_calls", "operator_calls_per_step", "operators_per_step", "bytecodes_per_step", "operations_per_step"),
    *("launches_per_step", "marginal_calls_per_step", "marginal_products_per_step", "fixed_time_share"),
    *("allocated_bytes_per_step", "peak_bytes"),
    *("context_switches", "threads", "threads_computing", "instructions", "cycles", "cache_misses"),
)
COLUMNS = ("case", "implementation", "workload", *COUNTED)
_SHOWN = {
    "operator_calls_per_step": "operator calls a step",
    "operators_per_step": "operators a step",
    "launches_per_step": "GPU launches a step",
    "operations_per_step": "operations of Python a step",
    "bytecodes_per_step": "bytecodes a step",
    "marginal_calls_per_step": "marginal calls of a step",
    "marginal_products_per_step": "marginal products of a step",
    "fixed_time_share": "fixed share of the time",
    "allocated_bytes_per_step": "allocated a step",
    "peak_bytes": "peak memory",
    "context_switches": "context switches a call",
    "threads": "threads",
    "threads_computing": "computing",
    "instructions": "instructions",
    "cycles": "cycles",
    "cache_misses": "cache misses",
}
_BYTES = ("allocated_bytes_per_step", "peak_bytes")
_UNITS = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))


def counts_frame(records: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """One row for each counted case; a column without `per_step` is of a whole call. NaN is not known."""
    rows = []
    computing: dict[str, list[float]] = {}
    for record in records:
        busy = (samples["computing_threads"] for samples in record["passes"].values())
        computing.setdefault(record["case"], []).append(max(busy, default=math.nan))
    for record in records:
        counts = record.get("counts")
        if counts is None or "status" in counts:
            continue
        case = Case.parse(record["case"])
        T = case.workload.T
        operators, marginal = counts["operators"], counts["marginal_step"]
        row = {"case": record["case"], "implementation": case.implementation, "workload": case.workload.id}
        row |= {"peak_bytes": record["peak_bytes"], "context_switches": record["context_switches"]}
        row |= {"threads": counts["threads"], **counts["counters"]}
        row |= {f"{name}_per_step": counts["instructions"][name] / T for name in ("bytecodes", "operations")}
        row |= {"threads_computing": statistics.median(computing[record["case"]])}
        if "launches" in record:
            row |= {"launches_per_step": record["launches"] / T}
        if operators:
            row |= {"operator_calls": operators["operator_calls"], "operators_per_step": operators["operators"] / T}
            row |= {"operator_calls_per_step": operators["operator_calls"] / T}
        if counts["allocated_bytes"] is not None:
            row |= {"allocated_bytes_per_step": counts["allocated_bytes"] / T}
        if marginal:
            row |= {f"marginal_{name}_per_step": marginal[name] for name in ("calls", "products")}
            row |= {"fixed_time_share": marginal["fixed_time_share"]}
        rows.append(row)
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    return frame.astype(dict.fromkeys(COUNTED, "float64"))


def counts_table(counts: pd.DataFrame) -> str:
    """The counts of one workload's implementations in Markdown, without the columns that no implementation has."""
    shown = {name: title for name, title in _SHOWN.items() if counts[name].notna().any()}
    rows = []
    for row in counts.to_dict("records"):
        cells = [_shown(name, row[name]) for name in shown]
        rows.append([code(row["implementation"]), *cells])
    return table(["implementation", *shown.values()], rows)


def count_reasons(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """The reasons why something was not counted, each once, as a list in Markdown."""
    reasons: dict[str, None] = {}
    one_call, no_allocator = [], []
    for record in records:
        counts = record.get("counts")
        if counts is None:
            continue
        name = Case.parse(record["case"]).implementation
        if "status" in counts:
            reasons[f"{record['case']} was not counted ({counts['status']}: {counts['reason']})"] = None
            continue
        if counts["counters_reason"]:
            reasons[counts["counters_reason"]] = None
        marginal = counts["marginal_step"]
        if counts["operators"] is None and marginal and marginal["calls"] < LEAST_CALLS:
            one_call.append(name)
        if counts["allocated_bytes"] is None:
            no_allocator.append(name)
    found = [escape(reason[0].upper() + reason[1:]) for reason in reasons]
    if one_call:
        found.append(
            f"All steps of {_names(one_call)} are one call of compiled code: operations within it are not counted, and "
            "its own allocations show in *peak memory* alone"
        )
    if no_allocator:
        found.append(
            f"Allocations of {_names(no_allocator)} are made by none of PyTorch, NumPy and Python: they are not counted"
        )
    return [f"- {sentence}." for sentence in found]


def _names(implementations: Sequence[str]) -> str:
    return ", ".join(code(name) for name in dict.fromkeys(implementations))


def _shown(name: str, value: float) -> str:
    if name == "fixed_time_share":
        return share(value)
    return _bytes(value) if name in _BYTES else _number(value)


def _number(value: float) -> str:
    if math.isnan(value):
        return NOTHING
    return f"{value:.0f}" if value >= 100 or value == round(value) else significant(value)


def _bytes(value: float) -> str:
    if math.isnan(value):
        return NOTHING
    unit, name = next(((unit, name) for unit, name in _UNITS if value >= unit), (1, "B"))
    return f"{significant(value / unit)} {name}"
