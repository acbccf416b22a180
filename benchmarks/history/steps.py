"""Steps in a series: pure functions from the times of each revision's processes to change points with their noise.

A series is the logarithm of a case's time over revisions; the value of a revision is the median over its processes. The
library `ruptures` places a given number of steps exactly, by least squares. F tests settle their number: additional
steps are accepted when they lower the sum of squares by more than noise does anywhere in the series, at a given
probability of a false alarm (Bonferroni's correction for the places).

The value of a revision has two kinds of noise while the code is the same: processes differ, which the processes of each
revision show, and the machine changes between measurements, which the revisions of a level show. The larger of the two
counts. Its degrees of freedom are Satterthwaite's, so that a noise estimated from few values is as uncertain as it is.
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
"""The smallest step that is reported, however certain a smaller one is."""
SHORTEST = 2
"""The least number of revisions of a level: a single one is a stray value."""
CONFIDENCE = 0.95

_MEDIAN_VARIANCE = math.pi / 2
"""The variance of a median over that of a mean, for many normal values; a little less for few."""
_MOST_AT_ONCE = 4
"""The most steps that are tried at once: steps that undo each other are found only together."""
_LEAST_NOISE = 1e-4
"""The least noise that is assumed, as a share: no time is known better."""


class NoRuptures(ValueError):
    """The library that finds change points is not installed; the message says how to install it."""


@dataclasses.dataclass(frozen=True)
class Noise:
    """The standard deviation of a revision's value, as a share, and the degrees of freedom of its estimate."""

    deviation: float
    degrees: float

    def half_width(self, before: int, after: int) -> float:
        """Half the interval, at `CONFIDENCE`, of the difference of two levels; `before` and `after` count revisions."""
        quantile = float(stats.t.ppf((1 + CONFIDENCE) / 2, self.degrees))
        return quantile * self.deviation * math.sqrt(1 / before + 1 / after)

    def least_visible(self, revisions: int, cases: int) -> float:
        """The smallest step, as a log ratio, that is found when it lies in the middle of this many revisions."""
        needed = _quantile(1, self.degrees, revisions, cases)
        return max(math.log1p(LEAST_STEP), math.sqrt(needed * 4 / revisions) * self.deviation)


@dataclasses.dataclass(frozen=True)
class StepChange:
    """A lasting change of a case's time. Revisions are named by their places in the series.

    The step lies after `last_before` and not later than `first_after`; within the noise, no place between them is less
    likely than `at`.
    """

    start: int
    """The first revision of the level before the step."""
    at: int
    """The most likely first revision of the level after the step."""
    end: int
    """The place after the last revision of the level after the step."""
    last_before: int
    first_after: int
    ratio: float
    """The time after over the time before."""
    low: float
    """The lower bound of the ratio's interval at `CONFIDENCE`."""
    high: float
    """The upper bound of the ratio's interval at `CONFIDENCE`."""


def values(processes: Sequence[Sequence[float]]) -> np.ndarray:
    """The value of each revision: the median logarithm of its processes' seconds; (n,)."""
    return np.array([statistics.median(map(math.log, seconds)) for seconds in processes])


def noise_of(processes: Sequence[Sequence[float]], ends: Sequence[int] = ()) -> Noise | None:
    """The noise of the revisions' values, whose levels but the last end at `ends`; None for too few values."""
    level = values(processes)
    within, degrees_within = _within(processes)
    degrees_between = len(level) - len(ends) - 1
    if degrees_between <= 0:
        return Noise(max(within, _LEAST_NOISE), degrees_within) if degrees_within else None
    between = math.sqrt(_squares_of_levels(level, ends) / degrees_between)
    if not degrees_within:
        return Noise(max(between, _LEAST_NOISE), degrees_between)
    # The part that processes do not explain has the degrees of freedom of the revisions.
    unexplained = max(0.0, between**2 - within**2)
    variance = within**2 + unexplained
    if variance < _LEAST_NOISE**2:
        return Noise(_LEAST_NOISE, degrees_within)
    degrees = variance**2 / (within**4 / degrees_within + unexplained**2 / degrees_between)
    return Noise(math.sqrt(variance), degrees)


