"""Replay rules on measured groups: how often they call a slowdown that is not there, and find one that is.

The groups are cut into disjoint trials in the order they were measured in. `regress` is replayed by its own procedure,
`stopping.decide`, each trial drawing as many groups as it needs. The rules beside it see the same processes.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import random
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scipy import stats

from benchmarks.regression.calibration.measuring import Group, planted_slowdown, read_groups, read_record
from benchmarks.regression.calibration.planting import SIZES
from benchmarks.regression.judging import floor
from benchmarks.regression.regress import FLOOR_PAIRS
from benchmarks.regression.stopping import Rule, decide
from benchmarks.reporting.plain_text import interval, share, table

COMPARE = {"mean > 5 %": ("mean", 0.05), "min > 5 %": ("min", 0.05), "median > 10 %": ("median", 0.10)}
FIVE_PAIRS = "five pairs, t-test p < .05, effect > 3 %"
REGRESS = "regress"
BUDGET_PAIRS = 10
"""Pairs that a replayed trial may draw, as under a budget: what is not told and confirmed by then is not called."""
RESAMPLES = 200
SEED = 5


@dataclasses.dataclass(frozen=True)
class Rate:
    """So many of so many, with Clopper and Pearson's exact 95 % interval."""

    hits: int
    trials: int

    def __str__(self) -> str:
        if not self.trials:
            return "none measured"
        exact = stats.binomtest(self.hits, self.trials).proportion_ci(0.95, method="exact")
        bounds = f"{share(exact.low)} to {share(exact.high)}" if self.hits else f"0 % to {share(exact.high)}"
        return f"{self.hits} of {self.trials} ({bounds})"


def report(folder: Path) -> str:
    """The table of a calibration, as Markdown. Raises ValueError where too little was measured for one trial."""
    record, groups = read_record(folder), list(read_groups(folder))
    cases = list(record["cases"])
    verdicts, used = whole_suite_verdicts(groups, cases)
    rows = [[f"pytest-benchmark, {name}", *compare_rates(groups, cases, *rule)] for name, rule in COMPARE.items()]
    rows.append([FIVE_PAIRS, *_five_pairs(groups, cases)])
    rows.append([REGRESS, str(Rate(sum(map(bool, verdicts)), len(verdicts))), *_power(groups, cases)])
    header = ["rule", "false alarms, whole suite", *(f"finds {share(size)}" for size in SIZES)]
    seconds = statistics.fmean(group.seconds for group in groups)
    planted = [
        [
            share(size),
            interval(*_spread([planted_slowdown(record, record["cases"][case], str(size)) for case in cases])),
        ]
        for size in SIZES
    ]
    return "\n\n".join(
        (
            "# How often the verdicts are wrong here",
            f"{len(groups)} groups of three processes, {len(cases)} cases, on {record['machine']['key']}; "
            f"{seconds:.0f} s a "
            f"group; a verdict of `regress` on equal code took {used / max(1, len(verdicts)):.1f} of them. Rates have "
            "exact 95 % intervals; trials are disjoint in time. With groups shuffled and cut anew "
            f"{RESAMPLES} times, `regress` raised a false alarm in {share(resampled_alarms(groups, cases))} of trials.",
            table(header, rows),
            "What was planted, as measured in processes of its own (least and most over the cases):",
            table(["meant", "factor"], planted),
        )
    )


def whole_suite_verdicts(groups: Sequence[Group], cases: Sequence[str]) -> tuple[list[tuple[str, ...]], int]:
    """What `regress` calls slower in each disjoint trial of equal code, and how many groups all trials took."""
    equal = [group.log_ratios(0, 1) for group in groups]
    found, at = [], 0
    while at + FLOOR_PAIRS + BUDGET_PAIRS <= len(equal):
        same = [pair[case] for pair in equal[at : at + FLOOR_PAIRS] for case in cases]
        slower, drawn = _trial(equal[at + FLOOR_PAIRS :], same, cases)
        found.append(slower)
        at += FLOOR_PAIRS + drawn
    return found, at


