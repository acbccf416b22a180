"""Pairs of neighbouring blocks of calls, one without a profiler and one with it: which are kept, and what they say.

A machine that others use drifts, and is slow for short times. What slows both blocks of a pair cancels in their ratio.
A pair in which others preempted either block is left out, calls and samples alike. Only the preempted time decides
that, never the measured times. More pairs are taken until two halves of them agree.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

LEAST_PAIRS, MOST_PAIRS = 4, 16
MOST_HALVES_DIFFER = 0.02
"""The largest relative difference between the unscaled sums of two halves of the pairs at which no more are taken."""
MOST_PREEMPTED = 0.03
"""The largest share of a block's time for which it may be preempted beyond the least preempted block of its side.

A process whose own threads wait for one another's cores, or for the sampler, is preempted in every block."""


@dataclasses.dataclass(frozen=True)
class CallBlock:
    """Calls in a row."""

    calls: Sequence[Sequence[float]]
    """The seconds of each pass, call by call."""
    preempted_share: float | None
    """Preempted time of its threads over the time of the calls; None where it is not known."""
    context_switches: int
    attributed_seconds: float = 0.0
    """The time that the parts of a profile stand for; 0 without a profiler."""

    @property
    def mean_call_seconds(self) -> float:
        """The mean time of a call. Preemption and the profiler slow some calls, which a median would leave out."""
        return statistics.fmean(map(sum, self.calls))


@dataclasses.dataclass(frozen=True)
class BlockPair:
    """Two neighbouring blocks; seconds are the means of a call."""

    unprofiled_seconds: float
    profiled_seconds: float
    attributed_seconds: float
    """The time of a profiled call that its parts stand for."""
    unprofiled_preempted: float | None
    """Share of the unprofiled block's time for which its threads were preempted; None where it is not known."""
    profiled_preempted: float | None
    """Share of the profiled block's time for which its threads were preempted; None where it is not known."""

    @classmethod
    def of(cls, unprofiled: CallBlock, profiled: CallBlock) -> BlockPair:
        """The pair of two blocks."""
        attributed = profiled.attributed_seconds / len(profiled.calls)
        return cls(
            unprofiled.mean_call_seconds,
            profiled.mean_call_seconds,
            attributed,
            unprofiled.preempted_share,
            profiled.preempted_share,
        )

    @property
    def slowdown(self) -> float:
        """How many times as long a profiled call takes as an unprofiled one."""
        return self.profiled_seconds / self.unprofiled_seconds

    @property
    def accounted_share(self) -> float:
        """The time that the parts stand for, over the time that was profiled."""
        return self.attributed_seconds / self.profiled_seconds

    @property
    def unscaled_sum(self) -> float:
        """The time that the parts stand for, over the unprofiled time."""
        return self.attributed_seconds / self.unprofiled_seconds


def not_preempted(pairs: Sequence[BlockPair]) -> list[bool]:
    """Whether others left both blocks of each pair their cores, as far as that is known."""
    unprofiled = _beyond_least(pair.unprofiled_preempted for pair in pairs)
    profiled = _beyond_least(pair.profiled_preempted for pair in pairs)
    return [max(shares) <= MOST_PREEMPTED for shares in zip(unprofiled, profiled, strict=True)]


def which_kept(pairs: Sequence[BlockPair]) -> list[bool]:
    """Whether each pair is kept: the pairs that were not preempted, or all where those are too few."""
    calm = not_preempted(pairs)
    return calm if sum(calm) >= LEAST_PAIRS else [True] * len(calm)


def _beyond_least(shares: Iterable[float | None]) -> list[float]:
    known = [0.0 if each is None else each for each in shares]
    return [each - min(known) for each in known]


def kept(pairs: Sequence[BlockPair]) -> list[BlockPair]:
    """The pairs that are kept."""
    return [pair for pair, keep in zip(pairs, which_kept(pairs), strict=True) if keep]


def halves_differ(pairs: Sequence[BlockPair]) -> float:
    """The relative difference between the median unscaled sums of every second kept pair and of the others.

    It takes at least two pairs.
    """
    sums = [pair.unscaled_sum for pair in kept(pairs)]
    first, second = statistics.median(sums[::2]), statistics.median(sums[1::2])
    return abs(first - second) / statistics.median(sums)


def enough(pairs: Sequence[BlockPair]) -> bool:
    """Whether the pairs are enough: two halves of them agree, or there are `MOST_PAIRS`."""
    if len(pairs) >= MOST_PAIRS:
        return True
    return sum(not_preempted(pairs)) >= LEAST_PAIRS and halves_differ(pairs) <= MOST_HALVES_DIFFER


def pairs_of(record: Mapping[str, Any]) -> list[BlockPair]:
    """The pairs of a record."""
    return [BlockPair(**{name: value for name, value in pair.items() if name != "kept"}) for pair in record["pairs"]]
