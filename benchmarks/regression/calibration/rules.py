"""The verdicts of several rules on measured groups: that of `regress`, by its own procedure, and those of others."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from benchmarks.regression.calibration.measuring import AGAIN, BASE, Group
from benchmarks.regression.judging.budget import Budget
from benchmarks.regression.judging.fitness import judge_control, slower_by_far, unfit
from benchmarks.regression.judging.stopping import Rule, decide
from benchmarks.regression.judging.verdicts import Thresholds, noise_floor
from benchmarks.regression.measuring import floor_pairs
from benchmarks.regression.processes.control import ControlTimes
from benchmarks.regression.processes.pairing import ProcessPair

COMPARE = {"mean > 5 %": ("mean", 0.05), "min > 5 %": ("min", 0.05), "median > 10 %": ("median", 0.10)}
"""Rules of pytest-benchmark's `--benchmark-compare-fail`: the field, and the share by which it may rise."""
_POOLED: Mapping[str, Callable[[Sequence[float]], float]] = {
    "mean": statistics.fmean,
    "min": min,
    "median": statistics.median,
}
T_TEST_ERROR = 0.05
T_TEST_EFFECT = 0.03
RULE = Rule()
"""The parameters of `regress`."""

Ratios = Mapping[str, float]
"""Log ratios by case, with those of the control."""


@dataclasses.dataclass(frozen=True)
class Costs:
    """Seconds that the parts of a comparison take on this machine."""

    plain: float
    """A plain run of the suite."""
    dry_run: float
    pairs: Mapping[int, float]
    """A pair of processes, by its number of cases."""

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Costs:
        """The medians of the costs in a calibration's record. Older ones name the dry run a look."""
        costs = {"dry_run_seconds": record["costs"].get("look_seconds"), **record["costs"]}
        pairs = {int(cases): statistics.median(seconds) for cases, seconds in costs["pair_seconds"].items()}
        return cls(statistics.median(costs["plain_seconds"]), statistics.median(costs["dry_run_seconds"]), pairs)

    def pair(self, cases: int) -> float:
        """The seconds of a pair with this many cases, interpolated between measured ones."""
        known = sorted(self.pairs)
        return float(np.interp(cases, known, [self.pairs[each] for each in known]))


@dataclasses.dataclass(frozen=True)
class ReplayedVerdict:
    """The verdict that `regress` would have given on measured pairs."""

    slower: tuple[str, ...]
    """The cases that `regress` calls slower; on an unfit machine those that the machine does not explain."""
    faster: tuple[str, ...]
    undecided: tuple[str, ...]
    """The cases of which `regress` cannot tell."""
    unfit: bool
    """Whether the machine was unfit to judge on."""
    pairs: int
    """The number of pairs that `regress` would have measured."""
    seconds: float
    """The time that `regress` would have taken."""

    @property
    def alarm(self) -> bool:
        """Whether the exit status would be 1."""
        return bool(self.slower)


def equal_code(group: Group) -> dict[str, float]:
    """The log ratios of the checkout against itself."""
    base, again = (tuple(ControlTimes(*each) for each in group.controls[place]) for place in (BASE, AGAIN))
    return ProcessPair(group.sides[BASE], group.sides[AGAIN], base, again).log_ratios()


def most_pairs(costs: Costs, cases: int, seconds: float, rule: Rule = RULE) -> int:
    """The most pairs that a trial draws: of all cases until the first interim analysis, then of a single one.

    They take the time that `regress` has left after its dry runs and the noise floor. Where that is too short for the
    first analysis, there are fewer.
    """
    spare = seconds - 2 * costs.dry_run - floor_pairs(cases) * costs.pair(cases)
    first = min(rule.interim_analyses[0], max(0, int(spare / costs.pair(cases))))
    if first < rule.interim_analyses[0]:
        return first
    further = int((spare - first * costs.pair(cases)) / costs.pair(1))
    return min(first + further, rule.most_pairs)


def replay_verdict(
    pairs: Sequence[Ratios],
    for_floor: Sequence[Ratios],
    cases: Sequence[str],
    costs: Costs,
    seconds: float,
    rule: Rule = RULE,
) -> ReplayedVerdict:
    """The verdict of `regress` on these pairs, had it measured them at these costs within this many seconds.

    `for_floor` are pairs of equal code, for the noise floor.
    """
    budget = Budget(seconds - 2 * costs.dry_run)
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
    thresholds = Thresholds(dict.fromkeys(cases, rule.tolerance), noise_floor(same))
    decision = decide(rule, draw, cases, thresholds=thresholds)
    verdicts = {case: judgement.verdict for case, judgement in decision.final.items()}
    control = judge_control(drawn)
    why_unfit = unfit(control)
    return ReplayedVerdict(
        slower=slower_by_far(decision, control) if why_unfit else decision.slower,
        faster=tuple(case for case, verdict in verdicts.items() if verdict == "faster"),
        undecided=tuple(case for case, verdict in verdicts.items() if verdict == "cannot tell"),
        unfit=bool(why_unfit),
        pairs=len(drawn),
        seconds=2 * costs.dry_run + budget.spent,
    )


def t_test(log_ratios: Sequence[Sequence[float]]) -> list[bool]:
    """Whether each row of log ratios is slower by a t-test over pairs at p < 0.05 and by more than 3 %."""
    if not log_ratios:
        return []
    certain = stats.ttest_1samp(log_ratios, 0.0, axis=1).pvalue < T_TEST_ERROR
    found: list[bool] = (certain & (np.mean(log_ratios, axis=1) > math.log1p(T_TEST_EFFECT))).tolist()
    return found


def compare_fails(
    base: Iterable[Mapping[str, float]], head: Iterable[Mapping[str, float]], field: str, limit: float
) -> bool:
    """Whether pytest-benchmark's compare of a case would fail; the runs of a side are pooled as one run."""
    below, above = (_POOLED[field]([run[field] for run in runs]) for runs in (base, head))
    return above / below - 1 > limit
