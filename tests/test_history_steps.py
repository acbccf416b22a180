"""`history`: the steps of a series, and its noise."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import pytest

from benchmarks.history.steps import find_steps, levels_end, noise_of


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
