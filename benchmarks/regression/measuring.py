"""Measure pairs of two revisions within a budget, as a procedure asks for them; cases that fail drop out."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from benchmarks.presentation.plain_text import count
from benchmarks.regression.judging.budget import Budget, cases_within
from benchmarks.regression.judging.fitness import early_warning, first_warning
from benchmarks.regression.judging.stopping import Rule
from benchmarks.regression.judging.suite_cases import last_line
from benchmarks.regression.judging.verdicts import LEAST_PAIRS, NoiseFloor, noise_floor
from benchmarks.regression.processes.pairing import ProcessPair, measure_pair
from benchmarks.regression.processes.process_record import ProcessRecord
from benchmarks.regression.processes.pytest_command import Side
from benchmarks.regression.processes.suite_process import UNLIMITED, BudgetOver, TimeLimits

FLOOR_LOG_RATIOS = 8
"""The least number of log ratios of base against itself that the noise floor rests on."""
REPETITIONS = 1
SECONDS_A_CASE = 0.3
"""How long a process measures each case: some thirty time slices. With a third of them, their spread would be as wide
as that of pairs, and starting the processes would take most of the time."""
EXPECTED_SECONDS_A_CASE = 0.8
"""How long a case takes in a pair, before one was measured: both sides, their warm-up and the control."""
MOST_FAILURES = 2
"""A case is broken that fails as often: one failure in a run is measured again."""
LEAST_LIMIT_SECONDS = 5.0
LIMIT_SHARE = 0.1
"""The share of the budget that a wait in a dry run may take: a verdict on a slower case would exceed the budget."""
LIMIT_TIMES = 10
"""The limit of a wait in a pair, in multiples of the longest wait in the dry runs."""


def floor_pairs(cases: int) -> int:
    """The number of pairs of base against itself that the noise floor of this many cases needs: 1 or 2."""
    return 1 if cases >= FLOOR_LOG_RATIOS else 2


def dry_run_limits(budget_seconds: float, deadline: float) -> TimeLimits:
    """The limits of the dry run of a suite."""
    return TimeLimits(
        start_seconds=budget_seconds,
        turn_seconds=max(LEAST_LIMIT_SECONDS, LIMIT_SHARE * budget_seconds),
        deadline=deadline,
    )


def pair_limits(dry_runs: Sequence[ProcessRecord], deadline: float) -> TimeLimits:
    """The limits of each process of a pair, by what the dry runs of the suite took."""
    start = max(each.start_seconds for each in dry_runs)
    turn = max(each.turn_seconds for each in dry_runs)
    return TimeLimits(
        start_seconds=max(LEAST_LIMIT_SECONDS, LIMIT_TIMES * start),
        turn_seconds=max(LEAST_LIMIT_SECONDS, LIMIT_TIMES * turn),
        deadline=deadline,
    )


class Failure(NamedTuple):
    """A case that failed while pairs were measured, or did not begin."""

    side: str
    """The name of the side."""
    reason: str
    endless: bool = False
    """Whether its process was ended for it, since it exceeded a limit."""


class PairMeasuring:
    """Measures pairs of both sides as they are asked for, keeps them, and drops the cases that break meanwhile.

    `pairs` are those of base and head, `floor_pairs` those of base against itself, `broken` the cases that worked in
    the dry runs and failed later. `cases` are in the order in which they matter: `not_judged` are the last ones, for
    which the budget is too short.

    `start_seconds` is the time until a process of the suite begins its first test.
    """

    def __init__(
        self,
        both: tuple[Side, Side],
        cases: Sequence[str],
        budget: Budget,
        say: Callable[[str], None],
        limits: TimeLimits = UNLIMITED,
        rule: Rule | None = None,
        start_seconds: float = 0.0,
    ) -> None:
        self.both = both
        self.cases = list(cases)
        self.not_judged: list[str] = []
        self.why_not_judged = ""
        self.say = say
        self.pairs: list[ProcessPair] = []
        self.floor_pairs: list[ProcessPair] = []
        self.broken: dict[str, Failure] = {}
        self._rule = Rule() if rule is None else rule
        self._failures: dict[str, int] = {}
        self._limits = limits
        self._budget = budget
        self._dry_run_seconds = budget.spent
        self._start_seconds = start_seconds
        self._number = 0
        self._warning = ""

    @property
    def lost(self) -> tuple[str, ...]:
        """The broken cases that failed on head and not on base."""
        return tuple(case for case, failure in self.broken.items() if failure.side == self.both[1].name)

    def noise_floor(self) -> NoiseFloor:
        """The noise floor, from pairs of base against itself, which are measured now.

        Raises ValueError where the budget is too short for a verdict.
        """
        if self.cases:
            self._leave_out(EXPECTED_SECONDS_A_CASE)
        self.say(f"{count(len(self.cases), 'case')}; the noise floor: base against itself")
        again = dataclasses.replace(self.both[0], name="base again")
        while self.cases and len(self.floor_pairs) < floor_pairs(len(self.cases)):
            pair = self._measure((self.both[0], again), self.cases)
            if pair is None and self.cases:
                raise ValueError(
                    f"--budget is {self._budget.seconds:.0f}s, of which the dry run of both took "
                    f"{self._dry_run_seconds:.0f} s; the rest ended before base was measured against itself: give "
                    "more, or a smaller --suite"
                )
            if pair is not None and self.cases:
                self.floor_pairs.append(pair)
                self._warn()
                self._fit_into_budget()
        same = [ratio for pair in self.floor_pairs for case, ratio in pair.log_ratios().items() if case in self.cases]
        return noise_floor(same) if same else lambda _: math.inf

    def draw(self, cases: Sequence[str]) -> Mapping[str, float] | None:
        """The log ratios of a fresh pair, without the cases that broke in it; None when the budget ends before it."""
        if not self._budget.allows(len(cases)):
            return None
        pair = self._measure(self.both, cases)
        if pair is None:
            return None
        ratios = pair.log_ratios()
        if any(case in ratios for case in cases):
            self.pairs.append(pair)
            self.say(f"pair {len(self.pairs)}: {count(len(cases), 'case')}, at most {self._budget.left:.0f} s left")
            self._warn()
        return ratios

    def _warn(self) -> None:
        """Say, once for each kind of warning, that the pairs speak against the machine. Nothing depends on it."""
        ratios = [pair.log_ratios() for pair in self.pairs]
        if len(ratios) < LEAST_PAIRS:
            warning = first_warning([*(pair.log_ratios() for pair in self.floor_pairs), *ratios])
        else:
            warning = early_warning(ratios, self._rule.most_pairs)
        state = warning.partition(":")[0]
        if state and state != self._warning:
            self._warning = state
            self.say(warning)

    def _measure(self, both: tuple[Side, Side], cases: Sequence[str]) -> ProcessPair | None:
        """A pair with all of the cases but those that are broken; None when the budget ended within."""
        measured: ProcessPair | None = None
        wanted = list(cases)
        while wanted:
            start = time.monotonic()
            number, self._number = self._number, self._number + 1
            try:
                pair, *processes = measure_pair(
                    *both,
                    wanted,
                    number=number,
                    repetitions=REPETITIONS,
                    seconds_a_case=SECONDS_A_CASE,
                    limits=self._limits,
                )
            except BudgetOver:
                self._budget.spend_the_rest()
                return None
            self._budget.spend(len(wanted), time.monotonic() - start)
            missing = [case for case in wanted if case not in pair.base or case not in pair.head]
            measured = pair if measured is None else measured.joined(pair)
            self._count_failures(missing, dict(zip((side.name for side in both), processes, strict=True)))
            wanted = [case for case in missing if case not in self.broken]
        return measured

    def _count_failures(self, missing: Sequence[str], processes: Mapping[str, ProcessRecord]) -> None:
        """Count the failures of cases that were not measured, and drop those that are broken.

        A case that was not reached, since another ended the process, has not failed.
        """
        failed = {
            case: Failure(name, outcome.reason, endless=bool(each.stopped) and outcome.reason == each.stopped)
            # Of two sides that failed the first one counts: the second is not worse than it.
            for name, each in reversed(list(processes.items()))
            for case, outcome in each.outcomes.items()
            if case in missing and outcome.status != "passed"
        }
        if not failed:
            failed = {case: _why_not_begun(case, processes) for case in missing}
        for case, failure in failed.items():
            self._failures[case] = self._failures.get(case, 0) + 1
            self.say(f"{case} failed on {failure.side}: {failure.reason}")
            # A case without an end is not waited for twice.
            if self._failures[case] >= MOST_FAILURES or failure.endless:
                self.broken[case] = failure
                self.cases.remove(case)

    def _fit_into_budget(self) -> None:
        """Leave out the last cases, for which the budget is too short, by the pairs so far.

        Raises ValueError where not one is left.
        """
        number = len(self.cases)
        seconds = self._budget.expected(number)
        if not seconds:
            return
        start = min(self._start_seconds, seconds / 2)
        self._leave_out((seconds - start) / number)
        longest = start + (seconds - start) * len(self.cases) / number
        pairs = floor_pairs(len(self.cases)) + self._rule.interim_analyses[0]
        needed = self._dry_run_seconds + longest * pairs
        if needed > self._budget.seconds:
            raise ValueError(
                f"--budget is {self._budget.seconds:.0f}s; the dry run of both takes {self._dry_run_seconds:.0f} s and "
                f"a pair of processes {longest:.0f} s, so a verdict needs {math.ceil(needed)}s at least: give more, or "
                "a smaller --suite"
            )

    def _leave_out(self, seconds_a_case: float) -> None:
        """Keep as many cases as the second interim analysis of all can have within the budget, and one at least."""
        analysis = self._rule.interim_analyses[:2][-1]
        pairs = floor_pairs(len(self.cases)) - len(self.floor_pairs) + analysis
        fits = cases_within(
            self._budget.left, pairs=pairs, start_seconds=self._start_seconds, seconds_a_case=seconds_a_case
        )
        kept = max(1, fits)
        if kept < len(self.cases):
            self.cases, left_out = self.cases[:kept], self.cases[kept:]
            self.not_judged = [*left_out, *self.not_judged]
            self.why_not_judged = (
                f"the budget of {self._budget.seconds:.0f} s is long enough for {count(kept, 'case')}: give more, or "
                "name those that matter by --first"
            )
            self.say(f"{count(len(left_out), 'case')} will not be judged: {self.why_not_judged}")


def _why_not_begun(case: str, processes: Mapping[str, ProcessRecord]) -> Failure:
    """Why a case has no time although no side says that it failed."""
    for name, each in processes.items():
        if case not in each.outcomes:
            reason = each.stopped or next(iter(each.broken.values()), "") or last_line(each.output)
            return Failure(name, reason, endless=bool(each.stopped))
    return Failure(next(iter(processes)), "it passed, and no round of it had a time above 0 s")
