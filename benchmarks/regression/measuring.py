"""Measure pairs of two revisions as they are asked for, within a budget; what fails on the way drops out."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping, Sequence

from benchmarks.regression.budget import Budget
from benchmarks.regression.judging import noise_floor
from benchmarks.regression.pairing import Pair, measure_pair
from benchmarks.regression.session import UNLIMITED, BudgetOver, Limits, Side
from benchmarks.regression.session_record import Measured
from benchmarks.regression.stopping import Rule
from benchmarks.regression.suite_cases import last_line
from benchmarks.reporting.plain_text import count

FLOOR_LOG_RATIOS = 8
"""The noise floor rests on so many log ratios of base against itself: one pair, or two where there are few cases."""
PASSES = 1
SECONDS_A_CASE = 0.3
"""Some thirty turns of a hundredth of a second. In ten, how far the turns of a process come apart made up all of how
far equal pairs did (1 to 3 %), and two thirds of a pair's time goes into starting its processes."""
MOST_FAILURES = 2
"""A case that fails in a pair is measured again, once in a run; what fails so often is broken."""
LEAST_LIMIT_SECONDS = 5.0
LIMIT_SHARE = 0.1
"""A wait in the first, unmeasured run may take this share of the budget: a case that takes longer could not be judged
within it, since a verdict needs twenty processes of it."""
LIMIT_TIMES = 10
"""A wait in a pair may take so many times what the longest in the first run took."""


def floor_pairs(cases: int) -> int:
    """Pairs of base against itself that tell the noise floor."""
    return 1 if cases >= FLOOR_LOG_RATIOS else 2


def first_limits(budget_seconds: float, deadline: float) -> Limits:
    """What the first, unmeasured run of a suite may take."""
    return Limits(
        start_seconds=budget_seconds,
        turn_seconds=max(LEAST_LIMIT_SECONDS, LIMIT_SHARE * budget_seconds),
        deadline=deadline,
    )


def pair_limits(first_runs: Sequence[Measured], deadline: float) -> Limits:
    """What a process of a pair may take, by what the first runs of the suite took."""
    start = max(each.start_seconds for each in first_runs)
    turn = max(each.turn_seconds for each in first_runs)
    return Limits(
        start_seconds=max(LEAST_LIMIT_SECONDS, LIMIT_TIMES * start),
        turn_seconds=max(LEAST_LIMIT_SECONDS, LIMIT_TIMES * turn),
        deadline=deadline,
    )


