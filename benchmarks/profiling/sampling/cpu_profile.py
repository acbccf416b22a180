"""One case in its process, prepared already: timed alone and looked at, block by block in turns."""

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

import numpy as np

from benchmarks.measuring import memory
from benchmarks.measuring.measure import Subject
from benchmarks.profiling.call_phases import phases_of
from benchmarks.profiling.sampling.attribution import Looks, attribute, seconds_of
from benchmarks.profiling.sampling.blocks import take_block, take_pairs, told
from benchmarks.profiling.sampling.pairs import LEAST_PAIRS, Block, which_count
from benchmarks.profiling.sampling.sampler import BACKWARD, FORWARD, HAS_NO_CORE, WAITS, Sampler
from benchmarks.profiling.sampling.symbols import places

FUNCTIONS = 20
"""Places of a phase that are named, those with the most looks."""


def observe(subject: Subject, seconds: float) -> dict[str, Any]:
    """Look at a warmed-up case for about so many seconds, and time it alone for as many.

    The reply is made of JSON values: median times of calls and phases, looks by kind and by place, counts.
    Raises `rnnimpl.Unavailable` where the sampler cannot be had.
    """
    sampler = Sampler()
    ignored = ctypes.c_int32()
    parts = tuple(phases_of(subject).values())
    samples: list[np.ndarray[tuple[int], np.dtype[np.void]]] = []

    def alone() -> Block:
        return take_block(lambda: _call(parts, ignored), seconds / LEAST_PAIRS)

    @contextlib.contextmanager
    def looking() -> Iterator[None]:
        sampler.start()
        try:
            yield
        finally:
            samples.append(sampler.stop())

    def profiled() -> Block:
        block = take_block(lambda: _call(parts, sampler.phase), seconds / LEAST_PAIRS, looking())
        return dataclasses.replace(block, seen_seconds=seconds_of(samples[-1]))

    pairs, blocks = take_pairs(alone, profiled, seconds)
    counts = which_count(pairs)
    addresses = {int(each) for block in samples for each in block["address"]} - {WAITS, HAS_NO_CORE}
    found = places(addresses)
    phases: dict[int, list[Looks]] = {}
    for block in itertools.compress(samples, counts):
        for phase, looks in attribute(block, found, os.getpid()).items():
            phases.setdefault(phase, []).append(looks)
    baseline = memory.start(subject.workload.device)
    _call(parts, ignored)
    return {
        **told(pairs, blocks),
        "peak_bytes": memory.peak(baseline),
        "phases": {str(phase): _summary(each) for phase, each in phases.items()},
    }


def _call(parts: Sequence[Callable[[], object]], phase: ctypes.c_int32) -> tuple[float, float]:
    """One call, forward and in training backward, that says in `phase` where it is: the seconds of each."""
    clock = time.perf_counter
    readings = [clock()]
    for number, part in enumerate(parts, start=FORWARD):
        phase.value = number
        part()
        readings.append(clock())
    phase.value = 0
    taken = [end - begin for begin, end in itertools.pairwise(readings)]
    return taken[0], taken[1] if len(taken) == BACKWARD else 0.0


def _summary(each: list[Looks]) -> dict[str, Any]:
    """Looks of one phase over all blocks."""
    kinds: Counter[str] = Counter()
    functions: Counter[tuple[str, str, str]] = Counter()
    for looks in each:
        for name, count in looks.by_kind.items():
            kinds[name] += count
        for (kind, place), count in looks.by_place.items():
            functions[kind, place.library, place.function] += count
    total = sum(looks.total for looks in each)
    return {
        "kinds": dict(kinds),
        "without_core": sum(looks.without_core for looks in each),
        "computing_threads": sum(looks.computing_threads for looks in each) / max(total, 1),
        "functions": [[*place, count] for place, count in functions.most_common(FUNCTIONS)],
    }
