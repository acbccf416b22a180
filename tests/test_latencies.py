"""Histograms of calls: their error, their percentiles with intervals, and what is no histogram."""

from __future__ import annotations

import base64
import zlib

import numpy as np
import pytest

from benchmarks import latencies
from benchmarks.latencies import ERROR, HIGHEST, Latencies
from benchmarks.statistics import MINIMUM_BLOCKS


def decoded(*blocks: object) -> Latencies:
    """Blocks of nanoseconds, through text and back."""
    return Latencies.decode([latencies.encode(np.asarray(block, np.int64)) for block in blocks])


@pytest.mark.parametrize("scale", [50, 3_000, 80_000, 4_000_000, 900_000_000])
def test_a_time_is_within_the_known_error(scale: int) -> None:
    """Every time, from nanoseconds to seconds, comes back within `ERROR`."""
    times = np.unique(np.random.default_rng(1).integers(scale, 2 * scale, 500))
    back = decoded(times)
    nearest = back.values[np.searchsorted(back.values, times / 1e9).clip(1, len(back.values) - 1)]
    below = back.values[np.searchsorted(back.values, times / 1e9).clip(1) - 1]
    off = np.minimum(abs(nearest - times / 1e9), abs(below - times / 1e9))
    assert (off <= ERROR * times / 1e9 * 1.001).all()
    assert back.calls == len(times)


def test_percentiles_are_those_of_all_calls() -> None:
    """The percentile of a sum of blocks is that of their calls, within the error; the worst is the longest call."""
    generator = np.random.default_rng(2)
    blocks = [np.exp(generator.normal(8, 0.5, 4000)).astype(np.int64) for _ in range(MINIMUM_BLOCKS)]
    found, calls = decoded(*blocks), np.concatenate(blocks)
    for percent in (50.0, 99.0, 99.9):
        estimate = found.percentile(percent)
        assert estimate is not None
        # NumPy's rank of 99.9 % of 24,000 is one more, by rounding.
        true = np.sort(calls)[round(len(calls) * percent / 100) - 1] / 1e9
        assert estimate.median == pytest.approx(true, rel=ERROR * 1.01)
        assert estimate.low <= estimate.median <= estimate.high
    assert found.worst == pytest.approx(calls.max() / 1e9, rel=ERROR)
    assert found.mean.median == pytest.approx(calls.mean() / 1e9, rel=ERROR)


def test_intervals_cover_the_truth_where_calls_of_a_block_move_together() -> None:
    """Where blocks differ, nine in ten intervals hold the true median and eight in ten the 99th percentile."""
    generator = np.random.default_rng(3)
    quantile = {50.0: 0.0, 99.0: 2.3263}
    runs, blocks, calls = 60, 18, 600
    covered = dict.fromkeys(quantile, 0)
    covered_by_calls = 0
    for _ in range(runs):
        shifts = generator.normal(0, 0.05, blocks)
        times = [np.exp(generator.normal(np.log(5000) + shift, 0.1, calls)) for shift in shifts]
        found = decoded(*times)
        for percent, deviations in quantile.items():
            true = 5000e-9 * np.exp(deviations * np.hypot(0.05, 0.1))
            estimate = found.percentile(percent)
            assert estimate is not None
            covered[percent] += estimate.low <= true <= estimate.high
        # The distribution-free interval of the median, as if calls were independent.
        ordered = np.sort(np.concatenate(times)) / 1e9
        off = round(1.96 * np.sqrt(len(ordered)) / 2)
        covered_by_calls += ordered[len(ordered) // 2 - off] <= 5000e-9 <= ordered[len(ordered) // 2 + off]
    assert covered[50.0] >= 0.88 * runs
    assert covered[99.0] >= 0.75 * runs
    assert covered_by_calls < 0.5 * runs


def test_few_calls_or_blocks_have_no_percentile_or_interval() -> None:
    """Ten calls have to lie beyond a percentile, and six blocks make an interval."""
    few = decoded(np.arange(100, 1100))
    assert few.percentile(99.9) is None
    half = few.percentile(50.0)
    assert half is not None
    assert np.isnan([half.low, half.high]).all()
    assert decoded(np.arange(100, 10_100)).percentile(99.9) is not None


def test_the_share_beyond_a_deadline_is_bounded_where_no_call_is_late() -> None:
    """Of a thousand calls in time, at most three in a thousand are surely late; late ones are counted."""
    found = decoded(*[np.full(1000, 2000)] * MINIMUM_BLOCKS)
    none = found.share_beyond(1e-5)
    assert (none.median, none.low) == (0.0, 0.0)
    assert none.high == pytest.approx(3 / 6000)
    late = decoded(*[np.concatenate([np.full(990, 2000), np.full(10, 50_000)])] * MINIMUM_BLOCKS).share_beyond(1e-5)
    assert (late.median, late.low, late.high) == pytest.approx((0.01, 0.01, 0.01))


def test_a_long_call_is_not_lost() -> None:
    """A time beyond the longest counts as the longest."""
    assert decoded([HIGHEST * 5]).worst == pytest.approx(HIGHEST / 1e9, rel=ERROR)


def bomb() -> str:
    """Text that unpacks to very much."""
    return base64.b64encode(bytes(8) + zlib.compress(bytes(1 << 26))).decode()


@pytest.mark.parametrize(
    "text",
    ["", "AAAA", "no base64!", bomb(), "A" * (latencies.LONGEST_TEXT + 4), latencies.encode(np.ones(1, np.int64))[:-8]],
)
def test_what_is_no_histogram_is_refused(text: str) -> None:
    """A stranger's text is a ValueError, also where it would unpack to more than the memory holds."""
    with pytest.raises(ValueError, match="latencies"):
        Latencies.decode([text])
