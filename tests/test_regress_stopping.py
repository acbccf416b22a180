"""`regress`: when it stops, and what it measures again before it calls it a slowdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from benchmarks.regression.budget import Budget
from benchmarks.regression.stopping import Outcome, Rule, decide
from tests.synthetic_ratios import NOISE, estimate, shifted

RULE = Rule(looks=(5, 8), confirmation_pairs=5)


class Source:
    """Pairs by plan: {case: log of its true ratio, first and when measured again}; counts what was drawn."""

    def __init__(self, first: Mapping[str, float], again: Mapping[str, float] | None = None, most: int = 99) -> None:
        self.first, self.again, self.most = first, again or first, most
        self.drawn: list[tuple[str, ...]] = []

    def __call__(self, cases: Sequence[str]) -> dict[str, float] | None:
        number = len(self.drawn)
        if number >= self.most:
            return None
        self.drawn.append(tuple(cases))
        source = self.first if number < RULE.looks[0] else self.again
        return {case: source[case] + NOISE[number % len(NOISE)] for case in cases}


def decided(source: Source) -> tuple[dict[str, str], tuple[str, ...]]:
    """The verdicts, and what is slower and confirmed."""
    tolerances = dict.fromkeys(source.first, 0.03)
    outcome = decide(RULE, source, list(source.first), tolerances=tolerances, floor_of=lambda _: 0.0)
    return {case: judgement.verdict for case, judgement in outcome.final.items()}, outcome.slower


def test_clear_cases_stop_at_the_first_look() -> None:
    """Nothing is measured again where nothing is suspected."""
    source = Source({"a": 0.0, "b": -0.2})
    assert decided(source) == ({"a": "same", "b": "faster"}, ())
    assert len(source.drawn) == 5


def test_a_slowdown_is_measured_again_before_it_is_called_one() -> None:
    """By itself, in as many fresh pairs."""
    source = Source({"a": 0.0, "b": 0.1})
    assert decided(source) == ({"a": "same", "b": "slower"}, ("b",))
    assert source.drawn[5:] == [("b",)] * 5


def test_a_slowdown_that_does_not_come_again_is_none() -> None:
    """The fresh pairs alone decide; what the first said is kept beside."""
    source = Source({"a": 0.0, "b": 0.1}, again={"a": 0.0, "b": 0.0})
    outcome = decide(RULE, source, ["a", "b"], tolerances={"a": 0.03, "b": 0.03}, floor_of=lambda _: 0.0)
    assert (outcome.first["b"].verdict, outcome.final["b"].verdict) == ("slower", "same")
    assert (outcome.suspected, outcome.slower) == (("b",), ())


def listed(ratios: Mapping[str, Sequence[float]]) -> Outcome:
    """What comes of these log ratios by case, until they end."""
    pairs = iter(zip(*ratios.values(), strict=True))

    def draw(_: Sequence[str]) -> dict[str, float] | None:
        pair = next(pairs, None)
        return None if pair is None else dict(zip(ratios, pair, strict=True))

    return decide(RULE, draw, list(ratios), tolerances=dict.fromkeys(ratios, 0.03), floor_of=lambda _: 0.0)


def test_each_look_has_an_equal_part_of_the_suspicion() -> None:
    """Of 0.2 at two looks, 0.1: a case at p = 0.15 is not suspected."""
    wide = [0.05 + 0.0594 * step for step in (-2, -1, 0, 1, 2)]
    assert estimate(wide).p_slower == pytest.approx(0.15, abs=0.01)
    assert listed({"a": wide}).suspected == ()


def test_a_case_that_is_decided_still_counts_among_those_looked_at() -> None:
    """One of ten at p = 0.03, the others the same since the look before: chance makes one such in three runs."""
    wide = [0.05 + 0.02578 * step for step in (-3.5, 3.5, -2.5, 2.5, -0.5, -1.5, 1.5, 0.5)]
    assert estimate(wide).p_slower == pytest.approx(0.03, abs=0.005)
    outcome = listed({"wide": wide, **{f"{number}": shifted(0.0, 8) for number in range(9)}})
    assert [len(outcome.log_ratios[case]) for case in ("wide", "0")] == [8, 5]
    assert outcome.suspected == ()
    assert listed({"wide": wide}).suspected == ("wide",)


def test_what_could_have_been_seen_is_by_the_part_of_the_error_that_a_case_has() -> None:
    """Of two cases, half of a look's; and of those that are measured again together, of the confirmation's."""
    outcome = decide(
        RULE, Source({"a": 0.0, "b": 0.1}), ["a", "b"], tolerances={"a": 0.03, "b": 0.03}, floor_of=lambda _: 0.0
    )
    found = {case: judged.estimate.detectable for case, judged in outcome.final.items()}
    assert found == pytest.approx(
        {
            "a": estimate(shifted(0.0), 0.2 / 2 / 2).detectable,
            "b": estimate(outcome.again["b"], 0.05).detectable,
        }
    )


def test_what_looks_slower_is_measured_again_beside_what_cannot_be_told() -> None:
    """Pairs serve both, so a case that nobody can tell does not use up what another needs to be confirmed."""
    wide = [0.3, -0.3, 0.1, -0.2, 0.2, -0.25, 0.15, 0.0, 0.1, -0.1, 0.2, -0.2]
    drawn: list[tuple[str, ...]] = []

    def draw(cases: Sequence[str]) -> dict[str, float]:
        drawn.append(tuple(cases))
        ratios = {"slow": 0.1 + NOISE[len(drawn) % 12], "wide": wide[len(drawn) % 12]}
        return {case: ratios[case] for case in cases}

    tolerances = dict.fromkeys(("slow", "wide"), 0.03)
    outcome = decide(RULE, draw, list(tolerances), tolerances=tolerances, floor_of=lambda _: 0.0)
    assert outcome.slower == ("slow",)
    assert drawn == [("slow", "wide")] * 8 + [("slow",)] * 2
    assert (len(outcome.log_ratios["slow"]), len(outcome.again["slow"]), len(outcome.log_ratios["wide"])) == (5, 5, 8)


def test_a_suspicion_that_the_budget_cannot_confirm_is_no_verdict() -> None:
    """It cannot be told; three pairs are the least that can."""
    source = Source({"a": 0.0, "b": 0.1}, most=7)
    outcome = decide(RULE, source, ["a", "b"], tolerances={"a": 0.03, "b": 0.03}, floor_of=lambda _: 0.0)
    assert {case: judged.verdict for case, judged in outcome.final.items()} == {"a": "same", "b": "cannot tell"}
    assert (outcome.suspected, outcome.slower, outcome.again) == (("b",), (), {})
    assert decided(Source({"a": 0.0, "b": 0.1}, most=8)) == ({"a": "same", "b": "slower"}, ("b",))


def test_what_is_not_told_when_the_budget_ends_is_judged_by_what_there_is() -> None:
    """Between two looks."""
    far = [0.3, -0.3, 0.1, -0.2, 0.2]
    assert listed({"a": [*far, 0.0]}).final["a"].estimate.pairs == 6


def test_too_few_pairs_for_any_verdict_are_refused() -> None:
    """With what to do."""
    with pytest.raises(ValueError, match="give a longer --budget"):
        decided(Source({"a": 0.0}, most=2))


def test_a_budget_expects_of_a_pair_what_those_as_large_took() -> None:
    """The longest of them; few cases take as long as many until a pair of few was measured."""
    budget = Budget(39.0)
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
