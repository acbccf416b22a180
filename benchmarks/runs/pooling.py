"""The cases of a run, pooled from trials: time, interval and status of a case, and the ratio of two cases.

The samples of a case are pooled over its rounds, block by block. Blocks that took turns in one visit had the same
disturbances: these are taken out of each case's time, and two cases are compared by the ratio of such blocks.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from benchmarks.statistics import (
    MINIMUM_BLOCKS,
    Estimate,
    block_medians,
    estimate_of_medians,
    estimate_ratio,
    side_by_side,
    widest_ratio,
)
from benchmarks.trial import MEASURED, Status, Trial, deciding
from benchmarks.workload import Case, Workload

BASELINE = "nn_rnn"
"""The implementation that speed-ups are relative to: the one that everybody has."""
FAST_QUANTILE = 0.1
"""The share of the samples that are as fast as `PooledCase.fast_seconds` or faster."""


@dataclasses.dataclass(frozen=True)
class PooledCase:
    """All visits to one case, the earliest first."""

    trials: tuple[Trial, ...]
    target_interval: float
    """A case is `ok` when half its interval is at most this share of its median."""
    correction: float = 1.0
    """The time of a call without the disturbances that its blocks share with others, over the median of its own
    blocks."""

    @property
    def case(self) -> Case:
        """The implementation and the workload of the trials."""
        return self.trials[0].case

    @property
    def source(self) -> str:
        """The argument of `rnnimpl.load` for the implementation."""
        return self.trials[0].source

    @property
    def measured(self) -> bool:
        """Whether it has times. A case that failed at its last visit has none, nor one that was ever wrong."""
        return self.estimate is not None

    @property
    def last(self) -> Trial:
        """The trial of the last visit."""
        return self.trials[-1]

    @cached_property
    def decisive(self) -> Trial:
        """The trial whose status the case has, unless it is measured."""
        return deciding(self.trials)

    @property
    def lost(self) -> tuple[str, ...]:
        """Sentences about visits that were cut short by something other than the implementation."""
        return tuple(trial.lost for trial in self.trials if trial.lost is not None)

    @cached_property
    def visits(self) -> tuple[tuple[Trial, list[float]], ...]:
        """Each visit that gave times, with the medians of its blocks."""
        if self.decisive.status not in MEASURED:
            return ()
        measured = [trial for trial in self.trials if trial.status in MEASURED and trial.seconds]
        return tuple((trial, block_medians(trial.seconds, trial.blocks)) for trial in measured)

    @cached_property
    def estimate(self) -> Estimate | None:
        """The time of a call over all blocks of all visits, under typical disturbance; None without times.

        Relative to it, the interval is as wide as that of the median of the case's own blocks.
        """
        medians = [median for _, blocks in self.visits for median in blocks]
        return estimate_of_medians(medians).scaled(self.correction) if medians else None

    @cached_property
    def fast_seconds(self) -> float:
        """The tenth percentile of all samples: a call while little else uses the machine. NaN without times."""
        samples = [seconds for trial, _ in self.visits for seconds in trial.seconds]
        return float(np.quantile(samples, FAST_QUANTILE)) if samples else math.nan

    @property
    def status(self) -> Status:
        """`ok` or `noisy` by all samples of a case with times; otherwise the status of the decisive visit."""
        if self.estimate is None:
            return self.decisive.status if self.decisive.status not in MEASURED else "failed"
        return "ok" if self.estimate.relative_half_width <= self.target_interval else "noisy"

    @property
    def reason(self) -> str | None:
        """Why the status is not `ok`, in a sentence."""
        if self.estimate is None:
            return self.decisive.reason or "it has no samples"
        if self.status == "ok":
            return None
        if math.isnan(self.estimate.relative_half_width):
            return f"it has fewer than {MINIMUM_BLOCKS} blocks of samples, too few for an interval"
        return (
            f"the interval of the median is ±{self.estimate.relative_half_width:.0%}, "
            f"wider than the ±{self.target_interval:.0%} asked for"
        )

    def part_median(self, part: str) -> float:
        """The median time of the `forward` or the `backward` pass in training; NaN where it was not measured."""
        medians: list[float] = []
        for trial, _ in self.visits:
            if not trial.backward_seconds:
                continue
            seconds = trial.backward_seconds
            if part == "forward":
                seconds = tuple(map(float.__sub__, map(float, trial.seconds), map(float, seconds)))
            medians += block_medians(seconds, trial.blocks)
        return statistics.median(medians) * self.correction if medians else math.nan


def pool(trials: Iterable[Trial], target_interval: float) -> dict[Case, PooledCase]:
    """The cases of a run in the order in which they were first visited."""
    visits: dict[Case, list[Trial]] = {}
    for trial in trials:
        visits.setdefault(trial.case, []).append(trial)
    pooled = {
        case: PooledCase(tuple(sorted(of_case, key=lambda trial: trial.round)), target_interval)
        for case, of_case in visits.items()
    }
    for together in by_workload(pooled).values():
        measured = [case for case in together.values() if case.measured]
        if len(measured) > 1:
            for case, seconds in zip(measured, side_by_side(_blocks_in_turns(measured)), strict=True):
                assert case.estimate is not None
                pooled[case.case] = dataclasses.replace(case, correction=float(seconds) / case.estimate.median)
    return pooled


def _blocks_in_turns(cases: Sequence[PooledCase]) -> NDArray[np.float64]:
    """Block medians (cases, blocks): blocks that took turns in one visit share a column; NaN where a case has none."""
    rows = [(trial, row, medians) for row, case in enumerate(cases) for trial, medians in case.visits]
    visits: list[list[tuple[Trial, int, list[float]]]] = []
    for trial, row, medians in sorted(rows, key=lambda each: (each[0].round, _span(each[0]))):
        same_visit = visits and _met(visits[-1][0][0], trial) and all(row != other for _, other, _ in visits[-1])
        if not same_visit:
            visits.append([])
        visits[-1].append((trial, row, medians))
    parts: list[NDArray[np.float64]] = []
    for visit in visits:
        parts.append(np.full((len(cases), max(len(medians) for _, _, medians in visit)), np.nan))
        for _, row, medians in visit:
            parts[-1][row, : len(medians)] = medians
    return np.hstack(parts)


def by_workload(cases: Mapping[Case, PooledCase]) -> dict[Workload, dict[str, PooledCase]]:
    """The cases as {workload: {implementation: case}}."""
    grouped: dict[Workload, dict[str, PooledCase]] = {}
    for case, pooled in cases.items():
        grouped.setdefault(case.workload, {})[case.implementation] = pooled
    return grouped


def baseline(cases: Mapping[str, PooledCase]) -> PooledCase | None:
    """The baseline among the cases of one workload: the one named `nn_rnn`, else one made from it."""
    if BASELINE in cases:
        return cases[BASELINE]
    return next((case for case in cases.values() if case.source == BASELINE), None)


def contenders(cases: Mapping[str, PooledCase]) -> dict[str, PooledCase]:
    """The measured cases of one workload by name, one for each source: a copy under a second name wins nothing.

    The name that is the source's own is kept, else the first in the alphabet.
    """
    kept: dict[str, str] = {}
    for name in sorted(cases, key=lambda name: (name != cases[name].source, name)):
        if cases[name].measured:
            kept.setdefault(cases[name].source, name)
    return {name: case for name, case in cases.items() if name in kept.values()}


def time_ratio(above: PooledCase, below: PooledCase) -> Estimate:
    """The time of `above` over that of `below`, both measured and of the same workload and run.

    The ratio is over pairs of blocks that took turns in one visit, so common disturbances cancel. With too few pairs
    for an interval, it is the ratio of the two medians, with the widest bounds that their intervals allow.
    """
    if above is below:
        return Estimate(1.0, 1.0, 1.0)
    numerators: list[float] = []
    denominators: list[float] = []
    others = {trial.round: (trial, medians) for trial, medians in below.visits}
    for trial, medians in above.visits:
        other, other_medians = others.get(trial.round, (None, []))
        if other is not None and _met(trial, other):
            # One of them has a block more where the budget ended in the middle of a turn.
            turns = min(len(medians), len(other_medians))
            numerators += medians[:turns]
            denominators += other_medians[:turns]
    if len(numerators) >= MINIMUM_BLOCKS:
        return estimate_ratio(numerators, denominators)
    assert above.estimate is not None
    assert below.estimate is not None
    return widest_ratio(above.estimate, below.estimate)


def _met(one: Trial, other: Trial) -> bool:
    """Whether two trials are of one visit: a resumed sweep may visit one workload twice in the same round."""
    (begun, ended), (other_begun, other_ended) = _span(one), _span(other)
    return one.round == other.round and begun < other_ended and other_begun < ended


def _span(trial: Trial) -> tuple[str, str]:
    """The beginning and the end of a trial's visit, in order, also where the system's clock was set back within it.

    Times are UTC in ISO 8601, whose order is that of their letters.
    """
    begun, ended = sorted((trial.started_at, trial.finished_at))
    return begun, ended
