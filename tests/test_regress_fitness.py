"""`regress` on a machine that is unfit: what is slower by far is told, and equal code raises no more alarms."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from benchmarks.regression.fitness import BY_FAR_ERROR, judge_control, slower_by_far, unfit
from benchmarks.regression.judging import Estimate, bounds
from benchmarks.regression.pairing import CONTROLS
from benchmarks.regression.stopping import Outcome, Rule, decide
from tests.synthetic_ratios import estimate, shifted

WIDE = [0.05, -0.06, 0.09, -0.08, 0.02]
"""Log ratios of a control that is known to 10 % only."""


def decided(ratio: float, spread: float = 0.001) -> Outcome:
    """What comes of a case whose pairs come out near this ratio."""
    pairs = iter(np.random.default_rng(1).normal(math.log(ratio), spread, 99))
    return decide(Rule(), lambda _: {"a": float(next(pairs))}, ["a"], tolerances={"a": 0.03}, floor_of=lambda _: 0.0)


def control(log_ratios: Sequence[float]) -> dict[str, Estimate]:
    """Both controls with these log ratios."""
    return judge_control([dict.fromkeys(CONTROLS, each) for each in log_ratios])


def test_a_twofold_slowdown_is_certain_beside_a_wide_control() -> None:
    """2.07 known to a thousandth, where the control is known to 10 %."""
    wide = control(WIDE)
    assert "too noisy" in unfit(wide)
    assert slower_by_far(decided(2.07), wide) == ("a",)


@pytest.mark.parametrize(("ratio", "drift"), [(1.1, 0.0), (1.5, 0.4), (1.5, -0.4)])
def test_a_slowdown_that_the_machine_may_have_made_is_none(ratio: float, drift: float) -> None:
    """As small as the control is wide, or as large as it drifts in either direction."""
    outcome = decided(ratio)
    assert outcome.slower == ("a",)
    assert slower_by_far(outcome, control([drift + each for each in WIDE])) == ()


def test_an_uncertain_slowdown_is_none_by_far() -> None:
    """Its 95 % interval lies beyond what the machine explains; its bound for so rare an alarm does not."""
    outcome, wide = decided(1.35, spread=0.06), control(WIDE)
    explained = bounds(wide[CONTROLS[0]], BY_FAR_ERROR / 2)[1]
    assert outcome.slower == ("a",)
    assert outcome.final["a"].estimate.low > 1.03 * explained
    assert slower_by_far(outcome, wide) == ()


def test_bounds_hold_the_interval_of_their_error() -> None:
    """At 5 % that of the estimate; farther apart at 1 %."""
    found = estimate(shifted(0.1))
    assert bounds(found, 0.05) == pytest.approx((found.low, found.high))
    low, high = bounds(found, 0.01)
    assert low < found.low < found.high < high


def test_equal_code_on_an_unfit_machine_raises_no_more_alarms_than_one_in_a_hundred() -> None:
    """The machine favours one side, cases and control alike, by 10 % (standard deviation of its log over runs).

    Pairs come out 3 % apart, so that nearly all runs are unfit, and many have cases that look slower and are confirmed.
    """
    random = np.random.default_rng(7)
    cases = [f"{number}" for number in range(4)]
    names = (*cases, *CONTROLS)
    runs, confirmed, alarms, unfit_runs = 300, 0, 0, 0
    for _ in range(runs):
        favour = random.normal(0.0, 0.10)
        drawn: list[dict[str, float]] = []

        def draw(_: Sequence[str], favour: float = favour, drawn: list[dict[str, float]] = drawn) -> dict[str, float]:
            drawn.append(dict(zip(names, (favour + random.normal(0.0, 0.03, len(names))).tolist(), strict=True)))
            return drawn[-1]

        outcome = decide(Rule(), draw, cases, tolerances=dict.fromkeys(cases, 0.03), floor_of=lambda _: 0.0)
        found = judge_control(drawn)
        confirmed += bool(outcome.slower)
        if unfit(found):
            unfit_runs += 1
            alarms += bool(slower_by_far(outcome, found))
    assert unfit_runs > 0.6 * runs
    assert confirmed > 0.2 * runs
    assert alarms <= 0.01 * runs