class Measuring:
    """Measures pairs as they are asked for, and keeps them.

    `broken` is {case: (the side that it failed on, reason)} of the cases that worked in the first run and failed later.
    """

    def __init__(
        self,
        both: tuple[Side, Side],
        cases: Sequence[str],
        budget: Budget,
        say: Callable[[str], None],
        limits: Limits = UNLIMITED,
    ) -> None:
        self.both = both
        self.cases = list(cases)
        self.say = say
        self.pairs: list[Pair] = []
        self.floor_pairs: list[Pair] = []
        self.broken: dict[str, tuple[str, str]] = {}
        self._failures: dict[str, int] = {}
        self._limits = limits
        self._budget = budget
        self._first_seconds = budget.spent
        self._number = 0

    @property
    def lost(self) -> tuple[str, ...]:
        """The broken cases that failed on head and not on base."""
        return tuple(case for case, (name, _) in self.broken.items() if name == self.both[1].name)

    def floor(self, rule: Rule) -> Callable[[int], float]:
        """The noise floor of so many pairs, from pairs of base against itself. Raises ValueError where there is none.

        That is where the budget is too short for a verdict.
        """
        self.say(f"{count(len(self.cases), 'case')}; the noise floor: base against itself")
        again = dataclasses.replace(self.both[0], name="base again")
        for _ in range(floor_pairs(len(self.cases))):
            pair = self._measure((self.both[0], again), self.cases) if self.cases else None
            if pair is None and self.cases:
                raise ValueError(
                    f"--budget is {self._budget.seconds:.0f}s, of which the first run of both took "
                    f"{self._first_seconds:.0f} s; the rest ended before base was measured against itself: give more, "
                    "or a smaller --suite"
                )
            if pair is not None and self.cases:
                self.floor_pairs.append(pair)
                self._refuse_too_small(rule)
        same = [ratio for pair in self.floor_pairs for case, ratio in pair.log_ratios().items() if case in self.cases]
        return noise_floor(same) if same else lambda _: math.inf

    def draw(self, cases: Sequence[str]) -> Mapping[str, float] | None:
        """A fresh pair, without the cases that broke in it; None when it would not or did not end within the budget."""
        if not self._budget.allows(len(cases)):
            return None
        pair = self._measure(self.both, cases)
        if pair is None:
            return None
        ratios = pair.log_ratios()
        if any(case in ratios for case in cases):
            self.pairs.append(pair)
            self.say(f"pair {len(self.pairs)}: {count(len(cases), 'case')}, at most {self._budget.left:.0f} s left")
        return ratios

    def _measure(self, both: tuple[Side, Side], cases: Sequence[str]) -> Pair | None:
        """A pair with all of the cases but those that are broken; None when the budget ended within."""
        measured: Pair | None = None
        wanted = list(cases)
        while wanted:
            start = time.monotonic()
            number, self._number = self._number, self._number + 1
            try:
                pair, *processes = measure_pair(
                    *both, wanted, number=number, passes=PASSES, seconds_a_case=SECONDS_A_CASE, limits=self._limits
                )
            except BudgetOver:
                self._budget.spend_the_rest()
                return None
            self._budget.spend(len(wanted), time.monotonic() - start)
            missing = [case for case in wanted if case not in pair.base or case not in pair.head]
            measured = pair if measured is None else measured.joined(pair)
            self._blame(missing, dict(zip((side.name for side in both), processes, strict=True)))
            wanted = [case for case in missing if case not in self.broken]
        return measured

    def _blame(self, missing: Sequence[str], processes: Mapping[str, Measured]) -> None:
        """Count the failures of cases that were not measured, and drop those that are broken.

        A case that was not reached, since another ended the process, has not failed.
        """
        failed = {
            case: (name, reason, each.stopped)
            # Where both failed, the first side counts: the second is not worse than it.
            for name, each in reversed(list(processes.items()))
            for case, (outcome, reason) in each.outcomes.items()
            if case in missing and outcome != "passed"
        }
        if not failed:
            failed = {case: _why_not_begun(case, processes) for case in missing}
        for case, (name, reason, stopped) in failed.items():
            self._failures[case] = self._failures.get(case, 0) + 1
            self.say(f"{case} failed on {name}: {reason}")
            # What does not end is not waited for twice.
            if self._failures[case] >= MOST_FAILURES or (stopped and reason == stopped):
                self.broken[case] = (name, reason)
                self.cases.remove(case)

    def _refuse_too_small(self, rule: Rule) -> None:
        longest = self._budget.expected(len(self.cases))
        needed = self._first_seconds + longest * (floor_pairs(len(self.cases)) + rule.looks[0])
        if needed > self._budget.seconds:
            raise ValueError(
                f"--budget is {self._budget.seconds:.0f}s; the first run of both takes {self._first_seconds:.0f} s and "
                f"a pair of processes {longest:.0f} s, so a verdict needs {math.ceil(needed)}s at least: give more, or "
                "a smaller --suite"
            )


def _why_not_begun(case: str, processes: Mapping[str, Measured]) -> tuple[str, str, str]:
    """The side, the reason, and why its process was stopped, of a case that no side says has failed."""
    for name, each in processes.items():
        if case not in each.outcomes:
            reason = each.stopped or next(iter(each.broken.values()), "") or last_line(each.output)
            return name, reason, each.stopped
    return next(iter(processes)), "it passed, and no round of it had a time above 0 s", ""
