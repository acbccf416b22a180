"""Workloads in words, by the sizes that set them apart from others."""

from __future__ import annotations

import itertools

import pytest

from benchmarks.reporting.answers.size_words import where
from benchmarks.workload import Workload
from tests.synthetic_runs import workload

GRID = [workload(B=B, H=H) for B, H in itertools.product((1, 16, 64), (64, 256, 1024))]
LINES = [workload(T=16, B=16, H=256), workload(T=1024, B=16, H=256), workload(L=4)]
ALL = [*GRID, *LINES]


def sized(**sizes: tuple[int, ...]) -> list[Workload]:
    """The workloads of `ALL` that have one of the sizes given for each letter."""
    return [each for each in ALL if all(getattr(each, letter) in allowed for letter, allowed in sizes.items())]


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        (ALL, "on all"),
        (sized(B=(1,)), "for B 1"),
        (sized(H=(256, 1024)), "for H ≥ 256"),
        (sized(H=(64, 256)), "for H ≤ 256"),
        (sized(T=(1024,)), "for T 1024"),
        (sized(B=(16,)), "for B 16"),
        (sized(L=(4,)), "for L 4"),
        (sized(B=(16, 64), H=(1024,)), "for B ≥ 16 with H 1024"),
        (sized(B=(1,), H=(64, 256)), "for B 1 with H ≤ 256"),
        ([GRID[0], GRID[8], LINES[0]], "on 3 of 12"),
        ([GRID[1], GRID[3]], "for T64 B1 H256 and T64 B16 H64"),
    ],
)
def test_a_rule_is_named_where_it_holds_for_exactly_these(chosen: list[Workload], said: str) -> None:
    assert where(chosen, ALL) == said


def test_the_only_workload_is_called_that() -> None:
    assert where(GRID[:1], GRID[:1]) == "on the only workload"


def test_the_order_of_the_chosen_does_not_matter() -> None:
    assert where(list(reversed(sized(B=(1,)))), ALL) == where(sized(B=(1,)), ALL)
