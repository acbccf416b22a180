"""The verdicts of `regress` and of other rules on groups whose slowdowns are known."""

from __future__ import annotations

import dataclasses
import math

import pytest

from benchmarks.regression.calibration import curves as curves_of_rules
from benchmarks.regression.calibration import measuring
from benchmarks.regression.calibration.rules import (
    Costs,
    compare_fails,
    equal_code,
    most_pairs,
    replay_verdict,
    t_test,
)
from benchmarks.regression.calibration.trials import (
    INTERLEAVED,
    ONE_AFTER_ANOTHER,
    Replay,
    compare_of,
    regress_on_equal_code,
    regress_on_injected,
    regress_within,
    t_test_on,
)
from benchmarks.regression.measuring import floor_pairs
from tests.synthetic_groups import CASES, CONTROLS, COSTS, group, replay


def test_equal_code_raises_no_alarm_and_a_slower_twin_does() -> None:
    """A twin that is a third slower is called so, and equal code never is."""
    equal = regress_on_equal_code(replay([group(number) for number in range(40)]), 100.0)
    assert equal
    assert not any(each.alarm for each in equal)
    first = floor_pairs(len(CASES))
    slower = [
        group(number, again=1 + 0.3 * (number >= first))
        for number in range(first + most_pairs(COSTS, len(CASES), 100.0))
    ]
    assert [each.slower for each in regress_on_equal_code(replay(slower), 100.0)] == [CASES]


def test_a_slowdown_that_is_not_as_intended_is_in_no_trial() -> None:
    """A quarter more or less counts, more than that does not: of 20 %, 15 to 25 % in the median over all groups."""
    for factor, counts in ((1.14, False), (1.16, True), (1.24, True), (1.26, False)):
        groups = replay([group(number, slowed=1.0 if number == 5 else factor) for number in range(40)])
        assert groups.measured("a", "0.2") == pytest.approx(factor - 1, abs=0.003)
        assert groups.as_intended("a", "0.2") == counts
        assert groups.of_size("a", "0.2") == (list(range(40)) if counts else [])
    assert groups.measured("a", "0.1") is None
    assert not groups.as_intended("a", "0.1")


def test_trials_of_regress_share_no_group() -> None:
    """A trial begins after the groups of the one before, with those of its noise floor."""
    groups = [group(number) for number in range(40)]
    trials = regress_on_equal_code(replay(groups), 100.0)
    assert sum(each.pairs + floor_pairs(len(CASES)) for each in trials) <= len(groups)
    # The groups of the second trial are slow, and only that trial may find them.
    first = trials[0].pairs + floor_pairs(len(CASES))
    late = [group(number, again=1 + 0.3 * (number >= first + floor_pairs(len(CASES)))) for number in range(40)]
    assert [each.alarm for each in regress_on_equal_code(replay(late), 100.0)][:2] == [False, True]


def test_regress_finds_a_slowdown_that_is_injected_in_one_case() -> None:
    """Pairs are of groups with that size, the noise floor of others; the other case is equal code."""
    groups = [group(number, size="0.2" if number % 3 else "0.02") for number in range(60)]
    trials = regress_on_injected(replay(groups), "0.2", "b", 100.0)
    assert trials
    assert {each.slower for each in trials} == {("b",)}
    assert sum(each.pairs for each in trials) <= 40
    assert not regress_on_injected(replay(groups), "0.05", "b", 100.0)


def test_the_noise_floor_is_that_of_the_groups_just_before() -> None:
    """They are those in which the case had another size; the first such groups stand in where none lie before."""
    unlike = [group(number, again=(1.5, 0.7)[number % 2], size="0.02") for number in range(2)]
    alike = [group(number, size="0.02") for number in range(2)]
    slowed = [group(number) for number in range(most_pairs(COSTS, len(CASES), 100.0))]
    found = [
        [each.slower for each in regress_on_injected(replay(groups), "0.2", "b", 100.0)]
        for groups in (
            (*unlike, *alike, *slowed),
            (*alike, *unlike, *slowed),
            (*slowed, *alike, *unlike),
            (*unlike, *unlike, *alike, *slowed),
        )
    ]
    assert found == [[("b",)], [()], [("b",)], [("b",)]]
    assert regress_on_injected(replay([*alike[:1], *slowed]), "0.2", "b", 100.0) == []


def test_groups_in_another_order_are_the_same_groups() -> None:
    """Each group has its own log ratios, and the seed settles the order."""
    groups = replay([group(number, again=1 + number / 100, slowed=2 + number / 100) for number in range(20)])
    other = groups.shuffled(1)
    assert other == groups.shuffled(1)
    assert other.groups != groups.groups
    assert other == replay(other.groups)
    assert sorted(each.sides[1]["a"] for each in other.groups) == [each.sides[1]["a"] for each in groups.groups]


