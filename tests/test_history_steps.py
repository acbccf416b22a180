"""`history`: the steps of a series, and its noise."""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats

from benchmarks.history.steps import (
    LEAST_STEP,
    Noise,
    NoRuptures,
    find_steps,
    levels_end,
    noise_of,
    shift,
    values,
)


def processes(
    levels: Sequence[float], *, between: float = 0.0, within: float = 0.01, count: int = 5, seed: int = 0
) -> list[list[float]]:
    """Seconds of each process of each revision: exp(level) with normal noise of revisions and of processes."""
    draw = random.Random(seed)
    found = []
    for level in levels:
        value = level + draw.gauss(0.0, between)
        found.append([math.exp(value + draw.gauss(0.0, within)) for _ in range(count)])
    return found


def test_a_step_is_found_with_its_place_and_size() -> None:
    """The step is ten percent after the sixth of twelve revisions."""
    (step,) = find_steps(processes([0.0] * 6 + [math.log(1.1)] * 6))
    assert (step.last_before, step.at, step.first_after) == (5, 6, 6)
    assert step.low < 1.1 < step.high
    assert step.high - step.low < 0.04


def test_steps_that_undo_each_other_are_both_found() -> None:
    """The time goes up and down again, so that no single step explains it."""
    steps = find_steps(processes([0.0] * 8 + [0.12] * 4 + [0.0] * 8))
    assert levels_end(steps) == [8, 12]
    assert [step.ratio > 1 for step in steps] == [True, False]


def test_noise_of_the_machine_makes_no_steps() -> None:
    """A hundred series whose revisions differ by more than their processes have none, at 1 % in all together."""
    series = [processes([0.0] * 16, between=0.03, seed=seed) for seed in range(100)]
    assert not [found for found in series if find_steps(found, cases=len(series))]


def test_one_stray_revision_is_no_step() -> None:
    """A level takes two revisions."""
    assert not find_steps(processes([0.0] * 6 + [0.5] + [0.0] * 6))


def test_a_certain_step_that_is_too_small_to_matter_is_left_out() -> None:
    """The step is one percent, in noise of a hundredth of it."""
    assert not find_steps(processes([0.0] * 8 + [0.01] * 8, within=1e-4))


def test_an_uncertain_place_is_a_range() -> None:
    """A step no larger than the noise of a revision lies between revisions that are farther apart."""
    (step,) = find_steps(processes([0.0] * 30 + [0.05] * 30, between=0.04, seed=3))
    assert step.first_after - step.last_before > 1
    assert step.last_before < 30 <= step.first_after


@pytest.mark.parametrize("revisions", [1, 2, 3])
def test_too_few_revisions_have_no_steps(revisions: int) -> None:
    """The distance of their times does not count."""
    assert not find_steps(processes([0.0, 5.0, 9.0][:revisions]))


def test_the_noise_is_the_larger_of_processes_and_revisions() -> None:
    """The median of five processes of 1 % has 0.56 %, that of two 0.71 %; revisions that differ by 5 % have 5 %."""
    few = noise_of(processes([0.0] * 200, count=2))
    assert few is not None
    assert few.deviation == pytest.approx(0.0071, rel=0.1)
    quiet, moving = noise_of(processes([0.0] * 200)), noise_of(processes([0.0] * 200, between=0.05))
    assert quiet is not None
    assert moving is not None
    assert quiet.deviation == pytest.approx(0.0056, rel=0.15)
    assert moving.deviation == pytest.approx(0.05, rel=0.15)


def test_one_process_of_one_revision_has_no_noise() -> None:
    """Its noise is unknown."""
    assert noise_of([[1.0]]) is None


def exact(levels: Sequence[float], apart: float = 0.0) -> list[list[float]]:
    """Two processes of each revision, whose logarithms lie this far below and above the level."""
    return [[math.exp(level - apart), math.exp(level + apart)] for level in levels]


def test_each_step_is_that_between_its_own_two_levels() -> None:
    """Three levels of different lengths: a step has the ratio and the interval of the levels on either side of it."""
    steps = find_steps(exact([0.0] * 4 + [0.1] * 6 + [0.4] * 9))
    assert [(step.start, step.at, step.end) for step in steps] == [(0, 4, 10), (4, 10, 19)]
    assert [math.log(step.ratio) for step in steps] == pytest.approx([0.1, 0.3])
    # No time is known better than to a ten-thousandth; nineteen revisions of two processes have 19 degrees of freedom.
    halves = [stats.t.ppf(0.975, 19) * 1e-4 * math.sqrt(1 / before + 1 / after) for before, after in ((4, 6), (6, 9))]
    assert [math.log(step.high / step.ratio) for step in steps] == pytest.approx(halves)
    assert [math.log(step.ratio / step.low) for step in steps] == pytest.approx(halves)


@pytest.mark.parametrize(("between", "last_before"), [(0.045, 6), (0.046, 5)])
def test_a_revision_between_two_levels_may_belong_to_either(between: float, last_before: int) -> None:
    """It belongs to the second as well where that adds less to the sum of squares than the 95 % point of F(1, n)."""
    series = exact([0.0] * 6 + [between] + [0.1] * 6, 0.004)
    noise = noise_of(series, [7])
    assert noise is not None
    # Moving it adds the squares about the second level of seven, and takes those about the first.
    added = (6 / 7) * ((0.1 - between) ** 2 - between**2)
    allowed = float(stats.f.ppf(0.95, 1, noise.degrees)) * noise.deviation**2
    assert (added <= allowed) is (last_before == 5)
    (step,) = find_steps(series)
    assert (step.last_before, step.at, step.first_after) == (last_before, 7, 7)


