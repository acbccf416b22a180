"""Measured groups, cut into trials that share none, and the verdicts of the rules on each trial.

Trials on equal code count the false alarms of a whole suite. Trials with an injected slowdown in one case, and equal
code in the others, count detections. The trials of a case with one size share no group; those of different cases share
processes.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import math
import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from scipy import special

from benchmarks.presentation.plain_text import share
from benchmarks.regression.calibration.measuring import BASE, SLOWED, Group
from benchmarks.regression.calibration.rules import (
    COMPARE,
    Costs,
    Ratios,
    ReplayedVerdict,
    compare_fails,
    equal_code,
    most_pairs,
    replay_verdict,
    t_test,
)
from benchmarks.regression.measuring import floor_pairs

REGRESS = "regress"
T_TEST = "t-test over pairs, p < 0.05, effect > 3 %"
OFF = 0.25
"""By which share of the intended slowdown the measured one may be off. The least work that can be injected into a short
call may be more, or less than was interpolated."""
ONE_AFTER_ANOTHER = "one run after another"
INTERLEAVED = "interleaved"


@dataclasses.dataclass(frozen=True)
class Rate:
    """A share of trials, with Clopper and Pearson's exact 95 % interval."""

    hits: int
    trials: int

    @classmethod
    def of(cls, outcomes: Sequence[bool]) -> Rate:
        """The rate of true outcomes."""
        return cls(sum(outcomes), len(outcomes))

    @property
    def interval(self) -> tuple[float, float]:
        """The bounds of the interval; 0 and 1 without a trial."""
        if not self.trials:
            return 0.0, 1.0
        missed = self.trials - self.hits
        low = special.betaincinv(self.hits, missed + 1, 0.025) if self.hits else 0.0
        high = special.betaincinv(self.hits + 1, missed, 0.975) if missed else 1.0
        return float(low), float(high)

    def __str__(self) -> str:
        if not self.trials:
            return "none measured"
        low, high = self.interval
        return f"{self.hits} of {self.trials} ({share(low)} to {share(high)})"


@dataclasses.dataclass(frozen=True)
class Replay:
    """Groups in the order of measuring, from which trials are cut, with the log ratios of their comparisons."""

    groups: Sequence[Group]
    cases: Sequence[str]
    costs: Costs
    equal: Sequence[Ratios]
    """The log ratios of equal code in each group."""
    injected: Sequence[Ratios]
    """The log ratios of the injected slowdowns in each group."""

    @classmethod
    def of(cls, groups: Sequence[Group], cases: Sequence[str], costs: Costs) -> Replay:
        """The replay of measured groups, whose costs are known."""
        injected = [each.log_ratios(BASE, SLOWED) for each in groups]
        return cls(groups, cases, costs, [equal_code(each) for each in groups], injected)

    def shuffled(self, seed: int) -> Replay:
        """A replay of the same groups in a random order."""
        order = list(range(len(self.groups)))
        random.Random(seed).shuffle(order)  # noqa: S311  # no cryptography
        return dataclasses.replace(
            self,
            groups=[self.groups[at] for at in order],
            equal=[self.equal[at] for at in order],
            injected=[self.injected[at] for at in order],
        )

    def of_size(self, case: str, size: str) -> list[int]:
        """The numbers of the groups in which the case had an injected slowdown of this size, by settled amounts.

        There are none where the slowdown is not `as_intended`.
        """
        return self._of_size.get((case, size), []) if self.as_intended(case, size) else []

    def measured(self, case: str, size: str) -> float | None:
        """The slowdown that was measured where this one was intended, as a share: the median over groups, if any."""
        found = [self.injected[at][case] for at in self._of_size.get((case, size), [])]
        return math.expm1(statistics.median(found)) if found else None

    def as_intended(self, case: str, size: str) -> bool:
        """Whether the measured slowdown is off by at most `OFF` of the intended one, by all groups alike."""
        measured = self.measured(case, size)
        return measured is not None and abs(measured - float(size)) <= OFF * float(size)

    @functools.cached_property
    def _of_size(self) -> Mapping[tuple[str, str], list[int]]:
        found: dict[tuple[str, str], list[int]] = collections.defaultdict(list)
        for at, group in enumerate(self.groups):
            for case in self.cases if group.settled else ():
                found[case, group.sizes[case]].append(at)
        return found


