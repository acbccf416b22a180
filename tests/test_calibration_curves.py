"""The curves of a calibration: which rules stand at which costs, on which cases, and the rate of each point."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pytest

from benchmarks.regression.calibration import curves
from benchmarks.regression.calibration.curves import (
    ALL,
    BUDGETS,
    COMPARED_RUNS,
    EQUAL,
    GEMM_BOUND,
    PYTHON_BOUND,
    RESAMPLES,
    T_TEST_PAIRS,
    CurvePoint,
    candidates,
    kinds,
    points,
)
from benchmarks.regression.calibration.injection import WIDE
from benchmarks.regression.calibration.rules import COMPARE
from benchmarks.regression.calibration.trials import (
    INTERLEAVED,
    ONE_AFTER_ANOTHER,
    REGRESS,
    T_TEST,
    Candidate,
    Rate,
    Replay,
)
from tests.synthetic_groups import CASES, COSTS, group, replay


def test_cases_are_sorted_by_what_bounds_them() -> None:
    """A network as wide as `WIDE` is bound by its products, a narrower one by Python; the order is that given."""
    hidden = {"b": WIDE, "a": WIDE - 1, "d": 1, "c": 4 * WIDE}
    ids = {test: f"numpy_loop/cpu/inference/T4-B1-I8-H{H}-L1-tanh-float32" for test, H in hidden.items()}
    assert kinds(ids) == {ALL: ["b", "a", "d", "c"], PYTHON_BOUND: ["a", "d"], GEMM_BOUND: ["b", "c"]}
    assert list(kinds(ids)) == ["all", "Python-bound", "GEMM-bound"]


def test_every_rule_stands_at_every_cost() -> None:
    """`regress` is given plain runs of time, the t-test pairs, and each comparison of files runs, in both orders."""
    groups = Replay.of([group(number) for number in range(6)], CASES, dataclasses.replace(COSTS, plain=3.0))
    found = [(each.rule, each.runs, each.pairs, each.seconds) for each in candidates(groups)]
    # Two dry runs of a second and two pairs of four for the noise floor leave room for three pairs from 22 s on.
    first = [(REGRESS, INTERLEAVED, pairs, seconds) for pairs, seconds in ((4, 24.0), (7, 30.0), (10, 36.0))]
    t_tests = [(T_TEST, INTERLEAVED, pairs, pairs * 4.0) for pairs in T_TEST_PAIRS]
    compared = [
        (f"pytest-benchmark, {name}", order, runs, runs * 4.0)
        for name in COMPARE
        for order in (ONE_AFTER_ANOTHER, INTERLEAVED)
        for runs in COMPARED_RUNS
    ]
    assert found == [*first, *t_tests, *compared]
    assert len(compared) == 30
    # A plain run of 5.5 s makes 22 s the least of the budgets: it is enough for a first analysis, of three pairs.
    enough = dataclasses.replace(groups, costs=dataclasses.replace(COSTS, plain=22.0 / BUDGETS[0]))
    assert next(each.pairs for each in candidates(enough)) == 3


class Trials:
    """A rule without groups: its outcomes are those of the order of the replay's groups."""

    def __init__(self) -> None:
        self.orders: list[list[float]] = []

    def alarms(self, replay: Replay) -> list[bool]:
        """One trial a group: whether its number is even."""
        self.orders.append([each.seconds for each in replay.groups])
        return [each.seconds % 2 == 0 for each in replay.groups]

    def finds(self, replay: Replay, size: str, case: str) -> list[bool]:
        """As many trials as the size has letters, all hits in case `a`; in `b` by the first group."""
        return [case == "a" or replay.groups[0].seconds > 0] * len(size)

    def candidate(self, rule: str) -> Candidate:
        """The rule at a cost of its own."""
        return Candidate(rule, f"runs of {rule}", len(rule), 2.0 * len(rule), self.alarms, self.finds)


@pytest.fixture
def trials(monkeypatch: pytest.MonkeyPatch) -> Trials:
    """`regress` and another rule, and three other orders of the groups."""
    found = Trials()
    both = [found.candidate(REGRESS), found.candidate("other")]
    monkeypatch.setattr(curves, "candidates", lambda _: both)
    monkeypatch.setattr(curves, "RESAMPLES", 3)
    monkeypatch.setattr(curves, "SIZES", (0.02, 0.1))
    return found


def numbered(count: int) -> Replay:
    """A replay whose groups took 0 s, 1 s, and so on."""
    return replay([dataclasses.replace(group(number), seconds=float(number)) for number in range(count)])


def test_a_point_counts_the_trials_of_its_rule_size_and_kind(trials: Trials) -> None:
    """The first of each rule is equal code; `regress` alone is counted in other orders of the groups, too."""
    groups = numbered(5)
    shuffled = [groups.shuffled(seed) for seed in range(3)]
    found = list(points(groups, {ALL: CASES, "narrow": ["b"], "none": []}))

    def at(rule: str, size: str, kind: str, rate: Rate, again: Rate | None) -> CurvePoint:
        place = len(rule)
        return CurvePoint(rule, f"runs of {rule}", place, 2.0 * place, size, kind, rate, again)

    def of_size(rule: str, size: str, hits_of_b: Sequence[bool]) -> list[CurvePoint]:
        trials, again = len(size), len(hits_of_b) * len(size)
        others = [Rate(again + trials * sum(hits_of_b), 2 * again), Rate(trials * sum(hits_of_b), again), Rate(0, 0)]
        all_of = others if hits_of_b else [None] * 3
        rates = [Rate(trials, 2 * trials), Rate(0, trials), Rate(0, 0)]
        return [
            at(rule, size, kind, rate, other)
            for kind, rate, other in zip((ALL, "narrow", "none"), rates, all_of, strict=True)
        ]

    first_is_late = [each.groups[0].seconds > 0 for each in shuffled]
    assert any(first_is_late)
    assert found == [
        at(REGRESS, EQUAL, ALL, Rate(3, 5), Rate(9, 15)),
        *of_size(REGRESS, "0.02", first_is_late),
        *of_size(REGRESS, "0.1", first_is_late),
        at("other", EQUAL, ALL, Rate(3, 5), None),
        *of_size("other", "0.02", []),
        *of_size("other", "0.1", []),
    ]
    in_order = [0.0, 1.0, 2.0, 3.0, 4.0]
    assert trials.orders == [in_order, *([each.seconds for each in other.groups] for other in shuffled), in_order]
    assert RESAMPLES == 50
