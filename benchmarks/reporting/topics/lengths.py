"""Sequences of unequal lengths: the cases of a report by network, and their time per valid and per padded step."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pandas as pd

from benchmarks.runs.loading import LoadedRun
from benchmarks.runs.pooling import PooledCase
from benchmarks.sequence_lengths import LengthsName, bucketed
from benchmarks.statistics import Estimate, widest_ratio
from benchmarks.workload import Workload


@dataclasses.dataclass(frozen=True, eq=False)
class LengthsCase:
    """One network in one implementation on sequences of one distribution, and the same with equal lengths if measured.

    `pooled` and `equally_long` are the cases of `workload` and `plain`, both with times.
    """

    run: str
    pooled: PooledCase
    equally_long: PooledCase | None

    @property
    def implementation(self) -> str:
        """Its name in the run."""
        return self.pooled.case.implementation

    @property
    def time(self) -> Estimate:
        """Seconds of a call."""
        assert self.pooled.estimate is not None
        return self.pooled.estimate

    @property
    def equal(self) -> Estimate | None:
        """Seconds of a call where all sequences have T steps; None where that has no time."""
        return None if self.equally_long is None else self.equally_long.estimate

    @property
    def workload(self) -> Workload:
        """The workload of the case."""
        return self.pooled.case.workload

    @property
    def plain(self) -> Workload:
        """The workload with equal lengths."""
        return dataclasses.replace(self.workload, lengths="equal")

    @property
    def lengths(self) -> LengthsName:
        """The distribution of the lengths."""
        return self.workload.lengths

    @property
    def valid_share(self) -> float:
        """The share of the padded steps that are valid."""
        return self.workload.valid_steps / (self.plain.T * self.plain.B)

    @property
    def per_valid_step(self) -> float:
        """Seconds of a call for each valid step of a sequence."""
        return self.time.median / self.workload.valid_steps

    @property
    def per_padded_step(self) -> float:
        """Seconds of a call for each step of the padded array."""
        return self.time.median / (self.plain.T * self.plain.B)

    @property
    def cost(self) -> Estimate | None:
        """The time per valid step over that per step at equal lengths: 1 where padding costs nothing."""
        if self.equal is None:
            return None
        return widest_ratio(self.time, self.equal).scaled(1 / self.valid_share)

    @property
    def bucketed(self) -> Estimate | None:
        """Seconds of a call, about, where sequences are batched by length: so much less padding, at equal lengths."""
        lengths = self.workload.sequence_lengths
        if self.equal is None or lengths is None:
            return None
        return self.equal.scaled(bucketed(lengths, self.plain.T))

    @property
    def gain_of_buckets(self) -> Estimate | None:
        """The time of a call over that in buckets: above 1 where batching by length would be faster."""
        return None if self.bucketed is None else widest_ratio(self.time, self.bucketed)


def lengths_cases(runs: Sequence[LoadedRun]) -> list[LengthsCase]:
    """The measured cases of unequal lengths of all runs, by network, distribution and implementation."""
    found = []
    for run in runs:
        for workload, cases in run.workloads.items():
            if workload.lengths == "equal":
                continue
            equal = run.workloads.get(dataclasses.replace(workload, lengths="equal"), {})
            for name, case in cases.items():
                if case.measured:
                    of_equal = equal.get(name)
                    known = of_equal if of_equal is not None and of_equal.measured else None
                    found.append(LengthsCase(run.label, case, known))
    return found


def lengths_frame(cases: Sequence[LengthsCase]) -> pd.DataFrame:
    """A row a case: `lengths.csv` beside the report."""
    rows = []
    for case in cases:
        cost, buckets = case.cost, case.bucketed
        rows.append(
            {
                "run": case.run,
                "workload": case.workload.id,
                "implementation": case.implementation,
                "lengths": case.lengths,
                "valid_share": case.valid_share,
                "median_seconds": case.time.median,
                "seconds_per_valid_step": case.per_valid_step,
                "seconds_per_padded_step": case.per_padded_step,
                "cost": None if cost is None else cost.median,
                "cost_low": None if cost is None else cost.low,
                "cost_high": None if cost is None else cost.high,
                "bucketed_seconds": None if buckets is None else buckets.median,
            }
        )
    return pd.DataFrame(rows)
