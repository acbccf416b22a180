"""Log ratios of head to base, as pairs of processes give them, and estimates from them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from benchmarks.regression.judging.verdicts import RatioEstimate, Thresholds, estimate_each

NOISE = (0.004, -0.006, 0.001, 0.003, -0.002, 0.005, -0.001, -0.004, 0.002, 0.000, 0.006, -0.003)


def shifted(by: float, count: int = 5) -> list[float]:
    """The log ratios of a case whose time was multiplied by exp(by), with a spread of half a percent."""
    return [by + NOISE[number % len(NOISE)] for number in range(count)]


def thresholds(cases: Iterable[str], noise: float = 0.0) -> Thresholds:
    """A tolerance of 3 % for each case, and this noise floor, as a share, for any number of pairs."""
    return Thresholds(dict.fromkeys(cases, 0.03), lambda _: noise)


def estimate(log_ratios: Sequence[float], error: float = 0.05) -> RatioEstimate:
    """The ratio of a case that is judged by itself."""
    return estimate_each({"case": log_ratios}, error)["case"]


def exactly(**fields: float) -> RatioEstimate:
    """An estimate from five pairs of equal code without any spread, with these fields changed."""
    equal = RatioEstimate(pairs=5, ratio=1.0, low=1.0, high=1.0, p_slower=1.0, p_faster=1.0, detectable=0.0)
    return dataclasses.replace(equal, **fields)  # type: ignore[arg-type]  # pairs is a whole number