def find_steps(processes: Sequence[Sequence[float]], cases: int = 1) -> list[StepChange]:
    """The steps in a series.

    Args:
        processes: The seconds of each process of each revision, in the order of the revisions.
        cases: The number of series that are searched together; the probability of a false alarm in any is
            `FALSE_ALARMS`.

    Raises NoRuptures without the library.
    """
    level = values(processes)
    ends = _significant(processes, _candidates(processes, cases), cases)
    noise = noise_of(processes, ends)
    borders = [0, *ends, len(level)]
    if noise is None:
        return []
    return [_step(level, noise, *around) for around in zip(borders, borders[1:], borders[2:], strict=False)]


def levels_end(steps: Sequence[StepChange]) -> list[int]:
    """The places at which the levels but the last end, for `noise_of`."""
    return [step.at for step in steps]


def shift(before: Sequence[Sequence[float]], after: Sequence[Sequence[float]], noise: Noise) -> tuple[float, float]:
    """The log ratio of the later revisions to the earlier ones, and half the width of its interval."""
    difference = float(values(after).mean() - values(before).mean())
    return difference, noise.half_width(len(before), len(after))


def _candidates(processes: Sequence[Sequence[float]], cases: int) -> list[int]:
    """The places at which levels end, with steps added as long as the tests accept more."""
    level = values(processes)
    most = len(level) // SHORTEST - 1
    ends: list[int] = []
    while True:
        squares = _squares_of_levels(level, ends)
        for added in range(1, min(_MOST_AT_ONCE, most - len(ends)) + 1):
            tried = _best(level, len(ends) + added)
            noise = noise_of(processes, tried)
            gain = (squares - _squares_of_levels(level, tried)) / added
            if noise is not None and gain > noise.deviation**2 * _quantile(added, noise.degrees, len(level), cases):
                ends = tried
                break
        else:
            return ends


def _significant(processes: Sequence[Sequence[float]], ends: Sequence[int], cases: int) -> list[int]:
    """The ends whose step is certain by itself and large enough; the others are removed one by one, smallest first."""
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


def _quantile(added: int, degrees: float, revisions: int, cases: int) -> float:
    """The least mean gain of this many additional steps, in units of the noise's variance."""
    places = max(1, revisions - 2 * SHORTEST + 1)
    combinations = math.comb(max(places, added), added)
    return float(stats.f.isf(FALSE_ALARMS / _MOST_AT_ONCE / combinations / cases, added, degrees))


def _best(level: np.ndarray, steps: int) -> list[int]:
    """The places at which the levels but the last end, for this many steps: exact least squares, by ruptures."""
    try:
        import ruptures
    except ImportError as error:
        raise NoRuptures(
            "change points are found by ruptures, which is not installed: pip install 'rnnbench[history]'"
        ) from error
    found = ruptures.KernelCPD(kernel="linear", min_size=SHORTEST).fit(level[:, None]).predict(n_bkps=steps)
    return [int(end) for end in found[:-1]]


def _step(level: np.ndarray, noise: Noise, start: int, middle: int, end: int) -> StepChange:
    """The step at `middle` between the levels that begin at `start` and end before `end`."""
    difference = _difference(level, start, middle, end)
    half = noise.half_width(middle - start, end - middle)
    # A likelihood interval: the places whose sum of squares is not much larger than the best one's.
    allowed = float(stats.f.ppf(CONFIDENCE, 1, noise.degrees)) * noise.deviation**2
    places = range(start + 1, end)
    squares = np.array([_squares(level[start:place]) + _squares(level[place:end]) for place in places])
    likely = [place for place, found in zip(places, squares, strict=True) if found <= squares.min() + allowed]
    return StepChange(
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
    """The difference of the level from `middle` on to the level before."""
    return float(level[middle:end].mean() - level[start:middle].mean())


def _within(processes: Sequence[Sequence[float]]) -> tuple[float, float]:
    """The deviation of a revision's value that its processes explain, pooled over revisions; its degrees of freedom.

    Where revisions have different numbers of processes, it is the deviation of one with the median number.
    """
    degrees = sum(len(seconds) - 1 for seconds in processes)
    if not degrees:
        return 0.0, 0.0
    squares = sum(_squares(np.log(seconds)) for seconds in processes)
    number = float(np.median([len(seconds) for seconds in processes]))
    # The median of one or two is their mean.
    factor = _MEDIAN_VARIANCE if number > 2 else 1.0
    return math.sqrt(factor * squares / degrees / number), float(degrees)