def regress_on_equal_code(replay: Replay, seconds: float) -> list[ReplayedVerdict]:
    """The verdicts of `regress` on the whole suite against itself, each on the groups after those of the one before.

    A trial begins where there are groups enough for the most that it could take.
    """
    most = most_pairs(replay.costs, len(replay.cases), seconds)
    first = floor_pairs(len(replay.cases))
    found, at = list[ReplayedVerdict](), 0
    while at + first + most <= len(replay.equal):
        pairs = replay.equal[at + first : at + first + most]
        for_floor = replay.equal[at : at + first]
        found.append(replay_verdict(pairs, for_floor, replay.cases, replay.costs, seconds))
        at += first + found[-1].pairs
    return found


def regress_on_injected(replay: Replay, size: str, case: str, seconds: float) -> list[ReplayedVerdict]:
    """The verdicts of `regress` on the suite with an injected slowdown of this size in the case.

    The noise floor rests on equal code of the groups just before, in which the case had another size; of the first such
    groups where none lie before.
    """
    most = most_pairs(replay.costs, len(replay.cases), seconds)
    first = floor_pairs(len(replay.cases))
    numbers = replay.of_size(case, size)
    others = sorted(set(range(len(replay.groups))) - set(numbers))
    found, at = list[ReplayedVerdict](), 0
    while at + most <= len(numbers) and len(others) >= first:
        pairs = [{**replay.equal[each], case: replay.injected[each][case]} for each in numbers[at : at + most]]
        before = [each for each in others if each < numbers[at]][-first:]
        for_floor = [replay.equal[each] for each in (before if len(before) == first else others[:first])]
        found.append(replay_verdict(pairs, for_floor, replay.cases, replay.costs, seconds))
        at += found[-1].pairs
    return found


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A rule at a cost."""

    rule: str
    runs: str
    """The order of the runs: `INTERLEAVED` or `ONE_AFTER_ANOTHER`."""
    pairs: int
    seconds: float
    alarms: Callable[[Replay], list[bool]]
    """Whether each trial on equal code raises an alarm."""
    finds: Callable[[Replay, str, str], list[bool]]
    """Whether each trial with a size of slowdown in a case finds it."""


def regress_within(replay: Replay, seconds: float) -> Candidate:
    """The rule `regress` within this many seconds."""
    return Candidate(
        rule=REGRESS,
        runs=INTERLEAVED,
        pairs=most_pairs(replay.costs, len(replay.cases), seconds),
        seconds=seconds,
        alarms=lambda replay: [each.alarm for each in regress_on_equal_code(replay, seconds)],
        finds=lambda replay, size, case: [
            case in each.slower for each in regress_on_injected(replay, size, case, seconds)
        ],
    )


def t_test_on(replay: Replay, pairs: int) -> Candidate:
    """The t-test on this many pairs."""
    return Candidate(
        rule=T_TEST,
        runs=INTERLEAVED,
        pairs=pairs,
        seconds=pairs * replay.costs.pair(len(replay.cases)),
        alarms=lambda replay: [
            any(t_test([[pair[case] for pair in trial] for case in replay.cases]))
            for trial in _chunks(replay.equal, pairs)
        ],
        finds=lambda replay, size, case: t_test(
            [
                [replay.injected[number][case] for number in trial]
                for trial in _chunks(replay.of_size(case, size), pairs)
            ]
        ),
    )


def compare_of(replay: Replay, name: str, runs: int, order: str) -> Candidate:
    """The rule of this name of pytest-benchmark's compare, with this many runs a side.

    Interleaved runs are of one group. Otherwise base is of the group before head's, as when one run follows another.
    """
    back = int(order == ONE_AFTER_ANOTHER)

    def fails(replay: Replay, heads: Sequence[int], case: str, side: int) -> bool:
        base = [replay.groups[number - back].summaries[0][case] for number in heads]
        return compare_fails(base, [replay.groups[number].summaries[side][case] for number in heads], *COMPARE[name])

    return Candidate(
        rule=f"pytest-benchmark, {name}",
        runs=order,
        pairs=runs,
        seconds=runs * replay.costs.pair(len(replay.cases)),
        alarms=lambda replay: [
            any(fails(replay, trial, case, 1) for case in replay.cases)
            for trial in _chunks(range(back, len(replay.groups), 1 + back), runs)
        ],
        finds=lambda replay, size, case: [
            fails(replay, trial, case, 2)
            for trial in _chunks([number for number in replay.of_size(case, size) if number >= back], runs)
        ],
    )


def _chunks(values: Sequence[Any], size: int) -> list[Sequence[Any]]:
    return [values[at : at + size] for at in range(0, len(values) - size + 1, size)]