def resampled_alarms(groups: Sequence[Group], cases: Sequence[str]) -> float:
    """The share of trials with a false alarm when the groups are shuffled and cut anew, over and over."""
    shuffled = list(groups)
    generator = random.Random(SEED)  # noqa: S311  # no cryptography
    verdicts: list[tuple[str, ...]] = []
    for _ in range(RESAMPLES):
        generator.shuffle(shuffled)
        verdicts += whole_suite_verdicts(shuffled, cases)[0]
    return statistics.fmean(map(bool, verdicts)) if verdicts else math.nan


def compare_rates(groups: Sequence[Group], cases: Sequence[str], name: str, limit: float) -> list[str]:
    """A rule of pytest-benchmark's compare on single processes: false alarms of the suite, and what it finds."""

    def exceeds(group: Group, case: str, side: int) -> bool:
        return group.summaries[side][case][name] > (1 + limit) * group.summaries[0][case][name]

    alarms = Rate(sum(any(exceeds(group, case, 1) for case in cases) for group in groups), len(groups))
    rates = [str(alarms)]
    for size in map(str, SIZES):
        trials = [(group, case) for group in groups for case in cases if group.sizes[case] == size]
        rates.append(str(Rate(sum(exceeds(group, case, 2) for group, case in trials), len(trials))))
    return rates


def _five_pairs(groups: Sequence[Group], cases: Sequence[str]) -> list[str]:
    def slower(values: Sequence[float]) -> bool:
        return bool(stats.ttest_1samp(values, 0.0).pvalue < 0.05 and statistics.fmean(values) > math.log(1.03))

    same = [[group.log_ratios(0, 1) for group in each] for each in _chunks(groups, 5)]
    alarms = [any(slower([pair[case] for pair in trial]) for case in cases) for trial in same]
    rates = [str(Rate(sum(alarms), len(alarms)))]
    for size in map(str, SIZES):
        found = [slower(values) for case in cases for values in _chunks(_planted(groups, case, size), 5)]
        rates.append(str(Rate(sum(found), len(found))))
    return rates


def _power(groups: Sequence[Group], cases: Sequence[str]) -> list[str]:
    """How often `regress` calls the planted case, the others being equal code."""
    equal = [group.log_ratios(0, 1) for group in groups]
    rates = []
    for size in map(str, SIZES):
        hits = trials = 0
        for case in cases:
            same = [pair[each] for pair in equal[:FLOOR_PAIRS] for each in cases]
            for values in _chunks(_planted(groups, case, size), BUDGET_PAIRS):
                pairs = [{**pair, case: value} for pair, value in zip(equal[FLOOR_PAIRS:], values, strict=False)]
                hits += case in _trial(pairs, same, cases)[0]
                trials += 1
        rates.append(str(Rate(hits, trials)))
    return rates


def _trial(
    pairs: Sequence[Mapping[str, float]], same: Sequence[float], cases: Sequence[str]
) -> tuple[tuple[str, ...], int]:
    """What `regress` calls slower within the budget, and how many pairs it drew; `same` gives the noise floor."""
    left = iter(pairs[:BUDGET_PAIRS])
    drawn = 0

    def draw(wanted: Sequence[str]) -> Mapping[str, float] | None:
        nonlocal drawn
        pair = next(left, None)
        if pair is None:
            return None
        drawn += 1
        return {case: pair[case] for case in wanted}

    rule = Rule()
    tolerances = dict.fromkeys(cases, rule.tolerance)
    outcome = decide(rule, draw, cases, tolerances=tolerances, floor_of=functools.partial(floor, same))
    return outcome.slower, drawn


def _planted(groups: Sequence[Group], case: str, size: str) -> list[float]:
    return [group.log_ratios(0, 2)[case] for group in groups if group.sizes[case] == size]


def _chunks(values: Sequence[Any], size: int) -> list[Sequence[Any]]:
    return [values[at : at + size] for at in range(0, len(values) - size + 1, size)]


def _spread(slowdowns: Sequence[float]) -> tuple[float, float]:
    return 1 + min(slowdowns), 1 + max(slowdowns)
