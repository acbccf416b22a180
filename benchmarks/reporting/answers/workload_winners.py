"""The fastest implementation of each workload."""

from __future__ import annotations

import math

import pandas as pd

from benchmarks.reporting.answers.findings import too_close

WINNER_COLUMNS = (
    *("run", "workload", "mode", "fastest", "median_seconds", "speedup", "speedup_low", "speedup_high"),
    *("second", "lead", "lead_low", "lead_high", "close"),
)


def winners_by_workload(frame: pd.DataFrame) -> pd.DataFrame:
    """One row for each workload of each run that has a time, from a frame of `load_run`.

    fastest: the implementation of the least median; second: the next, with lead = its time over the fastest's; close:
    the names that are too close to call, joined by commas; speedup: the fastest against the baseline.
    """
    measured = frame[frame["median_seconds"].notna()]
    # One name a source, preferably the source's own, as in `contenders`.
    measured = measured.assign(alias=measured["implementation"] != measured["source"])
    measured = measured.sort_values(["alias", "implementation"], kind="stable")
    measured = measured.drop_duplicates(["run", "workload", "source"])
    rows = []
    for _, cases in measured.groupby(["run", "workload"], sort=False):
        first, *others = cases.sort_values("median_seconds", kind="stable").to_dict("records")
        second = others[0] if others else {}
        rows.append(
            {name: first[name] for name in WINNER_COLUMNS if name in first}
            | {
                "fastest": first["implementation"],
                "second": second.get("implementation"),
                "lead": second.get("slowdown", math.nan),
                "lead_low": second.get("slowdown_low", math.nan),
                "lead_high": second.get("slowdown_high", math.nan),
                "close": ", ".join(other["implementation"] for other in others if too_close(other["slowdown_low"])),
            }
        )
    order = frame.drop_duplicates(["run", "workload"])[["run", "workload"]]
    return order.merge(pd.DataFrame(rows, columns=list(WINNER_COLUMNS)), on=["run", "workload"])
