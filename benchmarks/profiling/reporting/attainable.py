"""The share of the attainable that each profiled case reaches: the frame of the tables and of the roofline."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from benchmarks.limits.bounds import bound
from benchmarks.limits.peak import Peak
from benchmarks.runs.frames import cases_frame, limit_columns, workload_columns
from benchmarks.workload import Case

RUN = "profile"
"""The name of the run in the frame."""


def limits_frame(records: Sequence[Mapping[str, Any]], peaks: Sequence[Peak]) -> pd.DataFrame:
    """One row for each case with the columns of `load_run`; its time is the median of the unprofiled times."""
    by_case: dict[str, list[Mapping[str, Any]]] = {}
    for record in records:
        by_case.setdefault(record["case"], []).append(record)
    rows = []
    for text, each in by_case.items():
        case, median = Case.parse(text), statistics.median(record["unprofiled_seconds"] for record in each)
        limit = bound(case.workload, peaks)
        own: dict[str, Any] = {
            "run": RUN,
            "case": text,
            "implementation": case.implementation,
            "source": case.implementation,
        }
        own |= {"status": "ok", "median_seconds": median, "rounds": len(each)}
        own |= {"blocks": sum(pair["kept"] for record in each for pair in record["pairs"])}
        own |= {"samples": sum(record["calls"] for record in each), "reason": None, "describe": None, "bound_by": None}
        rows.append(workload_columns(case.workload, limit) | own | limit_columns(median, limit))
    return cases_frame(rows)
