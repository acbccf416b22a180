"""Estimates from samples: pure functions without a clock.

Samples that follow each other in one process are correlated, and those of a block most of all. So the unit is the
block: each is reduced to its median, the estimate is the median of those, and its interval is the distribution-free one
between two of their order statistics (David and Nagaraja, Order Statistics, section 7.1). It assumes nothing about the
shape of the noise, and from nine blocks on no single block moves it.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
import statistics
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
MINIMUM_BLOCKS = 6
"""The fewest blocks whose smallest and largest enclose the median with the confidence: 1 - 2 * 0.5**6 = 0.969."""


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A median with its confidence interval, in seconds or as a ratio; the bounds are NaN with too few blocks."""

    median: float
    low: float
    high: float

    @property
    def relative_half_width(self) -> float:
        """Half the interval as a share of the median; NaN when there is no interval."""
        return (self.high - self.low) / 2 / self.median

    def scaled(self, factor: float) -> Estimate:
        """The estimate of a quantity `factor` times as large."""
        return Estimate(self.median * factor, self.low * factor, self.high * factor)

    @property
    def inverse(self) -> Estimate:
        """The estimate of one over the quantity."""
        return Estimate(1 / self.median, 1 / self.high, 1 / self.low)


def estimate(seconds: Sequence[float], blocks: Sequence[int]) -> Estimate:
    """The median of the block medians and its interval at `CONFIDENCE`.

    `blocks` says how many samples each block has, in order. Raises ValueError when there are none or they do not add up
    to the samples.
    """
    return estimate_of_medians(block_medians(seconds, blocks))


def estimate_ratio(numerators: Sequence[float], denominators: Sequence[float]) -> Estimate:
    """The median ratio of block medians measured next to each other, and its interval at `CONFIDENCE`.

    Blocks of two implementations that took turns had the same disturbances, which cancel in their ratio. The median is
    that of the logarithms: the ratio of the denominators to the numerators is the inverse. Raises ValueError when the
    blocks do not pair.
    """
    if not numerators or len(numerators) != len(denominators):
        raise ValueError(f"{len(numerators)} blocks do not pair with {len(denominators)}")
    ratios = [above / below for above, below in zip(numerators, denominators, strict=True)]
    middle = math.sqrt(statistics.median_low(ratios) * statistics.median_high(ratios))
    return dataclasses.replace(estimate_of_medians(ratios), median=middle)


def widest_ratio(above: Estimate, below: Estimate) -> Estimate:
    """The ratio of two medians that were not measured in turns, with the widest bounds that their intervals allow."""
    return Estimate(above.median / below.median, above.low / below.high, above.high / below.low)


def block_medians(seconds: Sequence[float], blocks: Sequence[int]) -> list[float]:
    """The median of each block's samples, in measured order."""
    if not seconds or sum(blocks) != len(seconds) or min(blocks) < 1:
        raise ValueError(f"blocks {list(blocks)} do not divide {len(seconds)} samples")
    ends = itertools.accumulate(blocks)
    return [statistics.median(seconds[end - size : end]) for end, size in zip(ends, blocks, strict=True)]


POLISHES = 10
EXACT_RANKS = 1000


def side_by_side(seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Typical seconds of each row, without the disturbances that its blocks share with those measured next to them.

    `seconds` (implementations, blocks): a column holds the medians of blocks that took turns, NaN where a row has no
    block. Log seconds are modelled as a row effect plus a column effect (what disturbed all blocks of the column) plus
    noise, and both effects are found by median polish (Tukey 1977, Exploratory Data Analysis, chapter 11). The result
    is the row effect at the median column effect. The ratio of two rows' results is the median ratio of their blocks;
    the result of a single row is its median. Every row and every column must hold a number.
    """
    logs = np.log(seconds)  # (implementations, blocks)
    # Where nothing is missing both give the same, and the plain one takes a tenth of the time.
    median = np.nanmedian if np.isnan(logs).any() else np.median
    columns = np.zeros(logs.shape[1])
    for _ in range(POLISHES):
        rows = median(logs - columns, axis=1)
        columns = median(logs - rows[:, None], axis=0)
    rows = median(logs - columns, axis=1)
    typical: NDArray[np.float64] = np.exp(rows + np.median(columns))
    return typical


def estimate_of_medians(medians: Sequence[float]) -> Estimate:
    """The median of block medians, or of ratios of them, with its interval; NaN bounds for too few."""
    ordered = sorted(medians)
    rank = lowest_rank(len(ordered))
    if rank == 0:
        return Estimate(statistics.median(ordered), math.nan, math.nan)
    return Estimate(statistics.median(ordered), ordered[rank - 1], ordered[-rank])


@functools.cache
def lowest_rank(count: int) -> int:
    """The rank r, from 1, such that the r-th smallest and r-th largest of `count` enclose the median; 0 for none.

    The median lies outside with probability 2 * P(Binomial(count, 1/2) < r), which may be 1 - CONFIDENCE at most. Above
    `EXACT_RANKS`, where binomials exceed a float, r is one less than the normal approximation's, so it is no larger.
    """
    if count > EXACT_RANKS:
        deviations = statistics.NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
        return math.floor((count - deviations * math.sqrt(count)) / 2) - 1
    tail = 0.0
    rank = 0
    while rank < count // 2:
        tail += math.comb(count, rank) * 0.5**count
        if 2 * tail > 1 - CONFIDENCE:
            break
        rank += 1
    return rank
