"""The fastest implementation of each workload, and on how many workloads a region's winner is the fastest."""

from __future__ import annotations

import dataclasses
import math

import pandas as pd

from benchmarks.reporting.findings import Finding, too_close

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


@dataclasses.dataclass(frozen=True)
class Wins:
    """On how many workloads of a finding its overall winner, or another implementation, is the fastest."""

    first: int
    """The number of workloads on which the overall winner is surely the fastest."""
    close: int
    """The number of workloads on which the winner and another are too close to call."""
    oftener: tuple[str, ...]
    """The implementations that are surely the fastest on more workloads, if any: those with the most."""
    most: int
    """The number of workloads on which each of `oftener` is surely the fastest."""


def count_wins(finding: Finding, winners: pd.DataFrame) -> Wins:
    """The wins on the workloads of a finding, from the frame of `winners_by_workload`."""
    workloads = {workload.id for workload in finding.workloads}
    rows = winners[(winners["run"] == finding.run) & winners["workload"].isin(workloads)]
    name = finding.winner.fastest
    sure = rows["close"] == ""
    wins = rows[sure]["fastest"].value_counts()
    first = int(wins.get(name, 0))
    close = sum(name in (row["fastest"], *row["close"].split(", ")) for row in rows[~sure].to_dict("records"))
    most = int(max(wins, default=0))
    oftener = tuple(sorted(map(str, wins.index[wins == most]))) if most > first else ()
    return Wins(first, close, oftener, most)
