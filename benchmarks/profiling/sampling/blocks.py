"""Blocks of calls without a profiler and with it, in turns, until their pairs are enough."""

from __future__ import annotations

import dataclasses
import itertools
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from benchmarks.measuring.calls.timing import Clock
from benchmarks.profiling.sampling import preemption
from benchmarks.profiling.sampling.pairs import LEAST_PAIRS, MOST_PAIRS, BlockPair, CallBlock, enough, which_kept

NO_PROFILER = nullcontext()


def take_block(
    call: Callable[[], Sequence[float]],
    seconds: float,
    profiler: AbstractContextManager[object] = NO_PROFILER,
    most_calls: int | None = None,
) -> CallBlock:
    """Call for `seconds`, at least once and at most `most_calls` times; `call` gives the seconds of its passes.

    The preempted time is that of threads which live before and after the block: the profiler's own thread is not among
    them.
    """
    before, usage = preemption.read_run_delays(), resource.getrusage(resource.RUSAGE_SELF)
    switches = -usage.ru_nvcsw - usage.ru_nivcsw
    with profiler:
        end = time.perf_counter() + seconds
        calls = [call()]
        while time.perf_counter() < end and len(calls) != most_calls:
            calls.append(call())
    usage = resource.getrusage(resource.RUSAGE_SELF)
    preempted = preemption.preempted_seconds(before, preemption.read_run_delays())
    share = None if preempted is None else preempted / sum(map(sum, calls))
    return CallBlock(calls, share, switches + usage.ru_nvcsw + usage.ru_nivcsw)


def most_seconds(seconds: float) -> float:
    """When the last pair beyond the least may begin, where `LEAST_PAIRS` blocks of a side take `seconds`."""
    return 2 * seconds * MOST_PAIRS / LEAST_PAIRS


def take_pairs(
    unprofiled: Callable[[], CallBlock],
    profiled: Callable[[], CallBlock],
    seconds: float,
    clock: Clock = time.perf_counter,
) -> tuple[list[BlockPair], list[CallBlock]]:
    """Pairs until there are enough, and the unprofiled block of each; the two sides take turns to be first."""
    pairs: list[BlockPair] = []
    blocks: list[CallBlock] = []
    end = clock() + most_seconds(seconds)
    while len(pairs) < LEAST_PAIRS or not (enough(pairs) or clock() >= end):
        if len(pairs) % 2 == 0:
            without = unprofiled()
            with_profiler = profiled()
        else:
            with_profiler = profiled()
            without = unprofiled()
        pairs.append(BlockPair.of(without, with_profiler))
        blocks.append(without)
    return pairs, blocks


def pairs_record(pairs: Sequence[BlockPair], unprofiled: Sequence[CallBlock]) -> dict[str, Any]:
    """The part of a record that holds the pairs and the unprofiled calls of the kept ones, as JSON values.

    Times of a call and of its passes are medians, context switches a mean.
    """
    keep = which_kept(pairs)
    blocks = list(itertools.compress(unprofiled, keep))
    calls = [call for block in blocks for call in block.calls]
    return {
        "calls": len(calls),
        "unprofiled_seconds": statistics.median(map(sum, calls)),
        "pass_seconds": [statistics.median(own) for own in zip(*calls, strict=True)],
        "context_switches": sum(block.context_switches for block in blocks) / len(calls),
        "pairs": [dataclasses.asdict(pair) | {"kept": each} for pair, each in zip(pairs, keep, strict=True)],
    }
