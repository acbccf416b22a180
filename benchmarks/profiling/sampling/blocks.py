"""Blocks of calls with and without a profiler, taken in turns until their pairs are enough."""

from __future__ import annotations

import dataclasses
import itertools
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from benchmarks.measuring.timing import Clock
from benchmarks.profiling.sampling import preemption
from benchmarks.profiling.sampling.pairs import LEAST_PAIRS, MOST_PAIRS, Block, Pair, enough, which_count

NO_PROFILER = nullcontext()


def take_block(
    call: Callable[[], Sequence[float]],
    seconds: float,
    profiler: AbstractContextManager[object] = NO_PROFILER,
    most_calls: int | None = None,
) -> Block:
    """Call for so long, and once at least; `call` gives the seconds of its phases.

    A thread of the profiler's, which begins and ends with it, does not count among those that are kept from a core.
    """
    before, usage = preemption.read(), resource.getrusage(resource.RUSAGE_SELF)
    switches = -usage.ru_nvcsw - usage.ru_nivcsw
    with profiler:
        end = time.perf_counter() + seconds
        calls = [call()]
        while time.perf_counter() < end and len(calls) != most_calls:
            calls.append(call())
    usage = resource.getrusage(resource.RUSAGE_SELF)
    kept_away = preemption.taken_seconds(before, preemption.read())
    share = None if kept_away is None else kept_away / sum(map(sum, calls))
    return Block(calls, share, switches + usage.ru_nvcsw + usage.ru_nivcsw)


def most_seconds(seconds: float) -> float:
    """After which no pair is begun beyond the least, where a side of the least takes so many."""
    return 2 * seconds * MOST_PAIRS / LEAST_PAIRS


def take_pairs(
    alone: Callable[[], Block], profiled: Callable[[], Block], seconds: float, clock: Clock = time.perf_counter
) -> tuple[list[Pair], list[Block]]:
    """Pairs until there are enough, and the block alone of each; the sides take turns to be first."""
    pairs: list[Pair] = []
    blocks: list[Block] = []
    end = clock() + most_seconds(seconds)
    while len(pairs) < LEAST_PAIRS or not (enough(pairs) or clock() >= end):
        if len(pairs) % 2 == 0:
            own = alone()
            looked_at = profiled()
        else:
            looked_at = profiled()
            own = alone()
        pairs.append(Pair.of(own, looked_at))
        blocks.append(own)
    return pairs, blocks


def told(pairs: Sequence[Pair], alone: Sequence[Block]) -> dict[str, Any]:
    """What a record says of pairs and of the calls timed alone, of those that count; times of a call are medians."""
    counts = which_count(pairs)
    blocks = list(itertools.compress(alone, counts))
    calls = [call for block in blocks for call in block.calls]
    return {
        "calls": len(calls),
        "unprofiled_seconds": statistics.median(map(sum, calls)),
        "phase_seconds": [statistics.median(phase) for phase in zip(*calls, strict=True)],
        "context_switches": sum(block.context_switches for block in blocks) / len(calls),
        "pairs": [dataclasses.asdict(pair) | {"counts": each} for pair, each in zip(pairs, counts, strict=True)],
    }
