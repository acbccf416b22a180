"""Steps in a series: pure functions from the processes' times of each revision to change points with their noise.

A series is the logarithm of a case's time over revisions; a revision's value is the median over its processes. The
change points are those of least squares with a penalty (PELT; Killick, Fearnhead and Eckley 2012), by the library
`ruptures`. The penalty is not chosen but follows from the noise and the false alarms that one is ready to have: a
step must lower the sum of squares by more than the largest of the places where it could be does by chance.

Two things move a revision's value when the code is the same. Processes differ: known from the processes of each
revision. And the machine is not the same from one measurement to the next: known from neighbouring revisions, whose
differences hold a step only seldom. The noise is the larger of the two, and what is known from few values counts as
uncertain as it is (Student's t, with Satterthwaite's degrees of freedom).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

FALSE_ALARMS = 0.01
"""The probability of a step that is not there, over all cases of a history together."""
LEAST_STEP = 0.02
"""Smaller steps are left out, however certain."""
SHORTEST = 2
"""Revisions between two steps, and before the first and after the last: one alone is a stray value, not a level."""
CONFIDENCE = 0.95

_MEDIAN_VARIANCE = math.pi / 2
"""Variance of a median over that of a mean, of normal values in the limit of many; a little less for few."""
_MAD_EFFICIENCY = 0.37
"""Of a standard deviation from the median absolute deviation: so many values count as one."""
_LEAST_NOISE = 1e-4
"""No time is known better than to this share."""


class NoRuptures(ValueError):
    """The library that finds change points is not installed; the message says how to have it."""


@dataclasses.dataclass(frozen=True)
class Noise:
    """Standard deviation of a revision's value, as a share of it, and the degrees of freedom behind it."""

    deviation: float
    degrees: float

    def half_width(self, before: int, after: int) -> float:
        """Half the interval, at `CONFIDENCE`, of the difference of levels of so many revisions."""
        quantile = float(stats.t.ppf((1 + CONFIDENCE) / 2, self.degrees))
        return quantile * self.deviation * math.sqrt(1 / before + 1 / after)

    def least_visible(self, revisions: int, cases: int) -> float:
        """The smallest step in the middle of so many revisions that the penalty lets pass, as a log ratio."""
        half = revisions / 2
        return math.sqrt(self.penalty(revisions, cases) * 2 / half)

    def penalty(self, revisions: int, cases: int) -> float:
        """What a step must lower the sum of squares by in a series of so many revisions, one of so many cases."""
        places = max(1, revisions - 2 * SHORTEST + 1)
        quantile = float(stats.t.isf(FALSE_ALARMS / 2 / places / cases, self.degrees))
        return (quantile * self.deviation) ** 2


@dataclasses.dataclass(frozen=True)
class Step:
    """A lasting change of a case's time between two revisions, which are places in the series.

    It lies after `last_before` and not later than `first_after`: the most likely place is `at`, and the others are
    as good within the noise. `ratio` is the time after over the time before.
    """

    start: int
    """Where the level before it begins, and `end` where the one after it has ended."""
    at: int
    end: int
    last_before: int
    first_after: int
    ratio: float
    low: float
    high: float


def values(processes: Sequence[Sequence[float]]) -> np.ndarray:
    """The value of each revision: the median logarithm of its processes' seconds; (n,)."""
    return np.array([float(np.median(np.log(seconds))) for seconds in processes])


def noise_of(processes: Sequence[Sequence[float]]) -> Noise | None:
    """The noise of the revisions' values; None when one revision, or each with one process, leaves it unknown."""
    within, degrees_within = _within(processes)
    differences = np.diff(values(processes))
    if len(differences) < 2:
        return Noise(max(within, _LEAST_NOISE), degrees_within) if degrees_within else None
    between = float(stats.median_abs_deviation(differences, center=_zero, scale="normal")) / math.sqrt(2)
    degrees_between = max(1.0, _MAD_EFFICIENCY * len(differences))
    if not degrees_within:
        return Noise(max(between, _LEAST_NOISE), degrees_between)
    # The part that processes do not explain is known as badly as the differences that tell of it.
    unexplained = max(0.0, between**2 - within**2)
    variance = within**2 + unexplained
    if variance < _LEAST_NOISE**2:
        return Noise(_LEAST_NOISE, degrees_within)
    degrees = variance**2 / (within**4 / degrees_within + unexplained**2 / degrees_between)
    return Noise(math.sqrt(variance), degrees)


