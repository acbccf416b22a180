"""Estimates and their intervals, on samples whose truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binom

from benchmarks.statistics import (
    CONFIDENCE,
    MINIMUM_BLOCKS,
    block_medians,
    estimate,
    estimate_ratio,
    lowest_rank,
    side_by_side,
)


def test_the_estimate_is_the_median_of_block_medians() -> None:
    """One wild sample in a block, and one wild block, do not move it."""
    blocks = [[1.0, 1.0, 50.0]] * 4 + [[9.0, 9.0, 9.0]] + [[2.0, 2.0, 2.0]] * 4
    found = estimate([sample for block in blocks for sample in block], [3] * 9)
    assert found.median == 2.0
    assert (found.low, found.high) == (1.0, 2.0)


def test_six_blocks_are_the_fewest_that_give_an_interval() -> None:
    """The extremes of five blocks enclose the median less often than 95 %."""
    assert min(count for count in range(1, 20) if lowest_rank(count) > 0) == MINIMUM_BLOCKS
    few = estimate([1.0, 2.0, 3.0], [1, 1, 1])
    assert few.median == 2.0
    assert math.isnan(few.low)
    assert math.isnan(few.relative_half_width)


@pytest.mark.parametrize("count", [6, 9, 12, 25, 60])
def test_the_rank_is_the_largest_that_keeps_the_confidence(count: int) -> None:
    """The probability that all lies on one side of the bounds is 5 % at most; one rank further it is more."""

    def outside(rank: int) -> float:
        return 2.0 * sum(math.comb(count, k) for k in range(rank)) * 0.5**count

    rank = lowest_rank(count)
    assert outside(rank) <= 0.05 < outside(rank + 1)


def test_the_interval_holds_the_truth_when_samples_of_a_block_move_together() -> None:
    """Blocks with noise of their own: the interval covers the true median in 95 % of runs; per-sample ones do not."""
    generator = np.random.default_rng(1)
    covered = covered_by_samples = 0
    runs = 2000
    for _ in range(runs):
        shift = generator.normal(0.0, 0.05, size=(12, 1))
        samples = np.exp(shift + generator.normal(0.0, 0.01, size=(12, 8)))
        found = estimate(samples.ravel().tolist(), [8] * 12)
        covered += found.low <= 1.0 <= found.high
        as_if_independent = estimate(samples.ravel().tolist(), [1] * 96)
        covered_by_samples += as_if_independent.low <= 1.0 <= as_if_independent.high
    assert covered / runs > 0.94
    assert covered_by_samples / runs < 0.75


def test_what_slows_both_sides_cancels_in_a_ratio() -> None:
    """The machine halves its speed midway: the ratio of paired blocks does not notice."""
    below = [1.0, 1.0, 1.0, 2.0, 2.0, 2.0]
    found = estimate_ratio([3.0 * value for value in below], below)
    assert (found.low, found.median, found.high) == (3.0, 3.0, 3.0)


def test_blocks_that_do_not_fit_are_refused() -> None:
    """Blocks must divide the samples, and both sides of a ratio must have the same number of them."""
    with pytest.raises(ValueError, match="do not divide 3 samples"):
        estimate([1.0, 1.0, 1.0], [2])
    with pytest.raises(ValueError, match="do not divide 0 samples"):
        block_medians([], [])
    with pytest.raises(ValueError, match="2 blocks do not pair with 1"):
        estimate_ratio([1.0, 1.0], [1.0])


def test_side_by_side_is_exact_where_effects_explain_all() -> None:
    """Rows times effects, some cells missing: the rows come out in the ratio they have, in the median effect."""
    rows, effects = np.array([[1.0], [3.0], [10.0]]), np.array([1.0, 1.2, 4.0, 1.0, 1.1, 1.2, 1.3])
    seconds = rows * effects
    seconds[0, 2] = seconds[2, 5] = np.nan
    assert side_by_side(seconds) == pytest.approx(rows[:, 0] * 1.2)


def test_side_by_side_of_one_row_is_its_median() -> None:
    """A single row shares no disturbance with another."""
    assert side_by_side(np.array([[1.0, 2.0, 9.0]])) == pytest.approx([2.0])


def test_side_by_side_is_nearer_than_medians() -> None:
    """Equal rows on a machine that drifts more than they scatter: results differ less than medians do."""
    generator = np.random.default_rng(0)
    plain, freed = [], []
    for _ in range(200):
        effects = generator.choice([1.0, 1.15], 18)
        seconds = effects * np.exp(generator.normal(0, 0.02, (2, 18)))
        plain.append(abs(math.log(np.median(seconds[0]) / np.median(seconds[1]))))
        freed.append(abs(math.log(np.divide(*side_by_side(seconds)))))
    assert np.mean(freed) < 0.7 * np.mean(plain)


@pytest.mark.parametrize("count", [1001, 1500, 10_001, 10**6])
def test_of_many_blocks_the_interval_is_no_narrower_than_the_exact_one(count: int) -> None:
    """No float holds their binomials: the rank is at most the exact one, and nearly so."""
    rank = lowest_rank(count)
    assert 2 * binom.cdf(rank - 1, count, 0.5) <= 1 - CONFIDENCE
    assert 2 * binom.cdf(rank + 3, count, 0.5) > 1 - CONFIDENCE
