"""Error rates against the time of a verdict: every rule at several costs, on the same groups."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

from benchmarks.regression.calibration.injection import SIZES, WIDE
from benchmarks.regression.calibration.rules import COMPARE
from benchmarks.regression.calibration.trials import (
    INTERLEAVED,
    ONE_AFTER_ANOTHER,
    REGRESS,
    Candidate,
    Rate,
    Replay,
    compare_of,
    regress_within,
    t_test_on,
)
from benchmarks.regression.judging.stopping import Rule
from benchmarks.workload import Case

RESAMPLES = 50
PLAIN_RUNS = 10
"""The time, in plain runs of the suite, at which `regress` is compared: two runs, times five."""
BUDGETS = (4, 5, 6, 7, 8, 10, 12)
"""The times of the curves, in plain runs of the suite."""
T_TEST_PAIRS = (3, 4, 5, 7, 10, 14)
COMPARED_RUNS = (1, 2, 3, 5, 8)
ALL = "all"
PYTHON_BOUND, GEMM_BOUND = "Python-bound", "GEMM-bound"
EQUAL = "0"
"""The size that stands for equal code."""


@dataclasses.dataclass(frozen=True)
class CurvePoint:
    """How often a rule at a cost calls a slowdown."""

    rule: str
    runs: str
    """The order of the runs."""
    pairs: int
    seconds: float
    size: str
    """The injected slowdown as a share; `EQUAL` for false alarms."""
    kind: str
    """The cases with the slowdown, by what bounds them."""
    rate: Rate
    rate_in_other_orders: Rate | None
    """The rate over the same groups in other orders, whose trials are not independent; None where it is not counted."""


def kinds(cases: Mapping[str, str]) -> dict[str, list[str]]:
    """The cases by what bounds them; `cases` are {test: the case's ID}."""
    wide = {test: Case.parse(case).workload.H >= WIDE for test, case in cases.items()}
    return {
        ALL: list(cases),
        PYTHON_BOUND: [test for test in cases if not wide[test]],
        GEMM_BOUND: [test for test in cases if wide[test]],
    }


def candidates(replay: Replay) -> list[Candidate]:
    """Every rule at every cost; `regress` only where the time is enough for its first interim analysis."""
    within = [runs * replay.costs.plain for runs in BUDGETS]
    found = [regress_within(replay, seconds) for seconds in within]
    found = [each for each in found if each.pairs >= Rule().interim_analyses[0]]
    found += [t_test_on(replay, pairs) for pairs in T_TEST_PAIRS]
    for name in COMPARE:
        for order in (ONE_AFTER_ANOTHER, INTERLEAVED):
            found += [compare_of(replay, name, runs, order) for runs in COMPARED_RUNS]
    return found


def points(replay: Replay, of_kind: Mapping[str, Sequence[str]]) -> Iterator[CurvePoint]:
    """The points of each rule at each cost: on equal code, and for each size in cases of each kind.

    `of_kind` are the cases as `kinds` sorts them.
    """
    orders = [replay.shuffled(seed) for seed in range(RESAMPLES)]
    for each in candidates(replay):
        others = orders if each.rule == REGRESS else []
        yield _point(each, EQUAL, ALL, each.alarms(replay), [each.alarms(other) for other in others])
        for size in map(str, SIZES):
            found = {case: each.finds(replay, size, case) for case in replay.cases}
            again = [{case: each.finds(other, size, case) for case in replay.cases} for other in others]
            for kind, cases in of_kind.items():
                yield _point(each, size, kind, _joined(found, cases), [_joined(other, cases) for other in again])


def _joined(found: Mapping[str, Sequence[bool]], cases: Sequence[str]) -> list[bool]:
    return [outcome for case in cases for outcome in found[case]]


def _point(
    each: Candidate, size: str, kind: str, outcomes: Sequence[bool], again: Sequence[Sequence[bool]]
) -> CurvePoint:
    summed = Rate.of([outcome for one in again for outcome in one]) if again else None
    return CurvePoint(
        rule=each.rule,
        runs=each.runs,
        pairs=each.pairs,
        seconds=each.seconds,
        size=size,
        kind=kind,
        rate=Rate.of(outcomes),
        rate_in_other_orders=summed,
    )
