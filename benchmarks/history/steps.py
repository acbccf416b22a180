"""Steps in a series: pure functions from the processes' times of each revision to change points with their noise.

A series is the logarithm of a case's time over revisions; a revision's value is the median over its processes. The
library `ruptures` finds where so many steps lie best, by least squares, exactly. How many there are is settled by
tests: further steps are taken when they lower the sum of squares by more than noise does, wherever it could, with the
probability of a false alarm that one is ready to have (F tests with Bonferroni's correction for the places).

Two things move a revision's value when the code is the same. Processes differ: known from the processes of each
revision. And the machine is not the same from one measurement to the next: known from how the revisions of a level
differ. The noise is the larger of the two, and what is known from few values counts as uncertain as it is
(Satterthwaite's degrees of freedom).
"""

from __future__ import annotations

import dataclasses
import math
import statistics
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
_TOGETHER = 4
"""Steps that are tried at once: those that undo each other show only together."""
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
        """The smallest step, as a log ratio, that is told when it lies in the middle of so many revisions."""
        needed = _quantile(1, self.degrees, revisions, cases)
        return max(math.log1p(LEAST_STEP), math.sqrt(needed * 4 / revisions) * self.deviation)


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
    return np.array([statistics.median(map(math.log, seconds)) for seconds in processes])


def noise_of(processes: Sequence[Sequence[float]], ends: Sequence[int] = ()) -> Noise | None:
    """The noise of the revisions' values, whose levels end at `ends`; None when too few values leave it unknown."""
    level = values(processes)
    within, degrees_within = _within(processes)
    degrees_between = len(level) - len(ends) - 1
    if degrees_between <= 0:
        return Noise(max(within, _LEAST_NOISE), degrees_within) if degrees_within else None
    between = math.sqrt(_squares_of_levels(level, ends) / degrees_between)
    if not degrees_within:
        return Noise(max(between, _LEAST_NOISE), degrees_between)
    # The part that processes do not explain is known as badly as the few revisions that tell of it.
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
    level = values(processes)
    ends = _kept(processes, _taken(processes, cases), cases)
    noise = noise_of(processes, ends)
    borders = [0, *ends, len(level)]
    if noise is None:
        return []
    return [_step(level, noise, *around) for around in zip(borders, borders[1:], borders[2:], strict=False)]


def levels_end(steps: Sequence[Step]) -> list[int]:
    """Where each level ends but the last, as `noise_of` takes it."""
    return [step.at for step in steps]


def shift(before: Sequence[Sequence[float]], after: Sequence[Sequence[float]], noise: Noise) -> tuple[float, float]:
    """By how much, as a log ratio, a series is higher in the later revisions, and half the interval of it."""
    difference = float(values(after).mean() - values(before).mean())
    return difference, noise.half_width(len(before), len(after))


def _taken(processes: Sequence[Sequence[float]], cases: int) -> list[int]:
    """Where levels end, with as many steps as the tests take one after the other."""
    level = values(processes)
    most = len(level) // SHORTEST - 1
    ends: list[int] = []
    while True:
        squares = _squares_of_levels(level, ends)
        for further in range(1, min(_TOGETHER, most - len(ends)) + 1):
            tried = _best(level, len(ends) + further)
            noise = noise_of(processes, tried)
            gain = (squares - _squares_of_levels(level, tried)) / further
            if noise is not None and gain > noise.deviation**2 * _quantile(further, noise.degrees, len(level), cases):
                ends = tried
                break
        else:
            return ends


def _kept(processes: Sequence[Sequence[float]], ends: Sequence[int], cases: int) -> list[int]:
    """Those of the ends whose step is certain by itself and large enough; the smallest of the others goes first."""
    level = values(processes)
    kept = list(ends)
    while kept:
        noise = noise_of(processes, kept)
        if noise is None:
            return []
        needed = _quantile(1, noise.degrees, len(level), cases) * noise.deviation**2
        borders = [0, *kept, len(level)]
        weak = []
        for start, middle, end in zip(borders, borders[1:], borders[2:], strict=False):
            size = abs(_difference(level, start, middle, end))
            gain = size**2 * (middle - start) * (end - middle) / (end - start)
            if size < math.log1p(LEAST_STEP) or gain <= needed:
                weak.append((size, middle))
        if not weak:
            break
        kept.remove(min(weak)[1])
    return kept


def _quantile(further: int, degrees: float, revisions: int, cases: int) -> float:
    """What the mean gain of so many further steps must exceed, in units of the noise's variance."""
    places = max(1, revisions - 2 * SHORTEST + 1)
    combinations = math.comb(max(places, further), further)
    return float(stats.f.isf(FALSE_ALARMS / _TOGETHER / combinations / cases, further, degrees))


def _best(level: np.ndarray, steps: int) -> list[int]:
    """Where the levels end but the last when there are so many steps: exact least squares, by ruptures."""
    try:
        import ruptures
    except ImportError as error:
        raise NoRuptures(
            "change points are found by ruptures, which is not installed: pip install 'rnnbench[history]'"
        ) from error
    found = ruptures.KernelCPD(kernel="linear", min_size=SHORTEST).fit(level[:, None]).predict(n_bkps=steps)
    return [int(end) for end in found[:-1]]


def _step(level: np.ndarray, noise: Noise, start: int, middle: int, end: int) -> Step:
    """The step at `middle` between the levels that begin at `start` and end before `end`."""
    difference = _difference(level, start, middle, end)
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


def _squares_of_levels(level: np.ndarray, ends: Sequence[int]) -> float:
    return sum(_squares(part) for part in np.split(level, list(ends)))


def _difference(level: np.ndarray, start: int, middle: int, end: int) -> float:
    """By how much the level from `middle` on is above the one before."""
    return float(level[middle:end].mean() - level[start:middle].mean())


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