def find_steps(processes: Sequence[Sequence[float]], cases: int = 1) -> list[Step]:
    """The steps in a series: seconds of each process of each revision, in the revisions' order.

    `cases` is how many series are looked through: the false alarms of all together are `FALSE_ALARMS`. Raises
    NoRuptures without the library.
    """
    noise = noise_of(processes)
    revisions = len(processes)
    if noise is None or revisions < 2 * SHORTEST:
        return []
    level = values(processes)
    penalty = noise.penalty(revisions, cases)
    ends = _segment(level, penalty)
    while ends:
        borders = [0, *ends, revisions]
        shifts = [
            abs(float(level[middle:end].mean() - level[start:middle].mean()))
            for start, middle, end in zip(borders, borders[1:], borders[2:], strict=False)
        ]
        smallest = int(np.argmin(shifts))
        if shifts[smallest] >= math.log1p(LEAST_STEP):
            break
        del ends[smallest]
    borders = [0, *ends, revisions]
    return [_step(level, noise, *neighbours) for neighbours in zip(borders, borders[1:], borders[2:], strict=False)]


def shift(before: Sequence[Sequence[float]], after: Sequence[Sequence[float]], noise: Noise) -> tuple[float, float]:
    """By how much, as a log ratio, a series is higher in the later revisions, and half the interval of it."""
    difference = float(values(after).mean() - values(before).mean())
    return difference, noise.half_width(len(before), len(after))


def _segment(level: np.ndarray, penalty: float) -> list[int]:
    """Where each level ends but the last, by ruptures: exact least squares with a penalty."""
    try:
        import ruptures
    except ImportError as error:
        raise NoRuptures(
            "change points are found by ruptures, which is not installed: pip install 'rnnbench[history]'"
        ) from error
    found = ruptures.KernelCPD(kernel="linear", min_size=SHORTEST).fit(level[:, None]).predict(pen=penalty)
    return [int(end) for end in found[:-1]]


def _step(level: np.ndarray, noise: Noise, start: int, middle: int, end: int) -> Step:
    """The step at `middle` between the levels that begin at `start` and end before `end`."""
    difference = float(level[middle:end].mean() - level[start:middle].mean())
    half = noise.half_width(middle - start, end - middle)
    # A likelihood interval: places whose sum of squares is hardly larger than the best one's.
    allowed = float(stats.f.ppf(CONFIDENCE, 1, noise.degrees)) * noise.deviation**2
    places = range(start + 1, end)
    squares = np.array([_squares(level[start:place]) + _squares(level[place:end]) for place in places])
    likely = [place for place, found in zip(places, squares, strict=True) if found <= squares.min() + allowed]
    return Step(
        start=start,
        at=middle,
        end=end,
        last_before=min(middle, *likely) - 1,
        first_after=max(middle, *likely),
        ratio=math.exp(difference),
        low=math.exp(difference - half),
        high=math.exp(difference + half),
    )


def _squares(part: np.ndarray) -> float:
    return float(((part - part.mean()) ** 2).sum())


def _within(processes: Sequence[Sequence[float]]) -> tuple[float, float]:
    """The deviation of a revision's value by its processes' own, pooled over revisions; and its degrees of freedom.

    For revisions of unlike many processes, that of the usual one.
    """
    degrees = sum(len(seconds) - 1 for seconds in processes)
    if not degrees:
        return 0.0, 0.0
    squares = sum(_squares(np.log(seconds)) for seconds in processes)
    usual = float(np.median([len(seconds) for seconds in processes]))
    # The median of one or two is their mean.
    factor = _MEDIAN_VARIANCE if usual > 2 else 1.0
    return math.sqrt(factor * squares / degrees / usual), float(degrees)


def _zero(_: np.ndarray, axis: int | None = None) -> float:  # noqa: ARG001  # scipy gives it
    return 0.0
