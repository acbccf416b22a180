"""Two runs compared: a ratio, its interval and a verdict for each case that both have.

The runs were made one after the other, so a change of the machine in between is in the ratio. The interval is therefore
the widest that the two medians' own intervals allow, and a verdict needs more than `FLOOR`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, get_args

import pandas as pd

from benchmarks.reporting.answers.findings import geometric_mean
from benchmarks.runs.frames import runs_frame
from benchmarks.runs.loading import LoadedRun, load_runs
from benchmarks.runs.packing import is_pack
from benchmarks.statistics import Estimate
from benchmarks.store import RUN_FILE, StoreError

Verdict = Literal["faster", "same", "slower", "cannot tell"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)

FLOOR = 0.05
"""Two runs of the same code on a shared machine differ by about this much: a smaller change is called the same."""


@dataclasses.dataclass(frozen=True)
class Summary:
    """What a comparison comes to: cases by verdict, and the change of each implementation."""

    counts: Mapping[Verdict, int]
    """{verdict: number of cases}, of every verdict."""
    by_implementation: Mapping[str, tuple[Estimate, int]]
    """{implementation: (geometric mean of new time over old time and of its bounds, number of cases)}, the least first;
    bounds are NaN where a case has none."""
    overall: Estimate
    """The geometric mean over all cases, and of its bounds."""


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
    """One row a case that both runs measured, the largest changes first.

    The columns are case, implementation, workload, old_seconds, new_seconds, ratio, low, high, verdict. Times are
    medians of one call in seconds; `ratio` is new over old. Its bounds are NaN where a run has too few blocks for an
    interval, and the verdict is then `cannot tell`. Cases that are faster or slower come first, the largest ratio or
    inverse ratio at the top. `say` is handed a sentence for each line of the runs that could not be read. Raises
    StoreError when the runs were made on different machines, unless `across_machines`, and ValueError when they have no
    measured case in common.
    """
    runs = [_only(folder) for folder in (old, new)]
    machines = [_machine(run) for run in runs]
    if machines[0] != machines[1] and not across_machines:
        raise StoreError(
            f"{old} was measured on {machines[0]}, {new} on {machines[1]}: a ratio would compare the machines; "
            "give --across-machines if that is what you want"
        )
    if say is not None:
        say([problem for run in runs for problem in run.problems])
    columns = ["implementation", "workload", "median_seconds", "low_seconds", "high_seconds"]
    frames = [runs_frame([run])[columns].dropna(subset=["median_seconds"]) for run in runs]
    both = frames[0].merge(frames[1], on=["implementation", "workload"], suffixes=("_old", "_new"))
    if both.empty:
        raise ValueError(f"{old} and {new} have no measured case in common: sweep the same workloads in both")
    low = both["low_seconds_new"] / both["high_seconds_old"]
    high = both["high_seconds_new"] / both["low_seconds_old"]
    compared = pd.DataFrame(
        {
            "case": both["implementation"] + "/" + both["workload"],
            "implementation": both["implementation"],
            "workload": both["workload"],
            "old_seconds": both["median_seconds_old"],
            "new_seconds": both["median_seconds_new"],
            "ratio": both["median_seconds_new"] / both["median_seconds_old"],
            "low": low,
            "high": high,
            "verdict": [verdict(*bounds) for bounds in zip(low, high, strict=True)],
        }
    )
    changed = compared["verdict"].isin(["faster", "slower"])
    change = compared["ratio"].where(compared["ratio"] >= 1, 1 / compared["ratio"])
    order = compared.assign(changed=changed, change=change).sort_values(
        ["changed", "change"], ascending=False, kind="stable"
    )
    return compared.loc[order.index].reset_index(drop=True)


def _only(folder: Path) -> LoadedRun:
    """The run of a folder. Raises ValueError for a campaign's on several machines."""
    runs = load_runs(folder)
    if len(runs) != 1:
        machines = ", ".join(run.machine for run in runs)
        raise ValueError(
            f"{folder} holds runs of {len(runs)} machines ({machines}); expected one: name a run within it"
        )
    return runs[0]


def summary(compared: pd.DataFrame) -> Summary:
    """What the rows of `compare_runs` come to."""
    found = {str(name): (_mean(rows), len(rows)) for name, rows in compared.groupby("implementation")}
    return Summary(
        counts={each: int((compared["verdict"] == each).sum()) for each in VERDICTS},
        by_implementation=dict(sorted(found.items(), key=lambda item: item[1][0].median)),
        overall=_mean(compared),
    )


def _mean(rows: pd.DataFrame) -> Estimate:
    return Estimate(*(geometric_mean(rows[name].tolist()) for name in ("ratio", "low", "high")))


def _machine(run: LoadedRun) -> str:
    """The machine's key. Raises StoreError where the record has none."""
    machine = run.record.get("machine")
    key = machine.get("key") if isinstance(machine, Mapping) else None
    if not isinstance(key, str):
        place = run.folder if is_pack(run.folder) else run.folder / RUN_FILE
        raise StoreError(
            f"{place} does not say machine.key; expected it as a sweep writes it: restore the file from a copy, or "
            "sweep again"
        )
    return key
