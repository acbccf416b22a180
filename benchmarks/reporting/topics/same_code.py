"""The differences between the times of one source under two names."""

from __future__ import annotations

import itertools

import pandas as pd

SAME_WITHIN = 0.03
"""The largest expected difference between two medians of the same code."""


def two_names(frame: pd.DataFrame) -> pd.DataFrame:
    """Differences between the medians of one source under two names, a row for each pair of names in each run.

    Columns: run, source, one, other, workloads (on which both were measured), within (the share of these on which the
    larger median is at most `SAME_WITHIN` above the smaller), apart (the largest of these differences), workload (where
    that is).
    """
    rows = []
    measured = frame[frame["median_seconds"].notna()]
    for (run, source), cases in measured.groupby(["run", "source"], sort=False):
        medians = cases.pivot_table(index="workload", columns="implementation", values="median_seconds", sort=False)
        for one, other in itertools.combinations(sorted(medians.columns), 2):
            pair = medians[[one, other]].dropna()
            if pair.empty:
                continue
            apart = pair.max(axis=1) / pair.min(axis=1)
            rows.append(
                {
                    "run": run,
                    "source": source,
                    "one": one,
                    "other": other,
                    "workloads": len(pair),
                    "within": float((apart <= 1 + SAME_WITHIN).mean()),
                    "apart": float(apart.max()) - 1,
                    "workload": apart.idxmax(),
                }
            )
    columns = ["run", "source", "one", "other", "workloads", "within", "apart", "workload"]
    return pd.DataFrame(rows, columns=columns)
