"""How far a profile can be relied on: the figures of each repeat, and their rendering."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from benchmarks.presentation.plain_text import TIMES
from benchmarks.profiling.reporting.reliability import Reliability, near_sums, reliability, reliability_lines
from benchmarks.profiling.sampling.pairs import LEAST_PAIRS, BlockPair

CASE = "numpy_loop/cpu/inference/T8-B2-I4-H4-L1-tanh-float32"


def pair(slowdown: float = 1.0, accounted: float = 1.0, unprofiled: float = 0.01, profiled: float = 0.02) -> BlockPair:
    """A pair by its slowdown, the accounted share and the preempted shares of its blocks."""
    return BlockPair(1.0, slowdown, slowdown * accounted, unprofiled, profiled)


def record(*pairs: BlockPair, **changed: Any) -> dict[str, Any]:
    """A record with these pairs."""
    samples = {"kinds": {"products": 10}, "preempted": 0, "computing_threads": 1.0, "functions": []}
    shown = [dataclasses.asdict(each) for each in pairs]
    fields = {"case": CASE, "repeat": 0, "unprofiled_seconds": 1.0, "context_switches": 2.0, "pairs": shown}
    return {**fields, "passes": {"1": samples}, **changed}


def test_figures_are_medians_over_the_kept_pairs() -> None:
    """A preempted pair counts in the sum of all pairs alone."""
    found = reliability(record(*[pair(1.2, 0.9)] * 3, pair(1.3, 0.9), pair(7.0, 0.1, unprofiled=0.5)))
    assert found.slowdown == pytest.approx(1.2)
    assert (found.least_slowdown, found.most_slowdown) == pytest.approx((1.2, 1.3))
    assert (found.accounted_share, found.unscaled_sum) == pytest.approx((0.9, 1.08))
    assert (found.pairs, found.preempted_pairs, found.preempted_kept) == (5, 1, False)
    assert found.run_delay_share == pytest.approx(0.01)


def test_preempted_samples_and_computing_threads_are_those_of_both_passes() -> None:
    """Ten of 40 samples are preempted; most threads compute in the forward pass."""
    passes = {
        "1": {"kinds": {"products": 20, "waiting": 4}, "preempted": 8, "computing_threads": 1.5},
        "2": {"kinds": {"products": 6}, "preempted": 2, "computing_threads": 0.5},
    }
    found = reliability(record(*[pair()] * LEAST_PAIRS, passes=passes))
    assert found.preempted_samples_share == pytest.approx(0.25)
    assert found.computing_threads == 1.5


def test_preempted_pairs_that_are_kept_are_counted_as_such() -> None:
    """One other pair is too few, so the three preempted ones are kept."""
    found = reliability(record(pair(1.3), *[pair(1.3, profiled=0.1)] * 3))
    assert (found.preempted_pairs, found.preempted_kept) == (3, True)


def test_the_sum_over_all_pairs_shows_what_leaving_out_changes() -> None:
    """Four pairs with a sum of 1, and five preempted ones with 1.2."""
    found = reliability(record(*[pair(1.0)] * 4, *[pair(1.2, unprofiled=0.5)] * 5))
    assert (found.unscaled_sum, found.unscaled_sum_of_all_pairs) == pytest.approx((1.0, 1.2))
    assert near_sums([found.unscaled_sum, found.unscaled_sum_of_all_pairs]) == 1


def test_run_delays_that_are_not_known_are_no_zero() -> None:
    """A system without schedstat leaves the share unknown."""
    unknown = dataclasses.replace(pair(), unprofiled_preempted=None)
    assert reliability(record(*[unknown] * LEAST_PAIRS)).run_delay_share is None


def repeat(**changed: Any) -> Reliability:
    """The figures of a repeat without any preempted pair."""
    figures: dict[str, Any] = {
        "case": CASE,
        "repeat": 0,
        "unprofiled_seconds": 1.0,
        "slowdown": 1.1,
        "least_slowdown": 1.05,
        "most_slowdown": 1.3,
        "accounted_share": 0.8,
        "unscaled_sum": 0.88,
        "unscaled_sum_of_all_pairs": 0.88,
        "halves_differ": 0.01,
        "pairs": 4,
        "preempted_pairs": 0,
        "preempted_kept": False,
        "run_delay_share": 0.01,
        "preempted_samples_share": 0.25,
        "computing_threads": 1.5,
        "context_switches": 2.0,
    }
    return Reliability(**figures | changed)


def test_least_and_most_of_the_repeats_are_rendered() -> None:
    """The paragraphs have the range of each figure, and the numbers of repeats and pairs of which they speak."""
    others = repeat(slowdown=1.5, accounted_share=1.0, unscaled_sum=1.5, pairs=9, preempted_pairs=5)
    apart = repeat(slowdown=1.2, accounted_share=0.9, unscaled_sum=1.02, halves_differ=0.2, preempted_kept=True)
    scaling, _, left_out, _, _ = reliability_lines([repeat(), others, apart])
    for figure in (
        "88 % to 150 %",
        "1 of 3 repeats",
        "80 % to 100 %",
        f"1.10{TIMES} to 1.50{TIMES}",
        f"1.20{TIMES} in",
    ):
        assert figure in scaling
    for figure in ("5 of 17 pairs", "in 1 repeats", "in 1 of 3 repeats"):
        assert figure in left_out


def test_a_row_has_the_figures_of_its_repeat() -> None:
    """An unknown run delay is a dash."""
    header, _, *rows = reliability_lines([repeat(), repeat(run_delay_share=None)])[-1].splitlines()
    first, second = (
        dict(zip(*([cell.strip() for cell in line.split("|")] for line in (header, row)), strict=True)) for row in rows
    )
    assert first["profiled / unprofiled"] == f"1.10{TIMES} (1.05 to 1.30)"
    assert (first["accounted for"], first["unscaled sum"], first["halves differ"]) == ("80 %", "88 %", "1.0 %")
    assert (first["pairs preempted"], first["run delay"]) == ("0 of 4", "1.0 %")
    assert (first["samples preempted"], first["threads computing"]) == ("25 %", "1.50")
    assert second["run delay"] == "\N{EN DASH}"
