"""The conclusions of a profile: the remedy for each kind of work, the largest speedup, and their rendering."""

from __future__ import annotations

import math
from typing import Any

import pytest

from benchmarks.limits.bounds import LIMIT_NAMES
from benchmarks.presentation.plain_text import TIMES
from benchmarks.profiling.reporting.conclusion import (
    REMEDIES,
    Conclusion,
    Facts,
    Remedy,
    conclude,
    conclusion_words,
    facts_of,
)
from benchmarks.profiling.sampling.kinds import KIND_NAMES, KINDS, WorkKind
from benchmarks.workload import Workload


def mostly(kind: WorkKind, part: float = 0.75) -> dict[WorkKind, float]:
    """Shares of two kinds, `part` of them of this kind."""
    rest: WorkKind = "memory" if kind != "memory" else "products"
    return {kind: part, rest: 1 - part}


def concluded(kind: WorkKind, part: float = 0.75, **facts: Any) -> Conclusion:
    """The conclusion on a case that spends most of its time in a kind of work."""
    return conclude(mostly(kind, part), Facts(**facts))


@pytest.mark.parametrize("kind", KINDS)
def test_the_kind_with_most_of_the_time_has_a_remedy(kind: WorkKind) -> None:
    """The largest speedup without it is Amdahl's."""
    found = concluded(kind)
    assert (found.kind, found.share) == (kind, 0.75)
    assert found.remedy is not None
    assert found.most_times_as_fast == pytest.approx(4.0)


def test_without_a_kind_that_has_half_there_is_no_remedy() -> None:
    """The largest kinds and the speedup of the best single change remain."""
    shares: dict[WorkKind, float] = {"overhead": 0.4, "products": 0.35, "memory": 0.25}
    found = conclude(shares)
    assert (found.kind, found.second, found.remedy) == ("overhead", "products", None)
    assert found.most_times_as_fast == pytest.approx(1 / 0.6)
    assert f"no single change wins more than 1.67{TIMES}" in conclusion_words(found)


def test_no_speedup_is_larger_than_the_machine_allows() -> None:
    """Products that take 96 % of a call at half of the attainable can become twice as fast."""
    found = concluded("products", 0.96, share_of_attainable=0.5, bound_by="compute")
    assert found.most_times_as_fast == pytest.approx(2.0)


@pytest.mark.parametrize("kind", KINDS)
def test_near_the_limit_there_is_no_remedy(kind: WorkKind) -> None:
    """Nine tenths of the attainable leave a ninth to win."""
    found = concluded(kind, share_of_attainable=0.9, bound_by="compute")
    assert found.facts.near_limit
    assert found.remedy is None
    assert found.most_times_as_fast == pytest.approx(1 / 0.9)


def test_all_time_in_one_kind_without_a_bound_has_no_largest_speedup() -> None:
    """No number is rendered then."""
    found = concluded("memory", 1.0)
    assert math.isinf(found.most_times_as_fast)
    assert "at most" not in conclusion_words(found)


def test_a_call_that_is_faster_than_its_bound_by_noise_has_nothing_to_win() -> None:
    """No speedup below 1 is rendered."""
    found = concluded("products", share_of_attainable=1.03, bound_by="compute")
    assert found.facts.near_limit
    assert "at most" not in conclusion_words(found)


@pytest.mark.parametrize(
    ("facts", "remedy"),
    [
        # One call whose overhead is that of the call, and one whose overhead is in each step.
        ({"marginal_calls": 0.0, "fixed_time_share": 0.7}, "longer_sequences"),
        ({"marginal_calls": 0.0, "fixed_time_share": 0.1}, "larger_batches"),
        # Two products in each step, one, and none that is known.
        ({"marginal_calls": 9.0, "marginal_products": 2.0}, "hoisting_or_fused_kernel"),
        ({"marginal_calls": 9.0, "marginal_products": 1.0}, "fused_kernel"),
        ({"marginal_calls": 9.0, "marginal_products": 0.0}, "fewer_calls"),
        ({}, "fewer_calls"),
    ],
)
def test_the_remedy_for_overhead_depends_on_calls_and_products_of_a_step(facts: dict[str, Any], remedy: Remedy) -> None:
    """One call is not to become one, and a hoisted projection not to be hoisted."""
    assert concluded("overhead", **facts).remedy == remedy


