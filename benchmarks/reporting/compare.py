"""Two runs compared: a ratio, its interval and a verdict for each case that both have.

The runs were made one after the other, so a change of the machine in between is in the ratio. The interval is therefore
the widest that the two medians' own intervals allow, and a verdict needs more than `FLOOR`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import pandas as pd
from rich.table import Table
from rich.text import Text

from benchmarks.runs.frames import runs_frame
from benchmarks.runs.loading import load_runs
from benchmarks.store import StoreError, open_run

Verdict = Literal["faster", "same", "slower", "cannot tell"]

FLOOR = 0.05
"""Two runs of the same code on a shared machine differ by about this much: a smaller change is called the same."""


def verdict(low: float, high: float, floor: float = FLOOR) -> Verdict:
    """The verdict by the interval of new time over old time; `same` needs it to be within the floor."""
    if high < 1 / (1 + floor):
        return "faster"
    if low > 1 + floor:
        return "slower"
    return "same" if 1 / (1 + floor) <= low and high <= 1 + floor else "cannot tell"


def compare_runs(
    old: Path,
    new: Path,
    *,
    across_machines: bool = False,
    say: Callable[[Sequence[str]], None] | None = None,
) -> pd.DataFrame:
    """One row a case that both runs measured: case, old_seconds, new_seconds, ratio, low, high, verdict.

    Times are medians of one call in seconds; `ratio` is new over old. Its bounds are NaN where a run has too few blocks
    for an interval, and the verdict is then `cannot tell`. `say` is handed a sentence for each line of the runs that
    could not be read. Raises StoreError when the runs were made on different machines, unless `across_machines`, and
    ValueError when they have no measured case in common.
    """
    machines = [open_run(folder).known("machine", "key") for folder in (old, new)]
    if machines[0] != machines[1] and not across_machines:
        raise StoreError(
            f"{old} was measured on {machines[0]}, {new} on {machines[1]}: a ratio would compare the machines; "
            "give --across-machines if that is what you want"
        )
    columns = ["implementation", "workload", "median_seconds", "low_seconds", "high_seconds"]
    runs = [run for folder in (old, new) for run in load_runs(folder)]
    if say is not None:
        say([problem for run in runs for problem in run.problems])
    frames = [runs_frame([run])[columns].dropna(subset=["median_seconds"]) for run in runs]
    both = frames[0].merge(frames[1], on=["implementation", "workload"], suffixes=("_old", "_new"))
    if both.empty:
        raise ValueError(f"{old} and {new} have no measured case in common: sweep the same workloads in both")
    low = both["low_seconds_new"] / both["high_seconds_old"]
    high = both["high_seconds_new"] / both["low_seconds_old"]
    return pd.DataFrame(
        {
            "case": both["implementation"] + "/" + both["workload"],
            "old_seconds": both["median_seconds_old"],
            "new_seconds": both["median_seconds_new"],
            "ratio": both["median_seconds_new"] / both["median_seconds_old"],
            "low": low,
            "high": high,
            "verdict": [verdict(*bounds) for bounds in zip(low, high, strict=True)],
        }
    )


def comparison_table(compared: pd.DataFrame) -> Table:
    """The comparison for a terminal."""
    table = Table("case", "ratio", "interval", "verdict", title="new time / old time")
    styles = {"faster": "green", "slower": "red", "same": "", "cannot tell": "dim"}
    bounded = (compared["low"] + compared["high"]).notna()
    for row, is_bounded in zip(compared.itertuples(), bounded, strict=True):
        table.add_row(
            Text(str(row.case)),
            f"{row.ratio:.3f}",
            f"{row.low:.3f} to {row.high:.3f}" if is_bounded else "none, too few blocks",
            Text(str(row.verdict), style=styles[str(row.verdict)]),
        )
    return table
