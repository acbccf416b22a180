"""The times of many calls as histograms of known error, and percentiles of them with intervals.

A histogram is an HdrHistogram of whole nanoseconds to two significant digits, in the library's own encoding: base64
text that its tools in other languages read too. A value is the middle of its bucket, which is `ERROR` off at most.

Calls that follow each other are correlated, so an interval is over blocks of calls: blocks are drawn with replacement,
as many as there are, and the interval lies between two quantiles of the percentiles of such draws (Efron and Tibshirani
1993, An Introduction to the Bootstrap, chapter 13; the drawn unit is the block as in section 8.6). The two are further
out than 2.5 and 97.5 %, by what Student's interval is wider than the normal one for so few blocks (the expanded
percentile interval of Hesterberg 2015, What Teachers Should Know About the Bootstrap, section 5.3).
"""

from __future__ import annotations

import base64
import binascii
import functools
import math
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.statistics import CONFIDENCE, MINIMUM_BLOCKS, Estimate

DIGITS = 2
"""Significant digits of a time in a histogram."""
HIGHEST = 10**12
"""Nanoseconds. Longer times are counted as this one."""
ERROR = 1 / 256
"""The largest distance of a time from the middle of its bucket, as a share of the time."""
LEAST_BEYOND = 10
"""Calls that must lie beyond a percentile for it to be given."""
DRAWS = 2000
"""Draws of blocks for an interval."""
LONGEST_TEXT = 65_536
"""Letters of one histogram; those of a million calls take some thousand."""
_LONGEST_PAYLOAD = 1 << 20
_SEED = 20_240

Nanoseconds = npt.NDArray[np.int64]


def encode(nanoseconds: Nanoseconds) -> str:
    """The histogram of some times, at least one, as text. Times above `HIGHEST` count as that."""
    from hdrh.histogram import HdrHistogram

    histogram = HdrHistogram(1, HIGHEST, DIGITS)
    values, counts = np.unique(np.clip(nanoseconds, 1, HIGHEST), return_counts=True)
    for value, count in zip(values.tolist(), counts.tolist(), strict=True):
        histogram.record_value(value, count)
    text: bytes = histogram.encode()
    return text.decode("ascii")