def test_a_step_may_lie_after_the_first_revision() -> None:
    """A level has two revisions, and the second of them may belong to the level after it."""
    (step,) = find_steps(exact([0.0, 0.06] + [0.1] * 10, 0.01))
    assert (step.last_before, step.at) == (0, 2)


def test_the_difference_of_two_levels_has_students_interval() -> None:
    """Four revisions are twice as slow as nine, with noise of 1 % at 10 degrees of freedom."""
    difference, half = shift(exact([0.1] * 9), exact([0.1 + math.log(2)] * 4), Noise(0.01, 10))
    assert difference == pytest.approx(math.log(2))
    assert half == pytest.approx(stats.t.ppf(0.975, 10) * 0.01 * math.sqrt(1 / 9 + 1 / 4))


def test_the_smallest_visible_step_is_that_of_students_test_for_all_places_and_cases() -> None:
    """Twenty revisions have seventeen places; a fourth of the 1 % is for one step at once. It is never below 2 %."""
    quantile = stats.t.isf(0.01 / 4 / 17 / 5 / 2, 40)
    assert Noise(0.02, 40).least_visible(20, 5) == pytest.approx(quantile * 0.02 * math.sqrt(1 / 10 + 1 / 10))
    # Four have one place, and two cases half of the probability each.
    single = stats.t.isf(0.01 / 4 / 2 / 2, 40)
    assert Noise(0.02, 40).least_visible(4, 2) == pytest.approx(single * 0.02)
    assert Noise(1e-3, 40).least_visible(20, 5) == pytest.approx(math.log1p(LEAST_STEP))


@pytest.mark.parametrize(("times", "found"), [(0.97, 0), (1.03, 1)])
def test_a_step_is_found_from_the_smallest_visible_one_on(times: float, found: int) -> None:
    """The step lies in the middle of twenty revisions, whose processes differ and whose levels do not."""
    visible = Noise(0.02, 20).least_visible(20, 1)
    assert len(find_steps(exact([0.0] * 10 + [times * visible] * 10, 0.02))) == found


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize(("times", "found"), [(0.995, []), (1.005, [8, 10])])
def test_of_steps_that_are_found_together_each_is_certain_by_itself(
    times: float, found: list[int], mirrored: bool
) -> None:
    """Two steps explain more than noise does; the smaller has to exceed Student's limit for two levels of 8 and 2."""
    noise = 0.01
    limit = stats.t.isf(0.01 / 4 / 15 / 2, 18) * noise * math.sqrt(1 / 8 + 1 / 2)
    levels = [0.0] * 8 + [5.2 * noise] * 2 + [5.2 * noise - times * limit] * 8
    steps = find_steps(exact(levels[::-1] if mirrored else levels, noise))
    assert levels_end(steps) == found


def test_the_place_of_a_step_is_that_of_least_squares() -> None:
    """No other place of a single step leaves a smaller sum of squares, in noise that moves it about."""
    places = []
    for seed in range(30):
        series = processes([0.0] * 10 + [0.05] * 10, between=0.02, seed=seed)
        level = values(series)
        steps = find_steps(series)
        if len(steps) == 1:
            left = [
                sum(((part - part.mean()) ** 2).sum() for part in np.split(level, [place])) for place in range(2, 19)
            ]
            assert steps[0].at == 2 + int(np.argmin(left))
            places.append(steps[0].at)
    assert len(places) > 15
    assert len(set(places)) > 2


def test_four_revisions_may_have_a_step() -> None:
    """Each level has two revisions."""
    assert levels_end(find_steps(exact([0.0, 0.0, 0.5, 0.5], 0.01))) == [2]


def test_single_processes_have_the_noise_of_the_revisions_about_their_levels() -> None:
    """Two levels of three and four revisions leave five degrees of freedom."""
    levels = [0.00, 0.03, 0.06, 0.50, 0.52, 0.50, 0.52]
    found = noise_of([[math.exp(level)] for level in levels], [3])
    assert found is not None
    assert found.degrees == 5
    assert found.deviation == pytest.approx(math.sqrt((2 * 0.03**2 + 4 * 0.01**2) / 5))


def test_processes_of_one_revision_have_the_noise_of_their_median() -> None:
    """The median of three has pi / 2 times the variance of their mean; no revisions are compared."""
    found = noise_of([[math.exp(each) for each in (-0.01, 0.0, 0.01)]])
    assert found is not None
    assert found.deviation == pytest.approx(0.01 * math.sqrt(math.pi / 2 / 3))
    assert found.degrees == 2


def test_two_revisions_show_what_their_processes_do_not_explain() -> None:
    """The degrees of freedom are Satterthwaite's, of two parts of the variance. The least noise is 0.01 %."""
    found = noise_of(exact([0.0, 0.1], 0.01))
    assert found is not None
    # The variance of the two values is 0.005, of which 0.0001 is that of the processes, at two degrees of freedom.
    assert found.deviation == pytest.approx(math.sqrt(0.005))
    assert found.degrees == pytest.approx(0.005**2 / (0.0001**2 / 2 + 0.0049**2 / 1))
    assert noise_of(exact([0.0] * 4, 1e-5)) == Noise(1e-4, 4)


def test_without_ruptures_the_refusal_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an extra of the package."""
    monkeypatch.setitem(sys.modules, "ruptures", None)
    with pytest.raises(NoRuptures) as refused:
        find_steps(exact([0.0] * 4))
    assert str(refused.value) == (
        "change points are found by ruptures, which is not installed: pip install 'rnnbench[history]'"
    )
