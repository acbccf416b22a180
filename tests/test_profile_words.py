"""The conclusions of a profile: what is said of each kind of work, and what is not said where it would be nonsense."""

from __future__ import annotations

import math
from typing import Any

import pytest

from benchmarks.machine.bounds import LIMIT_NAMES
from benchmarks.profiling.reporting.conclusion import Facts, conclusion
from benchmarks.profiling.reporting.report import facts_of
from benchmarks.profiling.sampling.kinds import KIND_NAMES, KINDS, Kind
from benchmarks.reporting.plain_text import TIMES
from benchmarks.workload import Workload


def mostly(kind: Kind, part: float = 0.75) -> dict[Kind, float]:
    """Shares of which one kind has most."""
    rest: Kind = "memory" if kind != "memory" else "products"
    return {kind: part, rest: 1 - part}


def said(kind: Kind, part: float = 0.75, **facts: Any) -> str:
    """The conclusion of a case that spends most in a kind."""
    return conclusion(mostly(kind, part), Facts(**facts))


@pytest.mark.parametrize("kind", KINDS)
def test_the_kind_with_most_of_the_time_is_named_with_what_helps(kind: Kind) -> None:
    """And the most that can be won without it, which is Amdahl's."""
    text = said(kind)
    assert f"spends 75 % in {KIND_NAMES[kind]}" in text
    assert f"at most 4.00{TIMES}" in text


def test_without_a_kind_that_has_half_none_is_recommended() -> None:
    """Only what the best single change could win."""
    shares: dict[Kind, float] = {"overhead": 0.4, "products": 0.35, "memory": 0.25}
    assert f"no single change wins more than 1.67{TIMES}" in conclusion(shares)


def test_no_more_can_be_won_than_the_machine_allows() -> None:
    """Products that take 96 % cannot be left out: what is left is up to the attainable."""
    assert f"at most 2.00{TIMES}" in said("products", 0.96, share_of_attainable=0.5, bound_by="compute")


@pytest.mark.parametrize("kind", KINDS)
def test_near_the_limit_no_change_is_recommended(kind: Kind) -> None:
    """Whatever it spends its time in."""
    text = said(kind, share_of_attainable=0.9, bound_by="compute")
    assert f"little is left to win, at most 1.11{TIMES}; it reaches 90 % of the attainable" in text
    assert "would help" not in text


def test_where_nothing_says_what_there_is_to_win_no_number_is_told() -> None:
    """All of the time goes to one kind, and no peak bounds it."""
    text = said("memory", 1.0)
    assert text.endswith("no stacking")
    assert "at most" not in text


def test_faster_than_its_bound_by_noise_a_call_has_nothing_to_win() -> None:
    text = said("products", share_of_attainable=1.03, bound_by="compute")
    assert "little is left to win; it reaches" in text


def test_one_call_is_not_told_to_become_one() -> None:
    """A fused kernel's overhead is that of its call, however few steps it is spread over."""
    text = said("overhead", calls_of_a_step=0.0, share_of_no_step=0.7)
    assert "longer sequences or larger batches a call would help" in text
    assert "fused kernel" not in text
    assert "hoisted" not in text


def test_overhead_of_each_step_within_one_call_is_not_spread_by_longer_sequences() -> None:
    """As in an engine that runs a compiled loop step by step."""
    text = said("overhead", calls_of_a_step=0.0, share_of_no_step=0.1)
    assert "larger batches a call would help" in text
    assert "longer sequences" not in text


@pytest.mark.parametrize(
    ("products", "expected", "absent"),
    [
        (2.0, "its input projection is one product a step", "already"),
        (1.0, "its input projection is one product already: a fused kernel", "fewer calls a step"),
        (0.0, "fewer calls a step, or a fused kernel, would help", "projection"),
    ],
)
def test_hoisting_is_recommended_where_there_is_something_to_hoist(products: float, expected: str, absent: str) -> None:
    """Two products a step and cell are one too many; of what multiplies elsewhere it is not known."""
    text = said("overhead", calls_of_a_step=9.0, products_of_a_step=products, operators_per_step=9.2)
    assert "9.2 operators a step" in text
    assert expected in text
    assert absent not in text


