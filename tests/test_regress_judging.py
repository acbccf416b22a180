"""`regress`: from the log ratios of pairs to verdicts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pytest
from scipy import stats

from benchmarks.regression.judging.verdicts import estimate_each, holm, judge, noise_floor
from benchmarks.regression.measuring import floor_pairs
from tests.synthetic_ratios import estimate, exactly, shifted, thresholds


def verdicts(log_ratios: Mapping[str, Sequence[float]], noise: float = 0.0) -> dict[str, str]:
    """The verdict on each case at a tolerance of 3 %."""
    judged = judge(estimate_each(log_ratios, 0.01), error=0.1, thresholds=thresholds(log_ratios, noise))
    return {case: judgement.verdict for case, judgement in judged.items()}


def test_each_verdict_is_given() -> None:
    """A certain change that matters is slower or faster; a narrow interval is the same; a wide one cannot be told."""
    wide = [0.3, -0.3, 0.1, -0.2, 0.2]
    found = verdicts({"slower": shifted(0.1), "faster": shifted(-0.1), "same": shifted(0.0), "wide": wide})
    assert found == {"slower": "slower", "faster": "faster", "same": "same", "wide": "cannot tell"}


def test_a_certain_change_within_the_tolerance_is_the_same() -> None:
    """A change of one percent in either direction is certain here, and does not matter."""
    assert estimate(shifted(0.01, 12)).p_slower < 0.001
    assert verdicts({"slower": shifted(0.01, 12), "faster": shifted(-0.01, 12)}) == {"slower": "same", "faster": "same"}


def test_an_interval_across_the_tolerance_is_undecided() -> None:
    """The ratio is within the tolerance, above or below, and the interval is not."""
    near = {"above": shifted(0.029), "below": shifted(-0.029)}
    assert verdicts(near) == {"above": "cannot tell", "below": "cannot tell"}


@pytest.mark.parametrize(
    ("fields", "verdict"),
    [
        ({"ratio": 1.03, "high": 1.1, "p_slower": 0.0}, "cannot tell"),
        ({"ratio": 1 / 1.03, "low": 0.9, "p_faster": 0.0}, "cannot tell"),
        ({"ratio": 1.2, "high": 1.3, "p_slower": 0.1}, "cannot tell"),
        ({"ratio": 0.8, "low": 0.7, "p_faster": 0.1}, "cannot tell"),
        ({"low": 1 / 1.03, "high": 1.03}, "same"),
    ],
    ids=["slower by the threshold", "faster by it", "uncertain slowdown", "uncertain speed-up", "interval up to it"],
)
def test_what_just_reaches_a_limit_does_not_exceed_it(fields: Mapping[str, float], verdict: str) -> None:
    """The threshold is 3 % and the error 0.1."""
    judged = judge({"case": exactly(**fields)}, error=0.1, thresholds=thresholds(["case"]))
    assert judged["case"].verdict == verdict


def test_a_clock_that_stands_still_has_a_verdict() -> None:
    """Ratios without any spread are the same."""
    assert verdicts({"case": [0.0] * 5}) == {"case": "same"}


def test_a_change_within_the_noise_floor_is_no_slowdown() -> None:
    """A change beyond the tolerance is no slowdown where equal code may differ by more."""
    assert verdicts({"case": shifted(0.05)}, noise=0.08) != {"case": "slower"}


def test_the_interval_of_the_mean_is_students() -> None:
    """The interval of the numbers 1 to 5 is 3 ± 2.776 * sqrt(0.5)."""
    found = estimate([1.0, 2.0, 3.0, 4.0, 5.0])
    assert math.log(found.high) == pytest.approx(3 + 2.7764 * math.sqrt(0.5), abs=1e-3)
    assert math.log(found.low) == pytest.approx(3 - 2.7764 * math.sqrt(0.5), abs=1e-3)


def test_the_p_values_are_those_of_students_test_on_either_side() -> None:
    """They are SciPy's of a one-sided test of a mean above zero, and below."""
    log_ratios = [0.01, 0.02, -0.01, 0.03, 0.02]
    found = estimate(log_ratios)
    assert found.p_slower == pytest.approx(stats.ttest_1samp(log_ratios, 0.0, alternative="greater").pvalue)
    assert found.p_faster == pytest.approx(stats.ttest_1samp(log_ratios, 0.0, alternative="less").pvalue)


def test_the_detectable_slowdown_is_found_four_times_in_five() -> None:
    """That of the numbers 1 to 5, at an error of 0.05, is 2.132 + 0.941 times the deviation of the mean."""
    assert math.log1p(estimate([1.0, 2.0, 3.0, 4.0, 5.0], 0.05).detectable) == pytest.approx(
        3.0728 * math.sqrt(0.5), abs=1e-3
    )


def test_two_pairs_are_no_estimate() -> None:
    """The least number of pairs is three."""
    assert estimate([0.0, 0.1, 0.2]).pairs == 3
    with pytest.raises(ValueError, match="2 pairs; expected 3 or more"):
        estimate([0.0, 0.1])


def test_holm_multiplies_each_p_value_by_the_number_of_those_left() -> None:
    """Of three the least is multiplied by three, the next by two; none is below one before it, or above one."""
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "c": 0.06, "b": 0.06})
    assert holm({"a": 0.6, "b": 0.9}) == {"a": 1.0, "b": 1.0}


def test_the_noise_floor_falls_with_the_root_of_pairs() -> None:
    """Forty log ratios of 1 % give Student's t of forty degrees, 2.021, times 1 %, over that root."""
    floor = noise_floor([0.01, -0.01] * 20)
    assert [math.log1p(floor(pairs)) for pairs in (1, 16)] == pytest.approx([0.02021, 0.02021 / 4], rel=1e-3)


def test_the_noise_floor_of_few_cases_rests_on_a_pair_more() -> None:
    """It takes eight cases for one pair to give eight log ratios."""
    assert [floor_pairs(cases) for cases in (1, 7, 8, 16)] == [2, 2, 1, 1]
