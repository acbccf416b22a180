"""`regress`: when it stops, and how it confirms a slowdown in fresh pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from benchmarks.regression.judging.budget import Budget, cases_within
from benchmarks.regression.judging.stopping import Decision, Rule, decide
from tests.synthetic_ratios import NOISE, estimate, shifted, thresholds

RULE = Rule(interim_analyses=(5, 8), confirmation_pairs=5)


class Source:
    """Pairs with given log ratios by case, at first and when measured again; `drawn` are the cases of each pair."""

    def __init__(self, first: Mapping[str, float], again: Mapping[str, float] | None = None, most: int = 99) -> None:
        self.first, self.again, self.most = first, again or first, most
        self.drawn: list[tuple[str, ...]] = []

    def __call__(self, cases: Sequence[str]) -> dict[str, float] | None:
        number = len(self.drawn)
        if number >= self.most:
            return None
        self.drawn.append(tuple(cases))
        source = self.first if number < RULE.interim_analyses[0] else self.again
        return {case: source[case] + NOISE[number % len(NOISE)] for case in cases}


def decided(source: Source) -> tuple[dict[str, str], tuple[str, ...]]:
    """The verdict on each case, and the confirmed slowdowns."""
    decision = decide(RULE, source, list(source.first), thresholds=thresholds(source.first))
    return {case: judgement.verdict for case, judgement in decision.final.items()}, decision.slower


def test_clear_cases_stop_at_the_first_interim_analysis() -> None:
    """No case is measured again where none is suspected."""
    source = Source({"a": 0.0, "b": -0.2})
    assert decided(source) == ({"a": "same", "b": "faster"}, ())
    assert len(source.drawn) == 5


def test_a_suspected_slowdown_is_measured_again() -> None:
    """It is measured by itself, in as many fresh pairs as the rule says."""
    source = Source({"a": 0.0, "b": 0.1})
    assert decided(source) == ({"a": "same", "b": "slower"}, ("b",))
    assert source.drawn[5:] == [("b",)] * 5


def test_a_suspicion_that_is_not_confirmed_is_no_slowdown() -> None:
    """The fresh pairs alone decide; the first judgement is kept."""
    source = Source({"a": 0.0, "b": 0.1}, again={"a": 0.0, "b": 0.0})
    decision = decide(RULE, source, ["a", "b"], thresholds=thresholds("ab"))
    assert (decision.first["b"].verdict, decision.final["b"].verdict) == ("slower", "same")
    assert (decision.suspected, decision.slower) == (("b",), ())


def listed(ratios: Mapping[str, Sequence[float]]) -> Decision:
    """The decision on these log ratios by case; the budget ends with them."""
    pairs = iter(zip(*ratios.values(), strict=True))

    def draw(_: Sequence[str]) -> dict[str, float] | None:
        pair = next(pairs, None)
        return None if pair is None else dict(zip(ratios, pair, strict=True))

    return decide(RULE, draw, list(ratios), thresholds=thresholds(ratios))


def test_each_interim_analysis_has_an_equal_part_of_the_suspicion() -> None:
    """Each of two has 0.1 of 0.2: a case at p = 0.15 is not suspected."""
    wide = [0.05 + 0.0594 * step for step in (-2, -1, 0, 1, 2)]
    assert estimate(wide).p_slower == pytest.approx(0.15, abs=0.01)
    assert listed({"a": wide}).suspected == ()


def test_a_decided_case_still_counts_in_the_correction_for_their_number() -> None:
    """One of ten cases at p = 0.03, nine of which are decided, is not suspected: chance makes one in three runs."""
    wide = [0.05 + 0.02578 * step for step in (-3.5, 3.5, -2.5, 2.5, -0.5, -1.5, 1.5, 0.5)]
    assert estimate(wide).p_slower == pytest.approx(0.03, abs=0.005)
    decision = listed({"wide": wide, **{f"{number}": shifted(0.0, 8) for number in range(9)}})
    assert [len(decision.log_ratios[case]) for case in ("wide", "0")] == [8, 5]
    assert decision.suspected == ()
    assert listed({"wide": wide}).suspected == ("wide",)


def test_the_detectable_slowdown_is_that_of_the_error_of_one_case() -> None:
    """Each of two cases has half the error of an interim analysis; one that is confirmed alone has all of its error."""
    decision = decide(RULE, Source({"a": 0.0, "b": 0.1}), ["a", "b"], thresholds=thresholds("ab"))
    found = {case: judged.estimate.detectable for case, judged in decision.final.items()}
    assert found == pytest.approx(
        {
            "a": estimate(shifted(0.0), 0.2 / 2 / 2).detectable,
            "b": estimate(decision.confirmation_log_ratios["b"], 0.05).detectable,
        }
    )


def test_suspected_cases_are_measured_again_together_with_undecided_ones() -> None:
    """A pair serves both, so that an undecided case does not use up the pairs of a confirmation."""
    wide = [0.3, -0.3, 0.1, -0.2, 0.2, -0.25, 0.15, 0.0, 0.1, -0.1, 0.2, -0.2]
    drawn: list[tuple[str, ...]] = []

    def draw(cases: Sequence[str]) -> dict[str, float]:
        drawn.append(tuple(cases))
        ratios = {"slow": 0.1 + NOISE[len(drawn) % 12], "wide": wide[len(drawn) % 12]}
        return {case: ratios[case] for case in cases}

    cases = ("slow", "wide")
    decision = decide(RULE, draw, cases, thresholds=thresholds(cases))
    assert decision.slower == ("slow",)
    assert drawn == [("slow", "wide")] * 8 + [("slow",)] * 2
    assert [len(decision.log_ratios[case]) for case in cases] == [5, 8]
    assert len(decision.confirmation_log_ratios["slow"]) == 5


def test_a_suspicion_that_the_budget_cannot_confirm_is_no_verdict() -> None:
    """The case cannot be told, and is known to be unconfirmed; a confirmation takes three pairs at least."""
    source = Source({"a": 0.0, "b": 0.1}, most=7)
    decision = decide(RULE, source, ["a", "b"], thresholds=thresholds("ab"))
    assert {case: judged.verdict for case, judged in decision.final.items()} == {"a": "same", "b": "cannot tell"}
    assert (decision.suspected, decision.slower, decision.confirmation_log_ratios) == (("b",), (), {})
    assert decision.unconfirmed == ("b",)
    assert decided(Source({"a": 0.0, "b": 0.1}, most=8)) == ({"a": "same", "b": "slower"}, ("b",))


def test_undecided_cases_are_judged_by_all_their_pairs_when_the_budget_ends() -> None:
    """The budget ends between two interim analyses."""
    far = [0.3, -0.3, 0.1, -0.2, 0.2]
    assert listed({"a": [*far, 0.0]}).final["a"].estimate.pairs == 6


def test_too_few_pairs_for_any_verdict_are_refused() -> None:
    """The refusal names the remedy."""
    with pytest.raises(
        ValueError, match=r"after 2 pairs .* needs 3 at least, and 8 to be of use: give a longer --budget"
    ):
        decided(Source({"a": 0.0}, most=2))


def test_an_undecided_case_is_measured_until_the_last_of_all_analyses() -> None:
    """It is not decided by any of five."""
    drawn: list[float] = []

    def draw(_: Sequence[str]) -> dict[str, float]:
        drawn.append((0.3, -0.3)[len(drawn) % 2])
        return {"a": drawn[-1]}

    decision = decide(Rule(), draw, ["a"], thresholds=thresholds("a"))
    assert (len(drawn), decision.final["a"].verdict) == (18, "cannot tell")


def test_a_case_that_drops_out_is_in_no_part_of_the_decision() -> None:
    """It drops out after it was suspected, and the case that was suspected with it is confirmed by itself."""
    drawn = 0

    def draw(cases: Sequence[str]) -> dict[str, float]:
        nonlocal drawn
        drawn += 1
        return {case: 0.1 + NOISE[drawn] for case in cases if case == "a" or drawn < 7}

    decision = decide(RULE, draw, ["a", "b"], thresholds=thresholds("ab"))
    parts = (decision.first, decision.final, decision.log_ratios, decision.confirmation_log_ratios)
    assert [list(part) for part in parts] == [["a"]] * 4
    assert decision.slower == decision.suspected == ("a",)


def test_cases_that_are_confirmed_together_share_the_error() -> None:
    """Each of two has half of it, which makes the smallest slowdown to be found larger."""
    decision = decide(RULE, Source({"a": 0.1, "b": 0.1}), ["a", "b"], thresholds=thresholds("ab"))
    again = decision.confirmation_log_ratios
    assert {case: judged.estimate.detectable for case, judged in decision.final.items()} == pytest.approx(
        {case: estimate(again[case], 0.05 / 2).detectable for case in "ab"}
    )


def test_a_pair_is_expected_to_take_as_long_as_the_longest_of_its_size() -> None:
    """A pair of few cases is expected to take as long as one of many until one of few was measured."""
    budget = Budget(39.0)
    assert budget.expected(16) == 0.0
    assert budget.allows(16)
    for cases, seconds in ((16, 10.0), (16, 12.0), (2, 5.0)):
        budget.spend(cases, seconds)
    assert [budget.expected(cases) for cases in (16, 3, 2, 1)] == [12.0, 12.0, 5.0, 5.0]
    assert [budget.allows(cases) for cases in (16, 2)] == [True, True]
    budget.spend(2, 5.0)
    assert [budget.allows(cases) for cases in (16, 2)] == [False, True]
    assert budget.left == 7.0
    budget.spend(16, 10.0)
    assert budget.left == 0.0


def test_the_cases_of_a_budget_are_those_of_which_all_pairs_end_in_it() -> None:
    """Five pairs in ten seconds have two seconds each, one of them to start; there may be time for none."""
    assert [cases_within(10.0, pairs=5, start_seconds=1.0, seconds_a_case=each) for each in (0.3, 0.5, 1.1, 9.0)] == [
        3,
        2,
        0,
        0,
    ]
    assert cases_within(4.0, pairs=5, start_seconds=1.0, seconds_a_case=0.1) == 0