@pytest.mark.parametrize(
    ("facts", "expected", "absent"),
    [
        ({"products_of_a_step": 2.0}, "one product for the projections of all steps", "packed"),
        ({"products_of_a_step": 1.0}, "a faster product, its weights packed once, would help", "projections"),
        ({"calls_of_a_step": 0.0}, "a faster product would help", "packed"),
        ({"bound_by": LIMIT_NAMES["chain"]}, "waits for the one before: more sequences", "packed"),
        ({"bound_by": LIMIT_NAMES["L2"]}, "read anew in each step: more sequences", "packed"),
    ],
)
def test_what_makes_products_faster_depends_on_what_bounds_them(
    facts: dict[str, Any], expected: str, absent: str
) -> None:
    text = said("products", share_of_attainable=0.4, **{"bound_by": LIMIT_NAMES["compute"], **facts})
    assert expected in text
    assert absent not in text


def test_one_thread_is_not_told_to_become_fewer() -> None:
    alone, several = (said("waiting", threads=threads) for threads in (1, 2))
    assert "fewer threads" not in alone
    assert "fewer threads" in several


def test_one_call_is_not_told_to_fuse_its_nonlinearity() -> None:
    fused, apart = (said("elementwise", calls_of_a_step=calls) for calls in (0.0, 9.0))
    assert "a cheaper nonlinearity, or one fused into the product, would help" in apart
    assert "fused into the product" not in fused
    assert "fused into the product" in apart


def test_several_gates_are_called_gates() -> None:
    """An LSTM or a GRU has no one nonlinearity that could be made cheaper."""
    text = said("elementwise", calls_of_a_step=9.0, gates=4)
    assert "cheaper gates, or gates fused into the product, would help" in text
    assert "nonlinearity" not in text


@pytest.mark.parametrize(("cell", "gates"), [("relu", 1), ("lstm", 4), ("gru", 3)])
def test_facts_have_the_gates_of_the_cell(cell: Any, gates: int) -> None:
    limit: dict[str, Any] = {"median_seconds": 2.0, "blas_seconds": 1.0, "share_of_attainable": 0.5, "bound_by": None}
    assert facts_of(limit, {}, 0.75, Workload(mode="inference", T=8, B=1, I=4, H=4, cell=cell)).gates == gates


def test_slow_products_are_not_called_overhead() -> None:
    """What bounds a case follows from times alone, and calls so what lies beyond the fastest products."""
    slow, fair = (
        said("products", share_of_attainable=0.3, bound_by="overhead", products_over_fastest=ratio)
        for ratio in (2.4, 1.1)
    )
    assert f"its products taking 2.40{TIMES} the fastest library's time" in slow
    assert "bound by overhead" not in slow
    assert fair.endswith("it reaches 30 % of the attainable")
    assert "bound by overhead" in said("overhead", share_of_attainable=0.3, bound_by="overhead")


def test_facts_are_those_of_one_layer_and_direction() -> None:
    """Four products a step of two layers are two of each; products are compared in time, not in share."""
    counts = {"products_of_further_step": 4.0, "calls_of_further_step": 18.0, "share_of_no_step": 0.25}
    counts |= {"operator_calls_per_step": 5.0, "operators_per_step": 9.0, "threads": 8.0, "threads_computing": 1.0}
    limit = {"median_seconds": 2.0, "blas_seconds": 0.5, "share_of_attainable": 0.2, "bound_by": "compute"}
    facts = facts_of(limit, counts, 0.75, Workload(mode="inference", T=8, B=1, I=4, H=4, L=2, threads=2))
    assert facts == Facts(
        operators_per_step=9.0,
        calls_of_a_step=18.0,
        products_of_a_step=2.0,
        share_of_no_step=0.25,
        threads=2,
        share_of_attainable=0.2,
        bound_by="compute",
        products_over_fastest=3.0,
    )
    assert facts.hoisted is False
    assert not facts.one_call


def test_what_was_not_counted_is_not_concluded_from() -> None:
    """No count, no claim of how often something is called."""
    limit: dict[str, Any] = {"median_seconds": 2.0, "share_of_attainable": math.nan, "bound_by": None}
    limit |= {"blas_seconds": math.nan}
    facts = facts_of(limit, {}, 0.75, Workload(mode="inference", T=8, B=1, I=4, H=4))
    assert facts.hoisted is None
    assert not facts.one_call
    assert math.isnan(facts.products_over_fastest)
    assert "attainable" not in conclusion(mostly("overhead"), facts)