@pytest.mark.parametrize(
    ("facts", "remedy"),
    [
        ({"marginal_products": 2.0}, "hoisting"),
        ({"marginal_products": 1.0}, "faster_product_of_packed_weights"),
        ({"marginal_calls": 0.0}, "faster_product"),
        ({"bound_by": LIMIT_NAMES["chain"]}, "more_sequences"),
        ({"bound_by": LIMIT_NAMES["L2"]}, "more_sequences_or_smaller_dtype"),
    ],
)
def test_the_remedy_for_products_depends_on_what_bounds_them(facts: dict[str, Any], remedy: Remedy) -> None:
    known = {"bound_by": LIMIT_NAMES["compute"], **facts}
    assert concluded("products", share_of_attainable=0.4, **known).remedy == remedy


@pytest.mark.parametrize(
    ("gates", "calls", "remedy"),
    [
        (1, 9.0, "cheaper_or_fused_nonlinearity"),
        (1, 0.0, "cheaper_nonlinearity"),
        (4, 9.0, "cheaper_or_fused_gates"),
        (4, 0.0, "cheaper_gates"),
    ],
)
def test_the_remedy_for_element_wise_work_depends_on_the_gates(gates: int, calls: float, remedy: Remedy) -> None:
    """Several gates have no one nonlinearity, and one call is not told to fuse anything."""
    assert concluded("elementwise", marginal_calls=calls, gates=gates).remedy == remedy


def test_one_thread_is_not_to_become_fewer() -> None:
    assert concluded("waiting", threads=1).remedy == "no_waiting"
    assert concluded("waiting", threads=2).remedy == "fewer_threads"


@pytest.mark.parametrize(("cell", "gates"), [("relu", 1), ("lstm", 4), ("gru", 3)])
def test_facts_have_the_gates_of_the_cell(cell: Any, gates: int) -> None:
    limit: dict[str, Any] = {"median_seconds": 2.0, "blas_seconds": 1.0, "share_of_attainable": 0.5, "bound_by": None}
    assert facts_of(limit, {}, 0.75, Workload(mode="inference", T=8, B=1, I=4, H=4, cell=cell)).gates == gates


def test_facts_are_those_of_one_layer_and_direction() -> None:
    """Four marginal products of two layers are two of each; products are compared by time, not by share."""
    counts = {"marginal_products_per_step": 4.0, "marginal_calls_per_step": 18.0, "fixed_time_share": 0.25}
    counts |= {"operator_calls_per_step": 5.0, "operators_per_step": 9.0, "threads": 8.0, "threads_computing": 1.0}
    limit = {"median_seconds": 2.0, "blas_seconds": 0.5, "share_of_attainable": 0.2, "bound_by": "compute"}
    facts = facts_of(limit, counts, 0.75, Workload(mode="inference", T=8, B=1, I=4, H=4, L=2, threads=2))
    assert facts == Facts(
        operators_per_step=9.0,
        marginal_calls=18.0,
        marginal_products=2.0,
        fixed_time_share=0.25,
        threads=2,
        share_of_attainable=0.2,
        bound_by="compute",
        products_over_fastest=3.0,
    )
    assert facts.hoisted is False
    assert not facts.one_call


def test_a_case_that_was_not_counted_has_no_facts_from_counts() -> None:
    """Without a count there is no claim on calls, products or the limit."""
    limit: dict[str, Any] = {"median_seconds": 2.0, "share_of_attainable": math.nan, "bound_by": None}
    limit |= {"blas_seconds": math.nan}
    facts = facts_of(limit, {}, 0.75, Workload(mode="inference", T=8, B=1, I=4, H=4))
    assert facts.hoisted is None
    assert not facts.one_call
    assert math.isnan(facts.products_over_fastest)
    assert "attainable" not in conclusion_words(conclude(mostly("overhead"), facts))


def test_slow_products_are_not_rendered_as_overhead() -> None:
    """A limit follows from times alone: "overhead" is any time beyond that of the fastest products."""
    slow, fair = (
        conclusion_words(
            concluded("products", share_of_attainable=0.3, bound_by="overhead", products_over_fastest=ratio)
        )
        for ratio in (2.4, 1.1)
    )
    assert f"2.40{TIMES}" in slow
    assert "overhead" not in slow + fair
    assert "overhead" in conclusion_words(concluded("memory", share_of_attainable=0.3, bound_by="overhead"))


def test_a_conclusion_is_rendered_with_its_kind_remedy_speedup_and_limit() -> None:
    """Its sentence begins with the implementation, which is not part of the text."""
    found = concluded("overhead", operators_per_step=9.2, share_of_attainable=0.3, bound_by="compute")
    text = conclusion_words(found)
    assert text.startswith(f"spends 75 % in {KIND_NAMES['overhead']}, 9.2 operators a step: ")
    assert found.remedy is not None
    assert REMEDIES[found.remedy] in text
    assert text.endswith(f", at most 3.33{TIMES}; it reaches 30 % of the attainable, bound by compute")
