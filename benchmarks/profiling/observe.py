"""One case in its process, prepared already: timed alone and looked at, block by block in turns."""

from __future__ import annotations

import ctypes
import os
import resource
import statistics
import time
from collections import Counter
from typing import Any

from benchmarks.measuring import memory
from benchmarks.measuring.measure import Subject
from benchmarks.profiling.breakdown import Looks, attribute
from benchmarks.profiling.sampler import BACKWARD, FORWARD, HAS_NO_CORE, WAITS, Sampler
from benchmarks.profiling.symbols import places

BLOCKS = 4
"""Pairs of blocks, one timed alone and one looked at; they take turns, as the machine drifts."""
FUNCTIONS = 20
"""Places of a phase that are named, those with the most looks."""


def observe(subject: Subject, seconds: float) -> dict[str, Any]:
    """Look at a warmed-up case for about so many seconds, and time it alone for as many.

    The reply is made of JSON values: median times of calls and phases, looks by kind and by place, counts.
    Raises `rnnimpl.Unavailable` where the sampler cannot be had.
    """
    sampler = Sampler()
    alone: list[tuple[float, float]] = []
    watched: list[tuple[float, float]] = []
    samples = []
    ratios: list[float] = []
    ignored = ctypes.c_int32()
    switches = 0
    for _ in range(BLOCKS):
        before = resource.getrusage(resource.RUSAGE_SELF)
        own = _block(subject, ignored, seconds / BLOCKS)
        alone += own
        after = resource.getrusage(resource.RUSAGE_SELF)
        switches += after.ru_nvcsw + after.ru_nivcsw - before.ru_nvcsw - before.ru_nivcsw
        sampler.start()
        try:
            looked_at = _block(subject, sampler.phase, seconds / BLOCKS)
        finally:
            samples.append(sampler.stop())
        watched += looked_at
        ratios.append(statistics.median(map(sum, looked_at)) / statistics.median(map(sum, own)))
    addresses = {int(each) for block in samples for each in block["address"]} - {WAITS, HAS_NO_CORE}
    found = places(addresses)
    phases: dict[int, list[Looks]] = {}
    for block in samples:
        for phase, looks in attribute(block, found, os.getpid()).items():
            phases.setdefault(phase, []).append(looks)
    watched_seconds = sum(sum(call) for call in watched)
    looked = sum(looks.total + looks.without_core for each in phases.values() for looks in each)
    baseline = memory.start(subject.workload.device)
    _call(subject, ignored)
    return {
        "calls": len(alone),
        "unprofiled_seconds": statistics.median(sum(call) for call in alone),
        "profiled_over_unprofiled": ratios,
        "phase_seconds": [statistics.median(call[at] for call in alone) for at in (0, 1)],
        "accounted_share": looked * sampler.interval_seconds / watched_seconds,
        "context_switches": switches / len(alone),
        "peak_bytes": memory.peak(baseline),
        "phases": {str(phase): _summary(each) for phase, each in phases.items()},
    }


def _block(subject: Subject, phase: ctypes.c_int32, seconds: float) -> list[tuple[float, float]]:
    """Forward and backward seconds of each call, for so long and one call at least."""
    end = time.perf_counter() + seconds
    calls = [_call(subject, phase)]
    while time.perf_counter() < end:
        calls.append(_call(subject, phase))
    return calls


def _call(subject: Subject, phase: ctypes.c_int32) -> tuple[float, float]:
    """One call that says in `phase` where it is."""
    rnn, clock = subject.rnn, time.perf_counter
    start = clock()
    phase.value = FORWARD
    if subject.workload.mode == "inference":
        rnn.forward(subject.x)
        rnn.synchronize()
        phase.value = 0
        return clock() - start, 0.0
    _, _, pullback = rnn.vjp(subject.x)
    rnn.synchronize()
    middle = clock()
    phase.value = BACKWARD
    pullback(subject.dy, subject.dh_n)
    rnn.synchronize()
    phase.value = 0
    return middle - start, clock() - middle


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
