"""From the log ratios of process pairs to a verdict a case: pure functions, no clock.

Log ratios of fresh process pairs are independent, so the interval of their mean is Student's t over pairs. A change is
called where it is certain over all cases together (Holm 1979) and larger than the threshold: the tolerance, or the
noise floor of this machine where that is larger.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from scipy import special

from benchmarks.regression.processes.outcomes import Verdict

CONFIDENCE = 0.95
POWER = 0.8
LEAST_PAIRS = 3
"""The fewest pairs of which an interval is made: the interval of two is too wide to be of use."""

NoiseFloor = Callable[[int], float]
"""A function of the number of pairs: the share by which the ratio of equal code may differ from 1 over so many."""


@dataclasses.dataclass(frozen=True)
class RatioEstimate:
    """The ratio head / base of the times of one case."""

    pairs: int
    ratio: float
    low: float
    """The lower bound of the ratio's interval at `CONFIDENCE`."""
    high: float
    """The upper bound of the ratio's interval at `CONFIDENCE`."""
    p_slower: float
    """The one-sided p-value of a slowdown."""
    p_faster: float
    """The one-sided p-value of a speed-up."""
    detectable: float
    """The smallest slowdown, as a share, that this many pairs with this spread find with a probability of `POWER`."""


@dataclasses.dataclass(frozen=True)
class Judgement:
    """The verdict on one case, its ratio, and the threshold that a change has to exceed, as a share."""

    verdict: Verdict
    estimate: RatioEstimate
    threshold: float


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """The size from which on a change counts, case by case."""

    tolerances: Mapping[str, float]
    """The share by case: 0.03 is three percent."""
    noise_floor: NoiseFloor

    def of(self, case: str, pairs: int) -> float:
        """The threshold of a case over this many pairs, as a share."""
        return max(self.tolerances[case], self.noise_floor(pairs))


def estimate_each(log_ratios: Mapping[str, Sequence[float]], error: float) -> dict[str, RatioEstimate]:
    """The ratio of each case, from as many log ratios for each; `error` is the p-value that a verdict on a case needs.

    Raises ValueError for fewer than `LEAST_PAIRS` pairs.
    """
    values = np.array(list(log_ratios.values()))  # (cases, pairs)
    count = values.shape[1]
    if count < LEAST_PAIRS:
        raise ValueError(f"{count} pairs; expected {LEAST_PAIRS} or more")
    mean = np.mean(values, axis=1)
    # A clock that stands still has no spread, and its p-values would be 0/0.
    spread = np.maximum(np.std(values, axis=1, ddof=1), 1e-9) / math.sqrt(count)
    half = student_quantile(count - 1, (1 + CONFIDENCE) / 2) * spread
    found = (student_quantile(count - 1, 1 - error) + student_quantile(count - 1, POWER)) * spread
    fields = {
        "ratio": np.exp(mean),
        "low": np.exp(mean - half),
        "high": np.exp(mean + half),
        "p_slower": special.stdtr(count - 1, -mean / spread),
        "p_faster": special.stdtr(count - 1, mean / spread),
        "detectable": np.expm1(found),
    }
    rows = zip(*(column.tolist() for column in fields.values()), strict=True)
    return {
        case: RatioEstimate(pairs=count, **dict(zip(fields, row, strict=True)))
        for case, row in zip(log_ratios, rows, strict=True)
    }


def bounds(found: RatioEstimate, error: float) -> tuple[float, float]:
    """The interval that misses the true ratio with a probability of `error`, half of it on either side."""
    spread = math.log(found.high / found.ratio) / student_quantile(found.pairs - 1, (1 + CONFIDENCE) / 2)
    half = student_quantile(found.pairs - 1, 1 - error / 2) * spread
    return found.ratio * math.exp(-half), found.ratio * math.exp(half)


def noise_floor(same_code: Sequence[float]) -> NoiseFloor:
    """The noise floor of this machine, from log ratios of a revision against itself on it."""
    variance = statistics.fmean(value * value for value in same_code)
    quantile = student_quantile(len(same_code), (1 + CONFIDENCE) / 2)
    return lambda pairs: math.expm1(quantile * math.sqrt(variance / pairs))


def student_quantile(degrees: int, probability: float) -> float:
    """The value below which Student's t distribution of these degrees of freedom lies with this probability."""
    return float(special.stdtrit(degrees, probability))


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """The p-values adjusted for their number (Holm 1979).

    Among families of true null hypotheses, at most a share e has an adjusted p-value below e.
    """
    ordered = sorted(p_values, key=lambda name: p_values[name])
    adjusted: dict[str, float] = {}
    least = 0.0
    for rank, name in enumerate(ordered):
        least = max(least, min(1.0, p_values[name] * (len(ordered) - rank)))
        adjusted[name] = least
    return adjusted


def judge(estimates: Mapping[str, RatioEstimate], *, error: float, thresholds: Thresholds) -> dict[str, Judgement]:
    """The judgement on each case.

    Where all code is equal, a case is called slower with a probability of `error` at most, over all cases together, and
    one is called faster as rarely.
    """
    slower = holm({case: each.p_slower for case, each in estimates.items()})
    faster = holm({case: each.p_faster for case, each in estimates.items()})
    judged = {}
    for case, each in estimates.items():
        threshold = thresholds.of(case, each.pairs)
        verdict = _verdict(each, threshold, slower[case] < error, faster[case] < error)
        judged[case] = Judgement(verdict, each, threshold)
    return judged


def _verdict(found: RatioEstimate, threshold: float, surely_slower: bool, surely_faster: bool) -> Verdict:
    if surely_slower and found.ratio > 1 + threshold:
        return "slower"
    if surely_faster and found.ratio < 1 / (1 + threshold):
        return "faster"
    return "same" if 1 / (1 + threshold) <= found.low and found.high <= 1 + threshold else "cannot tell"