def test_a_slowdown_that_the_machine_explains_is_neither_found_nor_an_alarm() -> None:
    """The control drifts as far as the cases."""
    drift = (CONTROLS, ((1.3, 1.3),) * 3, CONTROLS)
    for controls, said in (((CONTROLS,) * 3, True), (drift, False)):
        slower = [dataclasses.replace(group(number, again=1.3), controls=controls) for number in range(26)]
        floor = [group(number, size="0.02") for number in range(2)]
        groups = replay([*floor, *slower])
        rule = regress_within(groups, 100.0)
        assert rule.finds(groups, "0.2", "a")[0] is said
        assert rule.alarms(groups)[0] is said


def test_the_t_test_takes_each_trials_pairs_once() -> None:
    """An alarm is one in any case; a detection is one in the slowed case, in groups of its size."""
    groups = replay([group(number, size=("0.2", "0.1")[number % 2]) for number in range(13)])
    rule = t_test_on(groups, 3)
    assert rule.alarms(groups) == [False] * 4
    assert rule.finds(groups, "0.2", "a") == [True] * 2
    assert rule.finds(groups, "0.05", "a") == []
    slower = []
    for each in groups.groups:
        base, head, slowed = each.sides
        slower.append(dataclasses.replace(each, sides=(base, {**head, "b": slowed["b"]}, slowed)))
    assert t_test_on(replay(slower), 3).alarms(replay(slower)) == [True] * 4


def test_a_time_without_room_for_a_first_analysis_is_no_candidate() -> None:
    """Two dry runs of a second, two pairs of four for the noise floor and three to judge by fit into 24 s, not 21 s."""
    groups = Replay.of([group(number) for number in range(6)], CASES, dataclasses.replace(COSTS, plain=3.0))
    found = [each for each in curves_of_rules.candidates(groups) if each.rule == "regress"]
    assert [(each.seconds, each.pairs) for each in found] == [(24.0, 4), (30.0, 7), (36.0, 10)]


def test_a_replayed_verdict_ends_with_its_budget() -> None:
    """There is time for two dry runs of a second, and five pairs of four, two of them for the noise floor."""
    pairs = [dict(each) for each in replay([group(number, again=1.3) for number in range(12)]).equal]
    for_floor = replay([group(number) for number in range(2)]).equal
    verdict = replay_verdict(pairs, for_floor, CASES, COSTS, 22.5)
    assert (verdict.pairs, verdict.seconds, verdict.slower) == (3, 22.0, ())
    assert replay_verdict(pairs, for_floor, CASES, COSTS, 100.0).slower == CASES
    slow_start = dataclasses.replace(COSTS, dry_run=2.0)
    verdict = replay_verdict(pairs, for_floor, CASES, slow_start, 27.5)
    assert (verdict.pairs, verdict.seconds) == (3, 24.0)


def test_a_replayed_verdict_has_the_cases_of_each_kind() -> None:
    """One case is faster by a third; the pairs of the other are too far apart to tell."""
    equal = replay([group(number) for number in range(12)]).equal
    pairs = [{**each, "a": -0.3 + each["a"], "b": (0.3, -0.3)[number % 2]} for number, each in enumerate(equal)]
    verdict = replay_verdict(pairs, equal[:2], CASES, COSTS, 100.0)
    assert (verdict.slower, verdict.faster, verdict.undecided) == ((), ("a",), ("b",))


def test_a_small_slowdown_on_a_fit_machine_is_an_alarm() -> None:
    """It is confirmed, though it would not be far enough from what an unfit machine explains."""
    equal = replay([group(number) for number in range(26)]).equal
    pairs = [{**each, "a": 0.05 + (0.012, -0.012, 0.0)[number % 3]} for number, each in enumerate(equal)]
    verdict = replay_verdict(pairs, equal[:2], CASES, COSTS, 100.0)
    assert (verdict.slower, verdict.unfit, verdict.alarm) == (("a",), False, True)


def test_a_verdict_on_an_unfit_machine_is_no_alarm() -> None:
    """Cases that are as much slower as the control raise none; a larger slowdown does."""
    for again, said in ((1.3, ()), (2.0, CASES)):
        drifting = [
            dataclasses.replace(
                group(number, again=again), controls=(CONTROLS, ((1.3, 1.3 + 0.001 * number),) * 3, CONTROLS)
            )
            for number in range(2 + most_pairs(COSTS, len(CASES), 100.0))
        ]
        verdict = replay_verdict(
            [equal_code(each) for each in drifting[2:]], [{"a": 0.001, "b": 0.001}] * 2, CASES, COSTS, 100.0
        )
        assert verdict.unfit
        assert (verdict.slower, verdict.alarm) == (said, bool(said))


