"""`regress`: from pairs to verdicts, and whether the machine is fit to give them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

import pytest

from benchmarks.regression.fitness import unfit
from benchmarks.regression.judging import estimate_each, holm, judge, noise_floor
from benchmarks.regression.measuring import floor_pairs
from benchmarks.regression.stopping import Rule
from tests.synthetic_ratios import NOISE, estimate, shifted

RULE = Rule(looks=(5, 8), confirmation_pairs=5)


def verdicts(log_ratios: Mapping[str, Sequence[float]], noise: float = 0.0) -> dict[str, str]:
    """The verdict on each case at a tolerance of 3 %."""
    estimates, tolerances = estimate_each(log_ratios, 0.01), dict.fromkeys(log_ratios, 0.03)
    judged = judge(estimates, error=0.1, tolerances=tolerances, floor_of=lambda _: noise)
    return {case: judgement.verdict for case, judgement in judged.items()}


def test_each_verdict_is_given() -> None:
    """Faster, same and slower when it is certain and matters; cannot tell when it is wide."""
    wide = [0.3, -0.3, 0.1, -0.2, 0.2]
    found = verdicts({"slower": shifted(0.1), "faster": shifted(-0.1), "same": shifted(0.0), "wide": wide})
    assert found == {"slower": "slower", "faster": "faster", "same": "same", "wide": "cannot tell"}


def test_a_certain_change_within_the_tolerance_is_the_same() -> None:
    """One percent is certain here, in either direction, and does not matter."""
    assert estimate(shifted(0.01, 12)).p_slower < 0.001
    assert verdicts({"slower": shifted(0.01, 12), "faster": shifted(-0.01, 12)}) == {"slower": "same", "faster": "same"}


def test_what_may_lie_on_either_side_of_the_tolerance_cannot_be_told() -> None:
    """On average it is within, but the interval is not, above or below."""
    near = {"above": shifted(0.029), "below": shifted(-0.029)}
    assert verdicts(near) == {"above": "cannot tell", "below": "cannot tell"}


def test_a_clock_that_stands_still_has_a_verdict() -> None:
    """Ratios without any spread."""
    assert verdicts({"case": [0.0] * 5}) == {"case": "same"}


def test_a_change_within_the_noise_floor_is_no_slowdown() -> None:
    """Though it is beyond the tolerance."""
    assert verdicts({"case": shifted(0.05)}, noise=0.08) != {"case": "slower"}


def test_the_interval_of_the_mean_is_students() -> None:
    """Of the numbers 1 to 5: 3 ± 2.776 * sqrt(0.5)."""
    found = estimate([1.0, 2.0, 3.0, 4.0, 5.0])
    assert math.log(found.high) == pytest.approx(3 + 2.7764 * math.sqrt(0.5), abs=1e-3)
    assert math.log(found.low) == pytest.approx(3 - 2.7764 * math.sqrt(0.5), abs=1e-3)


def test_what_could_have_been_seen_is_found_four_times_in_five() -> None:
    """Of the numbers 1 to 5, at an error of 0.05: 2.132 + 0.941 times the deviation of the mean."""
    assert math.log1p(estimate([1.0, 2.0, 3.0, 4.0, 5.0], 0.05).detectable) == pytest.approx(
        3.0728 * math.sqrt(0.5), abs=1e-3
    )


def test_two_pairs_are_no_estimate() -> None:
    """Three are the least."""
    assert estimate([0.0, 0.1, 0.2]).pairs == 3
    with pytest.raises(ValueError, match="2 pairs; expected 3 or more"):
        estimate([0.0, 0.1])


def test_holm_multiplies_by_what_is_left() -> None:
    """The example of three: the least by three, the next by two, none below one before it, or above one."""
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "c": 0.06, "b": 0.06})
    assert holm({"a": 0.6, "b": 0.9}) == {"a": 1.0, "b": 1.0}


def test_the_floor_falls_with_the_root_of_pairs() -> None:
    """Student's t of as many degrees as there are log ratios: 2.021 times 1 % for forty, divided by that root."""
    floor_of = noise_floor([0.01, -0.01] * 20)
    assert [math.log1p(floor_of(pairs)) for pairs in (1, 16)] == pytest.approx([0.02021, 0.02021 / 4], rel=1e-3)


def test_a_control_that_drifts_makes_the_machine_unfit() -> None:
    """In either direction, by more than a percent; or one that is not known well."""
    assert unfit({"control": estimate(shifted(0.0, 12))}) == ""
    assert "came out 1.05" in unfit({"control": estimate(shifted(0.05, 12))})
    assert "came out 0.952" in unfit({"control": estimate(shifted(-0.05, 12))})
    certain = estimate([0.005 + each / 10 for each in NOISE])
    assert certain.p_slower < 1e-6
    assert unfit({"control": certain}) == ""
    assert "too noisy" in unfit({"control": estimate([0.3, -0.3, 0.2, -0.2, 0.1])})


def test_two_controls_drift_by_chance_as_seldom_as_one() -> None:
    """At p = 0.004, beyond half a percent for one and not beyond a quarter for each of two."""
    drifting = estimate([0.05 + 14 * (each - statistics.fmean(NOISE)) for each in NOISE])
    assert 0.0025 < drifting.p_slower < 0.005
    assert "came out" in unfit({"product": drifting})
    assert unfit({"product": drifting, "loop": drifting}) == ""


def test_the_floor_of_few_cases_rests_on_a_pair_more() -> None:
    """On eight log ratios, if it can be."""
    assert [floor_pairs(cases) for cases in (1, 7, 8, 16)] == [2, 2, 1, 1]
