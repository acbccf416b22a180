"""From the log ratios of process pairs to a verdict a case: pure functions, no clock.

Log ratios of fresh process pairs are independent, so the interval of their mean is Student's t over pairs. A verdict
needs two gates: certain over all cases together (Holm 1979), and larger than what matters: the tolerance, or where
this machine cannot tell so small a change, the floor that the same code against itself showed.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np
from scipy import special

Verdict = Literal["faster", "same", "slower", "cannot tell"]

CONFIDENCE = 0.95
POWER = 0.8
LEAST_PAIRS = 3
"""Two pairs give an interval that is of no use."""


@dataclasses.dataclass(frozen=True)
class Estimate:
    """head / base of one case: the ratio, its interval at `CONFIDENCE`, one-sided p-values, and what could be seen.

    `detectable` is the smallest slowdown that so many pairs with this spread find four times in five, as a share.
    """

    pairs: int
    ratio: float
    low: float
    high: float
    p_slower: float
    p_faster: float
    detectable: float


@dataclasses.dataclass(frozen=True)
class Judgement:
    """The verdict on one case, and what it rests on; `gate` is the change that matters, as a share."""

    verdict: Verdict
    estimate: Estimate
    gate: float


def estimate_each(log_ratios: Mapping[str, Sequence[float]], error: float) -> dict[str, Estimate]:
    """What the pairs say of each case, all of which have as many; raises ValueError where these are too few.

    `error` is the p-value that a verdict on one case needs, for `detectable`.
    """
    values = np.array(list(log_ratios.values()))  # (cases, pairs)
    count = values.shape[1]
    if count < LEAST_PAIRS:
        raise ValueError(f"{count} pairs; expected {LEAST_PAIRS} or more")
    mean = np.mean(values, axis=1)
    # A spread of nothing, of a clock that stands still, would make p-values of 0/0.
    spread = np.maximum(np.std(values, axis=1, ddof=1), 1e-9) / math.sqrt(count)
    half = _student(count - 1, (1 + CONFIDENCE) / 2) * spread
    found = (_student(count - 1, 1 - error) + _student(count - 1, POWER)) * spread
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
        case: Estimate(pairs=count, **dict(zip(fields, row, strict=True)))
        for case, row in zip(log_ratios, rows, strict=True)
    }


def bounds(found: Estimate, error: float) -> tuple[float, float]:
    """The interval of a ratio outside of which the true one lies with a probability of `error`, on either side half."""
    spread = math.log(found.high / found.ratio) / _student(found.pairs - 1, (1 + CONFIDENCE) / 2)
    half = _student(found.pairs - 1, 1 - error / 2) * spread
    return found.ratio * math.exp(-half), found.ratio * math.exp(half)


def noise_floor(same_code: Sequence[float]) -> Callable[[int], float]:
    """How far apart the same code against itself may come out over so many pairs, as a share, by number of pairs.

    `same_code` are log ratios of a revision against itself on this machine.
    """
    variance = statistics.fmean(value * value for value in same_code)
    quantile = _student(len(same_code), (1 + CONFIDENCE) / 2)
    return lambda pairs: math.expm1(quantile * math.sqrt(variance / pairs))


def _student(degrees: int, probability: float) -> float:
    """Where Student's t distribution has so much below it."""
    return float(special.stdtrit(degrees, probability))


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """The p-values adjusted for their number (Holm 1979): below e, at most e of such families have a false one."""
    ordered = sorted(p_values, key=lambda name: p_values[name])
    adjusted: dict[str, float] = {}
    least = 0.0
    for rank, name in enumerate(ordered):
        least = max(least, min(1.0, p_values[name] * (len(ordered) - rank)))
        adjusted[name] = least
    return adjusted


def judge(
    estimates: Mapping[str, Estimate],
    *,
    error: float,
    tolerances: Mapping[str, float],
    floor_of: Callable[[int], float],
) -> dict[str, Judgement]:
    """The judgement on each case, at most `error` of such families of cases having a false slower, or a false faster.

    `tolerances` are shares by case: 0.03 is three percent. `floor_of` gives the noise floor of so many pairs.
    """
    slower = holm({case: each.p_slower for case, each in estimates.items()})
    faster = holm({case: each.p_faster for case, each in estimates.items()})
    judged = {}
    for case, each in estimates.items():
        gate = max(tolerances[case], floor_of(each.pairs))
        judged[case] = Judgement(_verdict(each, gate, slower[case] < error, faster[case] < error), each, gate)
    return judged


def _verdict(found: Estimate, gate: float, surely_slower: bool, surely_faster: bool) -> Verdict:
    if surely_slower and found.ratio > 1 + gate:
        return "slower"
    if surely_faster and found.ratio < 1 / (1 + gate):
        return "faster"
    return "same" if 1 / (1 + gate) <= found.low and found.high <= 1 + gate else "cannot tell"
