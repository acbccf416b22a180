"""The ratios of the times of every two implementations on each workload, with intervals: `ratios.csv`.

Each ratio is over blocks that took turns, so it is more exact than the ratio of two medians. A row has the faster one
first; the ratio the other way round is the inverse, with the inverse bounds.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping

import pandas as pd

from benchmarks.runs.loading import LoadedRun
from benchmarks.runs.pooling import time_ratio
from benchmarks.statistics import Estimate
from benchmarks.workload import Workload

RATIO_COLUMNS = ("run", "workload", "faster", "slower", "ratio", "ratio_low", "ratio_high")


def ratios(run: LoadedRun) -> Mapping[tuple[Workload, str, str], Estimate]:
    """{(workload, faster, slower): the time of the slower over that of the faster}, of every two measured cases.

    The faster has the lower median; of two equal ones it is the first in the alphabet. A ratio may be below 1 where
    medians and pairs of blocks disagree. Bounds are NaN where too few blocks give none.
    """
    found = {}
    for workload, cases in run.workloads.items():
        measured = [(case.estimate.median, name, case) for name, case in cases.items() if case.estimate is not None]
        ordered = sorted(measured, key=lambda each: each[:2])
        for (_, faster, below), (_, slower, above) in itertools.combinations(ordered, 2):
            found[workload, faster, slower] = time_ratio(above, below)
    return found


def ratios_frame(runs: Iterable[LoadedRun]) -> pd.DataFrame:
    """A row for every two measured cases of a workload, columns as `RATIO_COLUMNS`."""
    rows = [
        (run.label, workload.id, faster, slower, ratio.median, ratio.low, ratio.high)
        for run in runs
        for (workload, faster, slower), ratio in ratios(run).items()
    ]
    frame = pd.DataFrame(rows, columns=list(RATIO_COLUMNS))
    return frame.astype(dict.fromkeys(("run", "workload", "faster", "slower"), "str"))