def test_compare_calls_what_is_beyond_its_limit() -> None:
    """A run is compared with one of its group, or of the group before where one follows another."""
    groups = replay([group(number) for number in range(6)])
    for order, trials in ((INTERLEAVED, 6), (ONE_AFTER_ANOTHER, 3)):
        rule = compare_of(groups, "mean > 5 %", 1, order)
        assert rule.alarms(groups) == [False] * trials
    assert compare_of(groups, "mean > 5 %", 1, INTERLEAVED).finds(groups, "0.2", "a") == [True] * 6
    # The checkout beside itself took a fifth longer: that is an alarm, and its base is the first of the processes.
    apart = replay([group(number, again=1.2, slowed=1.2) for number in range(6)])
    assert compare_of(apart, "mean > 5 %", 1, INTERLEAVED).alarms(apart) == [True] * 6
    assert compare_of(apart, "mean > 5 %", 1, INTERLEAVED).finds(apart, "0.2", "a") == [True] * 6
    # The first group's base is slow: only a run that is compared with it comes out faster.
    slow = dataclasses.replace(groups.groups[0], summaries=({case: {"mean": 1.5} for case in CASES},) * 3)
    moved = replay([slow, *groups.groups[1:]])
    assert compare_of(moved, "mean > 5 %", 1, ONE_AFTER_ANOTHER).finds(moved, "0.2", "a") == [False, *[True] * 4]


def test_compare_of_several_runs_takes_them_as_one() -> None:
    """The runs of a side have the least of their minima and the mean of their means."""
    base = [{"min": 1.0, "mean": 1.0}, {"min": 0.8, "mean": 1.2}]
    head = [{"min": 1.0, "mean": 1.3}, {"min": 1.0, "mean": 1.1}]
    assert compare_fails(base, head, "min", 0.20)
    assert not compare_fails(base, head, "min", 0.30)
    assert compare_fails(base, head, "mean", 0.05)
    assert not compare_fails(base, head, "mean", 0.10)
    assert [compare_fails([{"min": 1.0}], [{"min": each}], "min", 0.25) for each in (1.25, 1.26)] == [False, True]


def test_the_t_test_asks_for_certainty_and_effect() -> None:
    """It asks for both, of each row by itself."""
    both = [0.05, 0.051, 0.049, 0.05, 0.052]
    small = [0.02, 0.021, 0.019, 0.02, 0.022]
    uncertain = [0.3, -0.2, 0.1, 0.0, 0.05]
    assert t_test([both, small, uncertain]) == [True, False, False]
    # Means of exactly 3 %, and of a little more.
    limit = math.log1p(0.03)
    assert t_test([[limit - far, limit, limit + far] for far in (2**-10, 2**-12)]) == [False, False]
    assert t_test([[limit, limit + 2**-12, limit + 2**-12]]) == [True]
    assert t_test([]) == []


def test_the_cost_of_a_pair_is_interpolated_between_few_cases_and_all() -> None:
    """It lies on the line through the medians of the measured costs."""
    record = {
        "costs": {
            "plain_seconds": [9, 10, 30],
            "dry_run_seconds": [3],
            "pair_seconds": {"1": [4.0, 5.0, 6.0], "11": [15]},
        }
    }
    costs = Costs.of(record)
    assert (costs.plain, costs.dry_run, costs.pair(1), costs.pair(6), costs.pair(11)) == (10, 3, 5, 10, 15)


def test_work_is_settled_by_the_groups_that_were_measured() -> None:
    """A unit of work made the case 0.1 % slower; each case has amounts of its own."""
    groups = [group(3, slowed=1 + amount / 1000, amount=amount) for amount in (10, 20, 40, 80, 160)]
    assert measuring.settle({"a": "case"}, groups) == {"case": {"0.02": 20, "0.05": 50, "0.1": 100, "0.2": 200}}


def test_slowdowns_of_unsettled_amounts_are_no_trial() -> None:
    """The equal code of their groups is."""
    groups = [group(number, settled=number >= 30) for number in range(60)]
    assert replay(groups).of_size("a", "0.2") == list(range(30, 60))
    assert len(regress_on_equal_code(replay(groups), 100.0)) > len(regress_on_equal_code(replay(groups[30:]), 100.0))


def test_a_trial_draws_the_pairs_that_there_is_time_for() -> None:
    """Pairs have all cases until the first analysis, then one; the last analysis and a confirmation are the end."""
    costs = Costs(plain=10.0, dry_run=2.0, pairs={1: 2.0, 16: 16.0})
    # 4 s of dry runs and 16 s for the noise floor leave two pairs of all cases, three, and three with two of one case.
    assert [most_pairs(costs, 16, seconds) for seconds in (52.0, 68.0, 72.0, 1000.0)] == [2, 3, 5, 23]
    assert [most_pairs(costs, 16, seconds) for seconds in (1.0, 20.0, 35.9, 36.0)] == [0, 0, 0, 1]


def test_a_trial_begins_where_there_are_groups_enough() -> None:
    """It may take two for the noise floor and five to judge by; equal code is told by three of the five."""
    assert (floor_pairs(len(CASES)), most_pairs(COSTS, len(CASES), 26.0)) == (2, 5)
    for number, pairs in ((6, []), (7, [3]), (11, [3]), (12, [3, 3])):
        found = regress_on_equal_code(replay([group(each) for each in range(number)]), 26.0)
        assert [each.pairs for each in found] == pairs
