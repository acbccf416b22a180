"""From samples to an estimate: pure functions, no clock.

Samples that follow each other in one process are not independent; a block of them moves together with the
machine. So the block is the unit here: each is reduced to its median, the estimate is the median of those, and
its interval is the distribution-free one between two of their order statistics (David and Nagaraja, Order
Statistics, section 7.1), which asks nothing of the shape of the noise and lets no single block move it once
there are nine.
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
    """A median in seconds with its confidence interval; the bounds are NaN when there are too few blocks."""

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


def estimate(seconds: Sequence[float], blocks: Sequence[int]) -> Estimate:
    """The median of the block medians and its interval at `CONFIDENCE`.

    `blocks` says how many samples each block has, in order. Raises ValueError when there are none or they do
    not add up to the samples.
    """
    return _of_blocks(block_medians(seconds, blocks))


def estimate_ratio(numerators: Sequence[float], denominators: Sequence[float]) -> Estimate:
    """The median ratio of block medians measured next to each other, and its interval at `CONFIDENCE`.

    Blocks of two implementations that took turns saw the same machine, so what slowed both cancels out in
    their ratio. Raises ValueError when the blocks do not pair.
    """
    if not numerators or len(numerators) != len(denominators):
        raise ValueError(f"{len(numerators)} blocks do not pair with {len(denominators)}")
    return _of_blocks([above / below for above, below in zip(numerators, denominators, strict=True)])


def block_medians(seconds: Sequence[float], blocks: Sequence[int]) -> list[float]:
    """The median of each block's samples, in measured order."""
    if not seconds or sum(blocks) != len(seconds) or min(blocks) < 1:
        raise ValueError(f"blocks {list(blocks)} do not divide {len(seconds)} samples")
    ends = itertools.accumulate(blocks)
    return [statistics.median(seconds[end - size : end]) for end, size in zip(ends, blocks, strict=True)]


POLISHES = 10
EXACT_RANKS = 1000


def side_by_side(seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Typical seconds of each row, freed from what its blocks shared with those that were measured beside them.

    `seconds` (implementations, blocks): a column holds the medians of blocks that took turns, NaN where one has no
    block. A row's plain median depends on which moments of the machine fell into its blocks. Here log seconds are
    taken as a row's own level plus the column's moment plus noise, and both are found by median polish (Tukey 1977,
    Exploratory Data Analysis, chapter 11). The result is the row's level in the median moment. Of two rows, the ratio
    of the results is the median ratio of their blocks; of one row alone, the result is its median.
    Every row and every column must hold a number.
    """
    logs = np.log(seconds)  # (implementations, blocks)
    moments = np.zeros(logs.shape[1])
    for _ in range(POLISHES):
        levels = np.nanmedian(logs - moments, axis=1)
        moments = np.nanmedian(logs - levels[:, None], axis=0)
    levels = np.nanmedian(logs - moments, axis=1)
    typical: NDArray[np.float64] = np.exp(levels + np.median(moments))
    return typical


def _of_blocks(values: Sequence[float]) -> Estimate:
    ordered = sorted(values)
    rank = lowest_rank(len(ordered))
    if rank == 0:
        return Estimate(statistics.median(ordered), math.nan, math.nan)
    return Estimate(statistics.median(ordered), ordered[rank - 1], ordered[-rank])


@functools.cache
def lowest_rank(count: int) -> int:
    """The rank r, from 1, such that the r-th smallest and r-th largest of `count` enclose the median; 0 for none.

    The median lies outside with probability 2 * P(Binomial(count, 1/2) < r), which may be 1 - CONFIDENCE at most.
    For more than `EXACT_RANKS`, whose binomials no float holds, r is the normal approximation's less one: no larger.
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
