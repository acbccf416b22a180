"""What rules say of measured groups: `regress` by its own procedure, and others' rules on the same processes."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from benchmarks.regression.budget import Budget
from benchmarks.regression.calibration.measuring import Group
from benchmarks.regression.fitness import judge_control, slower_by_far, unfit
from benchmarks.regression.judging import noise_floor
from benchmarks.regression.measuring import floor_pairs
from benchmarks.regression.pairing import Pair
from benchmarks.regression.stopping import Rule, decide

COMPARE = {"mean > 5 %": ("mean", 0.05), "min > 5 %": ("min", 0.05), "median > 10 %": ("median", 0.10)}
"""pytest-benchmark's `--benchmark-compare-fail`: the field, and by how much it may rise."""
_POOLED: Mapping[str, Callable[[Sequence[float]], float]] = {
    "mean": statistics.fmean,
    "min": min,
    "median": statistics.median,
}
T_TEST_ERROR = 0.05
T_TEST_EFFECT = 0.03
RULE = Rule()
"""The thresholds that `regress` has."""

Ratios = Mapping[str, float]
"""Log ratios by case, the control's among them."""


@dataclasses.dataclass(frozen=True)
class Costs:
    """Seconds that things take on this machine: a plain run of the suite, a look at it, pairs by number of cases."""

    plain: float
    look: float
    pairs: Mapping[int, float]

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Costs:
        """The medians of what a calibration measured."""
        costs = record["costs"]
        pairs = {int(cases): statistics.median(taken) for cases, taken in costs["pair_seconds"].items()}
        return cls(statistics.median(costs["plain_seconds"]), statistics.median(costs["look_seconds"]), pairs)

    def pair(self, cases: int) -> float:
        """A pair of processes that measure so many cases: on the line through what was measured."""
        known = sorted(self.pairs)
        return float(np.interp(cases, known, [self.pairs[each] for each in known]))


@dataclasses.dataclass(frozen=True)
class Told:
    """What a run of `regress` came to: cases that it calls, pairs that it measured, the seconds that they took.

    Where the machine was unfit, `slower` are those that are certain by far.
    """

    slower: tuple[str, ...]
    faster: tuple[str, ...]
    untold: tuple[str, ...]
    unfit: bool
    pairs: int
    seconds: float

    @property
    def alarm(self) -> bool:
        """Whether its exit status would be 1."""
        return bool(self.slower)


def equal_code(group: Group) -> dict[str, float]:
    """The checkout against itself."""
    return Pair(group.sides[0], group.sides[1], *_controls(group)).log_ratios()


def _controls(group: Group) -> tuple[Any, Any]:
    return group.controls[0], group.controls[1]


def most_pairs(costs: Costs, cases: int, seconds: float, rule: Rule = RULE) -> int:
    """Pairs that a trial draws at most: of all cases until the first look, then of a single one.

    Within what time `regress` has after its looks and the floor; fewer than a first look takes where there is no more.
    """
    spare = seconds - 2 * costs.look - floor_pairs(cases) * costs.pair(cases)
    first = min(rule.looks[0], max(0, int(spare / costs.pair(cases))))
    if first < rule.looks[0]:
        return first
    further = int((spare - first * costs.pair(cases)) / costs.pair(1))
    return min(first + further, rule.looks[-1] + rule.confirmation_pairs)


def regress(
    pairs: Sequence[Ratios],
    for_floor: Sequence[Ratios],
    cases: Sequence[str],
    costs: Costs,
    seconds: float,
    rule: Rule = RULE,
) -> Told:
    """What `regress` would have said, had it measured these pairs at these costs, within so many seconds in all."""
    budget = Budget(seconds - 2 * costs.look)
    drawn: list[Ratios] = []
    for _ in for_floor:
        budget.spend(len(cases), costs.pair(len(cases)))

    def draw(wanted: Sequence[str]) -> Ratios | None:
        if len(drawn) == len(pairs) or not budget.allows(len(wanted)):
            return None
        budget.spend(len(wanted), costs.pair(len(wanted)))
        drawn.append(pairs[len(drawn)])
        return drawn[-1]

    same = [pair[case] for pair in for_floor for case in cases]
    tolerances = dict.fromkeys(cases, rule.tolerance)
    outcome = decide(rule, draw, cases, tolerances=tolerances, floor_of=noise_floor(same))
    verdicts = {case: judgement.verdict for case, judgement in outcome.final.items()}
    control = judge_control(drawn)
    why_unfit = unfit(control)
    return Told(
        slower=slower_by_far(outcome, control) if why_unfit else outcome.slower,
        faster=tuple(case for case, verdict in verdicts.items() if verdict == "faster"),
        untold=tuple(case for case, verdict in verdicts.items() if verdict == "cannot tell"),
        unfit=bool(why_unfit),
        pairs=len(drawn),
        seconds=2 * costs.look + budget.spent,
    )


def t_test(log_ratios: Sequence[Sequence[float]]) -> list[bool]:
    """Whether a t-test over pairs at p < 0.05 and an effect of more than 3 % call it slower, for each of many."""
    if not log_ratios:
        return []
    certain = stats.ttest_1samp(log_ratios, 0.0, axis=1).pvalue < T_TEST_ERROR
    found: list[bool] = (certain & (np.mean(log_ratios, axis=1) > math.log1p(T_TEST_EFFECT))).tolist()
    return found


def compare_fails(
    base: Iterable[Mapping[str, float]], head: Iterable[Mapping[str, float]], field: str, limit: float
) -> bool:
    """Whether pytest-benchmark's compare of a case's runs would fail; those of a side count as one run."""
    below, above = (_POOLED[field]([run[field] for run in runs]) for runs in (base, head))
    return above / below - 1 > limit
