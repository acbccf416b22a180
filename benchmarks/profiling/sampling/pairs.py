"""Pairs of neighbouring blocks, one timed alone and one profiled: what they say of a profile, and when they are enough.

A machine that others use drifts, and is slow for moments. What slows two neighbours alike cancels in their ratio; a
pair that others disturbed is left out whole, by what was taken of either block and never by what came out; and there
are more pairs until one half of them says what the other half says.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

LEAST_PAIRS, MOST_PAIRS = 4, 16
AGREE = 0.02
"""By how much the sums of two halves of the pairs may differ in the end."""
MOST_TAKEN = 0.03
"""Of a block's time, beyond what was taken of the least disturbed block on its side.

A process whose own threads wait for one another's cores, or for the sampler, does so in every block."""


@dataclasses.dataclass(frozen=True)
class Block:
    """Calls in a row."""

    calls: Sequence[Sequence[float]]
    """Of each call the seconds of each phase."""
    taken_share: float | None
    """What its threads were kept from the cores, over the time of the calls; None where it is not known."""
    context_switches: int
    seen_seconds: float = 0.0
    """That the parts stand for, where it was profiled."""

    @property
    def call_seconds(self) -> float:
        """Of a call, on average: what others took belongs to it, and so does what profiling cost."""
        return statistics.fmean(map(sum, self.calls))


@dataclasses.dataclass(frozen=True)
class Pair:
    """Two neighbouring blocks; seconds are of one call, on average."""

    alone_seconds: float
    profiled_seconds: float
    seen_seconds: float
    """That the parts of a profiled call stand for."""
    alone_taken: float | None
    profiled_taken: float | None

    @classmethod
    def of(cls, alone: Block, profiled: Block) -> Pair:
        """A pair by its blocks."""
        seen = profiled.seen_seconds / len(profiled.calls)
        return cls(alone.call_seconds, profiled.call_seconds, seen, alone.taken_share, profiled.taken_share)

    @property
    def cost(self) -> float:
        """How many times as long a profiled call takes."""
        return self.profiled_seconds / self.alone_seconds

    @property
    def accounted(self) -> float:
        """What the parts stand for, over the time that was profiled."""
        return self.seen_seconds / self.profiled_seconds

    @property
    def total(self) -> float:
        """What the parts stand for, unscaled, over the unprofiled time."""
        return self.seen_seconds / self.alone_seconds


def undisturbed(pairs: Sequence[Pair]) -> list[bool]:
    """Of each pair, whether others left both of its blocks alone, as far as that is known."""
    alone = _beyond_least(pair.alone_taken for pair in pairs)
    profiled = _beyond_least(pair.profiled_taken for pair in pairs)
    return [max(taken) <= MOST_TAKEN for taken in zip(alone, profiled, strict=True)]


def which_count(pairs: Sequence[Pair]) -> list[bool]:
    """Of each pair, whether it counts: those that were left alone, or all where these are too few."""
    calm = undisturbed(pairs)
    return calm if sum(calm) >= LEAST_PAIRS else [True] * len(calm)


def _beyond_least(taken: Iterable[float | None]) -> list[float]:
    known = [0.0 if each is None else each for each in taken]
    return [each - min(known) for each in known]


def counted(pairs: Sequence[Pair]) -> list[Pair]:
    """The pairs that count."""
    return [pair for pair, counts in zip(pairs, which_count(pairs), strict=True) if counts]


def halves_differ(pairs: Sequence[Pair]) -> float:
    """By how much of it the medians of the sums differ between every second of the pairs that count and the others.

    It takes two pairs at the least.
    """
    totals = [pair.total for pair in counted(pairs)]
    first, second = statistics.median(totals[::2]), statistics.median(totals[1::2])
    return abs(first - second) / statistics.median(totals)


def enough(pairs: Sequence[Pair]) -> bool:
    """Whether no further pair is needed, or there are as many as there may be."""
    if len(pairs) >= MOST_PAIRS:
        return True
    return sum(undisturbed(pairs)) >= LEAST_PAIRS and halves_differ(pairs) <= AGREE


def pairs_of(record: Mapping[str, Any]) -> list[Pair]:
    """The pairs of a record as `told` gives it."""
    return [Pair(**{name: value for name, value in pair.items() if name != "counts"}) for pair in record["pairs"]]