class Latencies:
    """The times of calls in blocks: `values` in seconds, ascending, and `counts` (blocks, values) of calls."""

    def __init__(self, values: npt.NDArray[np.float64], counts: npt.NDArray[np.int64]) -> None:
        self.values = values
        self.counts = counts

    @classmethod
    def decode(cls, texts: Sequence[str]) -> Latencies:
        """The histograms of `encode`, one a block. Raises ValueError for a text that holds none."""
        blocks = [_decoded(text) for text in texts]
        values = np.unique(np.concatenate([each for each, _ in blocks]))
        counts = np.zeros((len(blocks), len(values)), np.int64)
        for row, (own, of_block) in zip(counts, blocks, strict=True):
            row[np.searchsorted(values, own)] = of_block
        return cls(values / 1e9, counts)

    @property
    def calls(self) -> int:
        """Calls of all blocks."""
        return int(self.counts.sum())

    @property
    def worst(self) -> float:
        """Seconds of the longest call, within `ERROR`."""
        return float(self.values[-1])

    @property
    def mean(self) -> Estimate:
        """Seconds of the mean call; it tells how many calls a second are made, and is no typical time."""
        drawn = self._drawn
        means = drawn @ self.values / drawn.sum(axis=1)
        whole = float(self.counts.sum(axis=0) @ self.values / self.calls)
        return Estimate(whole, *self._bounds(means))

    def percentile(self, percent: float) -> Estimate | None:
        """Seconds that this percentage of calls do not exceed; None with fewer than `LEAST_BEYOND` calls beyond it.

        The bounds are NaN with fewer than `MINIMUM_BLOCKS` blocks.
        """
        if self.calls * (100 - percent) / 100 < LEAST_BEYOND * (1 - 1e-9):
            return None
        whole = _percentile(self.values, self.counts.sum(axis=0)[None], percent)[0]
        return Estimate(float(whole), *self._bounds(_percentile(self.values, self._drawn, percent)))

    def share_beyond(self, seconds: float) -> Estimate:
        """The share of calls that take longer; the bounds are 0 and 3 over the calls where none does.

        No event in n trials bounds a rate by 3/n at 95 % (Hanley and Lippman-Hand 1983), which takes calls to be
        independent.
        """
        late = self.values > seconds
        share = float(self.counts[:, late].sum() / self.calls)
        if share == 0:
            return Estimate(0.0, 0.0, min(1.0, 3 / self.calls))
        drawn = self._drawn
        return Estimate(share, *self._bounds(drawn[:, late].sum(axis=1) / drawn.sum(axis=1)))

    def beyond(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Each time and the share of calls that take as long or longer, for a plot."""
        counts = self.counts.sum(axis=0)
        return self.values, counts[::-1].cumsum()[::-1] / counts.sum()

    @functools.cached_property
    def _drawn(self) -> npt.NDArray[np.int64]:
        """Counts (draws, values) of blocks drawn with replacement; the same each time."""
        blocks = len(self.counts)
        generator = np.random.default_rng(_SEED)
        chosen = generator.multinomial(blocks, np.full(blocks, 1 / blocks), size=DRAWS)
        drawn: npt.NDArray[np.int64] = chosen @ self.counts
        return drawn

    def _bounds(self, drawn: npt.NDArray[Any]) -> tuple[float, float]:
        blocks = len(self.counts)
        if blocks < MINIMUM_BLOCKS:
            return math.nan, math.nan
        tail = _expanded_tail(blocks)
        low, high = np.quantile(drawn, (tail, 1 - tail), method="inverted_cdf")
        return float(low), float(high)


@functools.cache
def _expanded_tail(blocks: int) -> float:
    """The share of draws beyond each bound of an interval over so many blocks."""
    # Imported here, since reports of runs without such times need no SciPy.
    from scipy.special import ndtr, stdtrit

    student = stdtrit(blocks - 1, (1 + CONFIDENCE) / 2)
    return float(ndtr(-math.sqrt(blocks / (blocks - 1)) * student))


def _percentile(
    values: npt.NDArray[np.float64], counts: npt.NDArray[np.int64], percent: float
) -> npt.NDArray[np.float64]:
    """The percentile of each row of counts (rows, values)."""
    upto = counts.cumsum(axis=1)
    target = np.ceil(upto[:, -1:] * percent / 100 * (1 - 1e-12))
    found: npt.NDArray[np.float64] = values[(upto >= target).argmax(axis=1)]
    return found


def _decoded(text: str) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """The middle of each bucket in nanoseconds, and its calls. Raises ValueError where the text holds no histogram."""
    # Imported here, since runs without such times are read without it.
    from hdrh.codec import HdrCookieException, HdrHistogramSettingsException, HdrLengthException
    from hdrh.histogram import HdrHistogram

    _check_size(text)
    try:
        histogram = HdrHistogram.decode(text)
    except (
        *(HdrCookieException, HdrLengthException, HdrHistogramSettingsException),
        *(zlib.error, ValueError, TypeError, IndexError, OverflowError, MemoryError),
    ) as error:
        raise ValueError(f"latencies hold no histogram: {type(error).__name__}: {error}") from None
    settings = histogram.lowest_trackable_value, histogram.highest_trackable_value, histogram.significant_figures
    if settings != (1, HIGHEST, DIGITS):
        raise ValueError(f"latencies hold a histogram of {settings}; expected {(1, HIGHEST, DIGITS)}")
    counts = np.ctypeslib.as_array(histogram.counts).astype(np.int64)
    places = np.flatnonzero(counts)
    if not len(places) or counts.min() < 0:
        raise ValueError("latencies hold an empty histogram; expected one call or more")
    lowest = [histogram.get_value_from_index(int(place)) for place in places]
    highest = [histogram.get_highest_equivalent_value(value) for value in lowest]
    return (np.array(lowest) + np.array(highest)) / 2, counts[places]


def _check_size(text: str) -> None:
    """Raise ValueError for a text that is no base64 of a small payload: the library unpacks whatever it holds."""
    if not isinstance(text, str) or len(text) > LONGEST_TEXT:
        raise ValueError(f"latencies: expected texts of at most {LONGEST_TEXT} letters")
    try:
        packed = base64.b64decode(text, validate=True)[8:]
        unpacking = zlib.decompressobj()
        unpacking.decompress(packed, _LONGEST_PAYLOAD)
    except (binascii.Error, ValueError, zlib.error) as error:
        raise ValueError(f"latencies hold no histogram: {type(error).__name__}: {error}") from None
    if unpacking.unconsumed_tail:
        raise ValueError(f"latencies hold a histogram of more than {_LONGEST_PAYLOAD} bytes")
