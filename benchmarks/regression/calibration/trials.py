"""Cut measured groups into trials that share none, and count what rules say of them.

Trials on equal code tell false alarms of a whole suite. Those with work planted in one case, the others being equal
code, tell power; a case's trials with one size share no group, those of different cases share processes.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Sequence
from typing import Any

from scipy import special

from benchmarks.regression.calibration.measuring import Group
from benchmarks.regression.calibration.rules import (
    COMPARE,
    Costs,
    Ratios,
    Told,
    compare_fails,
    equal_code,
    most_pairs,
    regress,
    t_test,
)
from benchmarks.regression.measuring import floor_pairs
from benchmarks.reporting.plain_text import share

REGRESS = "regress"
T_TEST = "t-test over pairs, p < 0.05, effect > 3 %"
ONE_AFTER_ANOTHER = "one run after another"
IN_TURNS = "in turns"


@dataclasses.dataclass(frozen=True)
class Rate:
    """So many of so many, with Clopper and Pearson's exact 95 % interval."""

    hits: int
    trials: int

    @classmethod
    def of(cls, outcomes: Sequence[bool]) -> Rate:
        """How many are true."""
        return cls(sum(outcomes), len(outcomes))

    @property
    def interval(self) -> tuple[float, float]:
        """Its bounds."""
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
        return f"{self.hits} of {self.trials} ({share(low) if low else '0 %'} to {share(high)})"


@dataclasses.dataclass(frozen=True)
class Replay:
    """Groups with the log ratios of all their comparisons, and what pairs cost: what trials are cut from."""

    groups: Sequence[Group]
    cases: Sequence[str]
    costs: Costs
    equal: Sequence[Ratios]
    planted: Sequence[Ratios]

    @classmethod
    def of(cls, groups: Sequence[Group], cases: Sequence[str], costs: Costs) -> Replay:
        """Of groups in the order they were measured in."""
        return cls(
            groups, cases, costs, [equal_code(each) for each in groups], [each.log_ratios(0, 2) for each in groups]
        )

    def shuffled(self, seed: int) -> Replay:
        """The same groups in another order."""
        order = list(range(len(self.groups)))
        random.Random(seed).shuffle(order)  # noqa: S311  # no cryptography
        return dataclasses.replace(
            self,
            groups=[self.groups[at] for at in order],
            equal=[self.equal[at] for at in order],
            planted=[self.planted[at] for at in order],
        )

    def of_size(self, case: str, size: str) -> list[int]:
        """The groups in which the case had work of this size planted, as it was settled, by number."""
        return [at for at, group in enumerate(self.groups) if group.settled and group.sizes[case] == size]


def regress_on_equal_code(replay: Replay, seconds: float) -> list[Told]:
    """`regress` on the whole suite against itself. A trial takes groups as it needs them, the next goes on after it.

    Whether there are groups enough for another is settled before it begins, by the most that it could take.
    """
    most = most_pairs(replay.costs, len(replay.cases), seconds)
    first = floor_pairs(len(replay.cases))
    found, at = list[Told](), 0
    while at + first + most <= len(replay.equal):
        pairs = replay.equal[at + first : at + first + most]
        found.append(regress(pairs, replay.equal[at : at + first], replay.cases, replay.costs, seconds))
        at += first + found[-1].pairs
    return found


def regress_on_planted(replay: Replay, size: str, case: str, seconds: float) -> list[Told]:
    """`regress` on the suite with work of this size planted in the case.

    The pairs for the floor are equal code of the groups before, in which the case had work of another size.
    """
    most = most_pairs(replay.costs, len(replay.cases), seconds)
    first = floor_pairs(len(replay.cases))
    numbers = replay.of_size(case, size)
    others = sorted(set(range(len(replay.groups))) - set(numbers))
    found, at = list[Told](), 0
    while at + most <= len(numbers) and len(others) >= first:
        pairs = [{**replay.equal[each], case: replay.planted[each][case]} for each in numbers[at : at + most]]
        before = [each for each in others if each < numbers[at]][-first:]
        for_floor = [replay.equal[each] for each in (before if len(before) == first else others[:first])]
        found.append(regress(pairs, for_floor, replay.cases, replay.costs, seconds))
        at += found[-1].pairs
    return found


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A rule at a cost: which trials on equal code it raises an alarm in, and which of a size in a case it finds."""

    rule: str
    runs: str
    pairs: int
    seconds: float
    alarms: Callable[[Replay], list[bool]]
    finds: Callable[[Replay, str, str], list[bool]]


def regress_within(replay: Replay, seconds: float) -> Candidate:
    """`regress` with so much time."""
    return Candidate(
        REGRESS,
        IN_TURNS,
        most_pairs(replay.costs, len(replay.cases), seconds),
        seconds,
        lambda replay: [each.alarm for each in regress_on_equal_code(replay, seconds)],
        lambda replay, size, case: [case in each.slower for each in regress_on_planted(replay, size, case, seconds)],
    )


def t_test_on(replay: Replay, pairs: int) -> Candidate:
    """The t-test on so many pairs."""
    return Candidate(
        T_TEST,
        IN_TURNS,
        pairs,
        pairs * replay.costs.pair(len(replay.cases)),
        lambda replay: [
            any(t_test([[pair[case] for pair in trial] for case in replay.cases]))
            for trial in _chunks(replay.equal, pairs)
        ],
        lambda replay, size, case: t_test(
            [[replay.planted[number][case] for number in trial] for trial in _chunks(replay.of_size(case, size), pairs)]
        ),
    )


def compare_of(replay: Replay, name: str, runs: int, order: str) -> Candidate:
    """pytest-benchmark's compare, of so many runs a side.

    In turns: both sides are of one group. Else base is of the group before head's, as when one run follows another.
    """
    back = int(order == ONE_AFTER_ANOTHER)

    def fails(replay: Replay, heads: Sequence[int], case: str, side: int) -> bool:
        base = [replay.groups[number - back].summaries[0][case] for number in heads]
        return compare_fails(base, [replay.groups[number].summaries[side][case] for number in heads], *COMPARE[name])

    return Candidate(
        f"pytest-benchmark, {name}",
        order,
        runs,
        runs * replay.costs.pair(len(replay.cases)),
        lambda replay: [
            any(fails(replay, trial, case, 1) for case in replay.cases)
            for trial in _chunks(range(back, len(replay.groups), 1 + back), runs)
        ],
        lambda replay, size, case: [
            fails(replay, trial, case, 2)
            for trial in _chunks([number for number in replay.of_size(case, size) if number >= back], runs)
        ],
    )


def _chunks(values: Sequence[Any], size: int) -> list[Sequence[Any]]:
    return [values[at : at + size] for at in range(0, len(values) - size + 1, size)]
