"""`regress` on an unfit machine: it is recognized early, and only a slowdown that it does not explain counts."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats

from benchmarks.regression.judging.fitness import (
    BY_FAR_ERROR,
    CONTROL_ERROR,
    CONTROL_SHIFT,
    CONTROL_WIDTH,
    early_warning,
    first_warning,
    judge_control,
    slower_by_far,
    stays_unfit,
    unfit,
)
from benchmarks.regression.judging.stopping import Decision, Rule, decide
from benchmarks.regression.judging.verdicts import Judgement, RatioEstimate, bounds
from benchmarks.regression.processes.pairing import CONTROLS
from tests.synthetic_ratios import NOISE, estimate, exactly, shifted, thresholds

WIDE = [0.05, -0.06, 0.09, -0.08, 0.02]
"""Log ratios of a control whose ratio is known to 10 % only."""


def decided(ratio: float, spread: float = 0.001) -> Decision:
    """The decision on a case whose pairs have this ratio, with a spread."""
    pairs = iter(np.random.default_rng(1).normal(math.log(ratio), spread, 99))
    return decide(Rule(), lambda _: {"a": float(next(pairs))}, ["a"], thresholds=thresholds("a"))


def both_parts(log_ratios: Sequence[float]) -> list[dict[str, float]]:
    """Pairs in which both parts of the control have these log ratios."""
    return [dict.fromkeys(CONTROLS, each) for each in log_ratios]


def control(log_ratios: Sequence[float]) -> dict[str, RatioEstimate]:
    """The estimates of both parts of the control from these log ratios."""
    return judge_control(both_parts(log_ratios))


def test_a_control_that_drifts_makes_the_machine_unfit() -> None:
    """A certain shift of more than a percent in either direction does, and so does a wide interval."""
    assert unfit({"control": estimate(shifted(0.0, 12))}) == ""
    assert "came out 1.05" in unfit({"control": estimate(shifted(0.05, 12))})
    assert "came out 0.952" in unfit({"control": estimate(shifted(-0.05, 12))})
    certain = estimate([0.005 + each / 10 for each in NOISE])
    assert certain.p_slower < 1e-6
    assert unfit({"control": certain}) == ""
    assert "too noisy" in unfit({"control": estimate([0.3, -0.3, 0.2, -0.2, 0.1])})


@pytest.mark.parametrize(
    "fields",
    [
        {"ratio": 1 + CONTROL_SHIFT, "high": 1.02, "p_slower": 0.0},
        {"ratio": 1 / (1 + CONTROL_SHIFT), "p_faster": 0.0},
        {"ratio": 1.04, "high": 1.05, "p_slower": CONTROL_ERROR / 2},
        {"ratio": 1.0, "high": 1 + CONTROL_WIDTH},
    ],
    ids=["slower", "faster", "uncertain", "wide"],
)
def test_a_control_that_just_reaches_a_limit_is_fit(fields: dict[str, float]) -> None:
    """A machine is unfit beyond it."""
    assert unfit({"control": exactly(**fields)}) == ""


def test_a_slowdown_of_just_what_the_machine_explains_does_not_count() -> None:
    """Neither the case nor the control has any spread."""
    control = {"control": exactly(ratio=1.5, low=1.5, high=1.5)}
    for ratio, said in (((1 + 0.03) * 1.5, ()), (1.03 * 1.5001, ("a",))):
        judged = {"a": Judgement("slower", exactly(ratio=ratio, low=ratio, high=ratio), 0.03)}
        assert slower_by_far(Decision(judged, judged, ("a",), {}, {}), control) == said


def test_two_parts_of_the_control_drift_by_chance_as_rarely_as_one() -> None:
    """A p-value of 0.004 is below half a percent, the limit of one part, and above a quarter, that of each of two."""
    drifting = estimate([0.05 + 14 * (each - statistics.fmean(NOISE)) for each in NOISE])
    assert 0.0025 < drifting.p_slower < 0.005
    assert "came out" in unfit({"product": drifting})
    assert unfit({"product": drifting, "loop": drifting}) == ""


def test_a_machine_that_stays_unfit_is_unfit_after_any_further_pairs() -> None:
    """The early rule holds for the narrowest interval to be had: further pairs at the mean of those that are there."""
    random, most = np.random.default_rng(3), Rule().most_pairs
    early = 0
    for _ in range(200):
        first = random.normal(0.0, random.uniform(0.0, 0.6), int(random.integers(3, 8))).tolist()
        if not stays_unfit(both_parts(first), most):
            continue
        early += 1
        mean = statistics.fmean(first)
        for count in range(most - len(first) + 1):
            further = random.normal(mean, 0.001, count).tolist()
            assert unfit(control([*first, *[mean] * count]))
            assert unfit(control([*first, *further]))
    assert early > 20


@pytest.mark.parametrize("times", [0.999, 1.001])
def test_the_early_rule_is_that_of_the_narrowest_interval(times: float) -> None:
    """Two pairs that differ, and all others at their mean: the interval reaches just as far as it may, or farther."""
    most = Rule().most_pairs
    # The standard error of the mean is that of 2 * apart**2 over all pairs.
    apart = math.log1p(CONTROL_WIDTH) * math.sqrt(most * (most - 1) / 2) / stats.t.ppf(0.975, most - 1)
    pairs = [times * apart, -times * apart]
    assert stays_unfit(both_parts(pairs), most) is (times > 1)
    assert bool(unfit(control([*pairs, *[0.0] * (most - 2)]))) is (times > 1)


def test_no_run_that_ends_on_a_fit_machine_was_said_to_stay_unfit() -> None:
    """At no number of pairs does the early rule speak against a run that all of its pairs show to be fit."""
    random, most, fit = np.random.default_rng(4), Rule().most_pairs, 0
    for _ in range(300):
        ratios = random.normal(0.0, random.uniform(0.0, 0.2), most).tolist()
        if unfit(control(ratios)):
            continue
        fit += 1
        assert not any(stays_unfit(both_parts(ratios[:count]), most) for count in range(1, most + 1))
    assert fit > 50


def test_an_early_warning_says_whether_further_pairs_can_show_a_fit_machine() -> None:
    """It comes from three pairs on, and not on a quiet machine."""
    most = Rule().most_pairs
    assert early_warning(both_parts([0.5, -0.5]), most) == ""
    assert early_warning(both_parts(shifted(0.0)), most) == ""
    assert early_warning(both_parts(WIDE), most).startswith("so far the machine is unfit to judge on: control")
    assert early_warning(both_parts([0.5, -0.5, 0.4]), most).startswith("the machine is unfit to judge on, whatever")
    # A certain shift may be outweighed later.
    assert early_warning(both_parts(shifted(0.05)), most).startswith("so far")


def test_a_warning_says_what_is_known_and_what_can_be_done() -> None:
    """The first pair is named as such; pairs without a control, or whose control differs by 5 %, give no warning."""
    name, _ = CONTROLS
    later = "with the same code on both; further pairs may show that it is fit, and Ctrl-C ends the run"
    said = f"so far the machine is unfit to judge on: {name} differed by 10% between the sides of"
    unlike = both_parts([math.log(1.1)])
    assert first_warning(unlike) == f"{said} the first pair, {later}"
    assert first_warning([{}, *unlike]) == f"{said} a pair, {later}"
    assert first_warning(both_parts([math.log1p(CONTROL_WIDTH), -math.log1p(CONTROL_WIDTH)])) == ""
    assert first_warning([{"a": 0.5}]) == ""
    assert early_warning(both_parts([0.5, -0.5, 0.4]), Rule().most_pairs) == (
        "the machine is unfit to judge on, whatever further pairs give: "
        f"{unfit(control([0.5, -0.5, 0.4]))}; only a slowdown that it does not explain will count, and Ctrl-C ends the "
        "run"
    )


def test_a_twofold_slowdown_is_certain_beside_a_wide_control() -> None:
    """A ratio of 2.07 is known to a thousandth, and the control to 10 %."""
    wide = control(WIDE)
    assert "too noisy" in unfit(wide)
    assert slower_by_far(decided(2.07), wide) == ("a",)


@pytest.mark.parametrize(("ratio", "drift"), [(1.1, 0.0), (1.5, 0.4), (1.5, -0.4)])
def test_a_slowdown_that_the_machine_may_have_made_does_not_count(ratio: float, drift: float) -> None:
    """The slowdown is as small as the control is wide, or as large as it drifts in either direction."""
    decision = decided(ratio)
    assert decision.slower == ("a",)
    assert slower_by_far(decision, control([drift + each for each in WIDE])) == ()


def test_an_uncertain_slowdown_does_not_count() -> None:
    """Its 95 % interval exceeds what the machine explains; its bound at the error of the rule does not."""
    decision, wide = decided(1.35, spread=0.06), control(WIDE)
    explained = bounds(wide[CONTROLS[0]], BY_FAR_ERROR / 2)[1]
    assert decision.slower == ("a",)
    assert decision.final["a"].estimate.low > 1.03 * explained
    assert slower_by_far(decision, wide) == ()


def test_a_slowdown_in_one_of_many_cases_has_to_be_as_certain_as_all_together() -> None:
    """Its lower bound at 1 % exceeds what the machine explains; that at a tenth of it, for ten cases, does not."""
    wide = control(WIDE)
    limit = math.log(1.03 * bounds(wide[CONTROLS[0]], BY_FAR_ERROR / 2)[1])
    found = estimate([limit + 0.09 + 0.02 * step for step in (-2, -1, 0, 1, 2)])
    assert [math.log(bounds(found, error)[0]) > limit for error in (BY_FAR_ERROR, BY_FAR_ERROR / 10)] == [True, False]
    slower, same = Judgement("slower", found, 0.03), Judgement("same", estimate(shifted(0.0)), 0.03)
    for others, said in ((0, ("a",)), (9, ())):
        judged = {"a": slower, **{f"{number}": same for number in range(others)}}
        assert slower_by_far(Decision(judged, judged, ("a",), {}, {}), wide) == said


def test_bounds_are_those_of_their_error() -> None:
    """At 5 % they are the interval of the estimate; at 1 % they are farther apart."""
    found = estimate(shifted(0.1))
    assert bounds(found, 0.05) == pytest.approx((found.low, found.high))
    low, high = bounds(found, 0.01)
    assert low < found.low < found.high < high


def test_equal_code_on_an_unfit_machine_raises_an_alarm_in_one_run_of_a_hundred_at_most() -> None:
    """The machine favours one side, cases and control alike, by 10 % (standard deviation of its log over runs).

    Pairs come out 3 % apart, so that nearly all runs are unfit, and many have a confirmed slowdown.
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

        decision = decide(Rule(), draw, cases, thresholds=thresholds(cases))
        found = judge_control(drawn)
        confirmed += bool(decision.slower)
        if unfit(found):
            unfit_runs += 1
            alarms += bool(slower_by_far(decision, found))
    assert unfit_runs > 0.6 * runs
    assert confirmed > 0.2 * runs
    assert alarms <= 0.01 * runs
