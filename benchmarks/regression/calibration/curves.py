"""Error against time spent: every rule at several costs, on the same groups."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

from benchmarks.regression.calibration.planting import SIZES, WIDE
from benchmarks.regression.calibration.rules import COMPARE
from benchmarks.regression.calibration.trials import (
    IN_TURNS,
    ONE_AFTER_ANOTHER,
    REGRESS,
    Candidate,
    Rate,
    Replay,
    compare_of,
    regress_within,
    t_test_on,
)
from benchmarks.regression.stopping import Rule
from benchmarks.workload import Case

RESAMPLES = 50
PLAIN_RUNS = 10
"""The time that `regress` is judged at: two plain runs of the suite, times five."""
BUDGETS = (4, 5, 6, 7, 8, 10, 12)
"""Times of the curves, in plain runs of the suite."""
T_TEST_PAIRS = (3, 4, 5, 7, 10, 14)
COMPARED_RUNS = (1, 2, 3, 5, 8)
ALL = "all"
PYTHON_BOUND, GEMM_BOUND = "Python-bound", "GEMM-bound"
EQUAL = "0"
"""The size of what is planted in equal code."""


@dataclasses.dataclass(frozen=True)
class Point:
    """How often a rule at a cost calls a slowdown: of `size`, a share, in the cases of a kind; false alarms at 0.

    `again` is the same rate, summed over the groups in other orders: trials that are not independent of each other.
    """

    rule: str
    runs: str
    pairs: int
    seconds: float
    size: str
    kind: str
    rate: Rate
    again: Rate | None


def kinds(cases: Mapping[str, str]) -> dict[str, list[str]]:
    """The cases by what bounds them here; `cases` are {test: the case's ID}."""
    wide = {test: Case.parse(case).workload.H >= WIDE for test, case in cases.items()}
    return {
        ALL: list(cases),
        PYTHON_BOUND: [test for test in cases if not wide[test]],
        GEMM_BOUND: [test for test in cases if wide[test]],
    }


def candidates(replay: Replay) -> list[Candidate]:
    """Every rule at every cost, as far as there is one trial in the time."""
    within = [runs * replay.costs.plain for runs in BUDGETS]
    found = [regress_within(replay, seconds) for seconds in within]
    found = [each for each in found if each.pairs >= Rule().looks[0]]
    found += [t_test_on(replay, pairs) for pairs in T_TEST_PAIRS]
    for name in COMPARE:
        for order in (ONE_AFTER_ANOTHER, IN_TURNS):
            found += [compare_of(replay, name, runs, order) for runs in COMPARED_RUNS]
    return found


def points(replay: Replay, of_kind: Mapping[str, Sequence[str]]) -> Iterator[Point]:
    """Each rule at each cost: false alarms on equal code, and what it finds of each size in cases of each kind."""
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


def _point(each: Candidate, size: str, kind: str, outcomes: Sequence[bool], again: Sequence[Sequence[bool]]) -> Point:
    summed = Rate.of([outcome for one in again for outcome in one]) if again else None
    return Point(each.rule, each.runs, each.pairs, each.seconds, size, kind, Rate.of(outcomes), summed)
