"""The profile of one prepared case on a CPU: blocks of calls with the sampler and without, in turns."""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import itertools
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from benchmarks.measuring import memory
from benchmarks.measuring.measure import Subject
from benchmarks.profiling.call_phases import phases_of
from benchmarks.profiling.sampling.attribution import SampleCounts, count_by_phase, sampled_seconds
from benchmarks.profiling.sampling.blocks import pairs_record, take_block, take_pairs
from benchmarks.profiling.sampling.pairs import LEAST_PAIRS, CallBlock, which_kept
from benchmarks.profiling.sampling.sampler import BACKWARD, FORWARD, PREEMPTED, WAITS, SampledThreads, Sampler
from benchmarks.profiling.sampling.symbols import places

MOST_FUNCTIONS = 20
"""Functions of a phase that are named: the ones with the most samples."""


def profile_cpu(subject: Subject, seconds: float) -> dict[str, Any]:
    """Sample a warmed-up case for about `seconds`, and time it without the sampler for as long.

    The record is made of JSON values: median times of calls and phases, samples by kind and by function, pairs.
    Raises `rnnimpl.Unavailable` where the sampler cannot be compiled or loaded.
    """
    sampler = Sampler()
    no_phase = ctypes.c_int32()
    parts = tuple(phases_of(subject).values())
    sampled: list[SampledThreads] = []

    def unprofiled() -> CallBlock:
        return take_block(lambda: timed_call(parts, no_phase), seconds / LEAST_PAIRS)

    @contextlib.contextmanager
    def sampling() -> Iterator[None]:
        sampler.start()
        try:
            yield
        finally:
            sampled.append(sampler.stop())

    def profiled() -> CallBlock:
        block = take_block(lambda: timed_call(parts, sampler.phase), seconds / LEAST_PAIRS, sampling())
        return dataclasses.replace(block, attributed_seconds=sampled_seconds(sampled[-1]))

    pairs, blocks = take_pairs(unprofiled, profiled, seconds)
    addresses = {int(each) for threads in sampled for each in threads["address"]} - {WAITS, PREEMPTED}
    found = places(addresses)
    phases: dict[int, list[SampleCounts]] = {}
    for threads in itertools.compress(sampled, which_kept(pairs)):
        for phase, counts in count_by_phase(threads, found, os.getpid()).items():
            phases.setdefault(phase, []).append(counts)
    baseline = memory.start(subject.workload.device)
    timed_call(parts, no_phase)
    return {
        **pairs_record(pairs, blocks),
        "peak_bytes": memory.peak(baseline),
        "phases": {str(phase): _summary(each) for phase, each in phases.items()},
    }


def timed_call(parts: Sequence[Callable[[], object]], phase: ctypes.c_int32) -> tuple[float, float]:
    """The seconds of the forward and the backward pass of one call, 0 without one; `phase` holds the current phase."""
    clock = time.perf_counter
    times = [clock()]
    for number, part in enumerate(parts, start=FORWARD):
        phase.value = number
        part()
        times.append(clock())
    phase.value = 0
    seconds = [end - begin for begin, end in itertools.pairwise(times)]
    return seconds[0], seconds[1] if len(seconds) == BACKWARD else 0.0


def _summary(blocks: Sequence[SampleCounts]) -> dict[str, Any]:
    """The samples of one phase, added up over all blocks."""
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
