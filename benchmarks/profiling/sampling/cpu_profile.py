"""The profile of one prepared case on a CPU: blocks of calls with the sampler and without, in turns."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks.measuring.calls import memory
from benchmarks.measuring.measure import Subject
from benchmarks.profiling.call_passes import pass_seconds, passes_of
from benchmarks.profiling.sampling.attribution import SampleCounts, count_by_pass, sampled_seconds
from benchmarks.profiling.sampling.blocks import pairs_record, take_block, take_pairs
from benchmarks.profiling.sampling.pairs import LEAST_PAIRS, CallBlock, which_kept
from benchmarks.profiling.sampling.sampler import PREEMPTED, WAITS, SampledThreads, Sampler
from benchmarks.profiling.sampling.symbols import places

MOST_FUNCTIONS = 20
"""Functions of a pass that are named: the ones with the most samples."""


def profile_cpu(subject: Subject, seconds: float) -> dict[str, Any]:
    """Sample a warmed-up case for about `seconds`, and time it without the sampler for as long.

    The record is made of JSON values: median times of calls and passes, samples by kind and by function, pairs.
    Raises `rnnimpl.Unavailable` where the sampler cannot be compiled or loaded.
    """
    sampler = Sampler()
    parts = tuple(passes_of(subject).values())
    sampled: list[SampledThreads] = []

    def unprofiled() -> CallBlock:
        return take_block(lambda: pass_seconds(parts), seconds / LEAST_PAIRS)

    @contextlib.contextmanager
    def sampling() -> Iterator[None]:
        sampler.start()
        try:
            yield
        finally:
            sampled.append(sampler.stop())

    def profiled() -> CallBlock:
        block = take_block(lambda: pass_seconds(parts, sampler.current_pass), seconds / LEAST_PAIRS, sampling())
        return dataclasses.replace(block, attributed_seconds=sampled_seconds(sampled[-1]))

    pairs, blocks = take_pairs(unprofiled, profiled, seconds)
    addresses = {int(each) for threads in sampled for each in threads["address"]} - {WAITS, PREEMPTED}
    found = places(addresses)
    passes: dict[int, list[SampleCounts]] = {}
    for threads in itertools.compress(sampled, which_kept(pairs)):
        for number, counts in count_by_pass(threads, found, os.getpid()).items():
            passes.setdefault(number, []).append(counts)
    baseline = memory.start(subject.workload.device)
    pass_seconds(parts)
    return {
        **pairs_record(pairs, blocks),
        "peak_bytes": memory.peak(baseline),
        "passes": {str(number): _summary(each) for number, each in passes.items()},
    }


def _summary(blocks: Sequence[SampleCounts]) -> dict[str, Any]:
    """The samples of one pass, added up over all blocks."""
    kinds: Counter[str] = Counter()
    functions: Counter[tuple[str, str, str]] = Counter()
    for counts in blocks:
        for name, count in counts.by_kind.items():
            kinds[name] += count
        for (kind, place), count in counts.by_place.items():
            functions[kind, place.library, place.function] += count
    attributed = sum(counts.attributed for counts in blocks)
    return {
        "kinds": dict(kinds),
        "preempted": sum(counts.preempted for counts in blocks),
        "computing_threads": sum(counts.computing_threads for counts in blocks) / max(attributed, 1),
        "functions": [[*place, count] for place, count in functions.most_common(MOST_FUNCTIONS)],
    }
