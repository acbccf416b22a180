"""Some workloads among others in words: the sizes that set them apart, where sizes do."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from benchmarks.reporting.answers.slices import short_name
from benchmarks.workload import Workload

MOST_NAMED = 2
"""The most workloads that are named one by one where no rule on sizes describes them."""
LETTERS = "BHTL"
"""The sizes that rules are on, the first preferred."""


class _Rule(NamedTuple):
    """A range of one size, in words and as a test."""

    words: str
    letter: str
    low: float
    high: float

    def holds(self, workload: Workload) -> bool:
        return bool(self.low <= getattr(workload, self.letter) <= self.high)


def where(chosen: Sequence[Workload], among: Sequence[Workload]) -> str:
    """The chosen workloads of `among` in words, to follow a name: `for H ≥ 512`, `for T64 B16 H1024`, `on 7 of 17`.

    A rule is named only where it holds for exactly the chosen: a value or a bound of one size, or of two. Where there
    is none, one or two workloads are named and more are counted. All of `among` are `on all`.
    """
    inside = set(chosen)
    if len(inside) == len(among):
        return "on all" if len(among) > 1 else "on the only workload"
    for rules in _candidates(among):
        if {each for each in among if all(rule.holds(each) for rule in rules)} == inside:
            return f"for {' with '.join(rule.words for rule in rules)}"
    if len(inside) <= MOST_NAMED:
        return f"for {' and '.join(short_name(each) for each in among if each in inside)}"
    return f"on {len(inside)} of {len(among)}"


def _candidates(among: Sequence[Workload]) -> Iterator[tuple[_Rule, ...]]:
    """Single rules, then pairs of rules on two sizes."""
    rules = [rule for letter in LETTERS for rule in _rules(letter, among)]
    yield from ((rule,) for rule in rules)
    yield from (pair for pair in itertools.combinations(rules, 2) if pair[0].letter != pair[1].letter)


def _rules(letter: str, among: Sequence[Workload]) -> Iterator[_Rule]:
    """Each size alone, then from each size on, then up to each."""
    sizes = sorted({getattr(each, letter) for each in among})
    if len(sizes) > 1:
        yield from (_Rule(f"{letter} {size}", letter, size, size) for size in sizes)
        yield from (_Rule(f"{letter} ≥ {size}", letter, size, math.inf) for size in sizes[1:-1])
        yield from (_Rule(f"{letter} ≤ {size}", letter, 0, size) for size in sizes[1:-1])
