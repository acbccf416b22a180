"""The trace of one call, put together from samples of many calls, for code that records nothing of itself.

Calls of one case are alike: a sample of any of them, at a fraction of its time, shows what a call does there. It works
for whatever the sampler can attribute: BLAS within NumPy, the C++ of `fused_cpu`, engines that run a call as a whole.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from benchmarks.profiling.sampling.attribution import Sample, attribute
from benchmarks.profiling.sampling.kinds import KIND_NAMES, KINDS
from benchmarks.profiling.sampling.sampler import PREEMPTED, WAITS, Sampler
from benchmarks.profiling.sampling.symbols import places
from benchmarks.profiling.tracing.chrome import Event, Slice, Track, counter, process

PARTS = 50
"""Equal parts of a pass's time. Each has its own share of every kind of work."""
_GROUP = 3
"""The number of this group of tracks in a trace."""


class Overlay(NamedTuple):
    """One pass of a call, put together from samples of many calls."""

    name: str
    seconds: float
    """The median time of the pass."""
    parts: list[list[Sample]]
    """The attributed samples by the part of the pass's time in which they were taken."""


def sample_calls(passes: Mapping[str, Callable[[], object]], sampler: Sampler, seconds: float) -> list[Overlay]:
    """Sample calls for `seconds`, at least one call. The first pass has the number 1 for the sampler, and so on."""
    clock = time.perf_counter_ns
    spans: dict[int, list[tuple[int, int]]] = {number: [] for number in range(1, len(passes) + 1)}
    end = clock() + int(seconds * 1e9)
    sampler.start()
    try:
        while clock() < end or not spans[1]:
            for number, each in enumerate(passes.values(), start=1):
                sampler.current_pass.value = number
                start = clock()
                each()
                spans[number].append((start, clock()))
            sampler.current_pass.value = 0
    finally:
        sampler.current_pass.value = 0
        threads = sampler.stop()
    found = places({int(each) for each in threads["address"]} - {WAITS, PREEMPTED})
    samples = list(attribute(threads, found, os.getpid()))
    return [
        overlay(name, spans[number], [sample for sample in samples if sample.pass_number == number])
        for number, name in enumerate(passes, start=1)
    ]


def overlay(name: str, spans: Sequence[tuple[int, int]], samples: Sequence[Sample]) -> Overlay:
    """Samples by the part of the call in which they were taken; `spans` are (begin, end) of calls in nanoseconds."""
    starts = np.array([span[0] for span in spans])
    parts: list[list[Sample]] = [[] for _ in range(PARTS)]
    for sample in samples:
        at = int(np.searchsorted(starts, sample.nanoseconds, side="right")) - 1
        if at < 0 or sample.work is None:
            continue
        start, end = spans[at]
        if sample.nanoseconds < end:
            parts[int(PARTS * (sample.nanoseconds - start) / (end - start))].append(sample)
    return Overlay(name, float(np.median([end - start for start, end in spans])) / 1e9, parts)


def sampled_tracks(overlays: Sequence[Overlay], phase_of: Callable[[Sample], str] | None = None) -> list[Event]:
    """The events of one call; `phase_of` gives the network's phase of a sample, an empty text where it has none."""
    calls: list[Slice] = []
    tracks: dict[str, list[Slice]] = {"phases": [], "most of the time": []}
    counters: list[Event] = []
    now = 0.0
    samples = 0
    for own in overlays:
        microseconds = own.seconds * 1e6
        calls.append(Slice(own.name, now, now + microseconds))
        for at, part in enumerate(own.parts):
            samples += len(part)
            start, end = (now + microseconds * place / PARTS for place in (at, at + 1))
            kinds = Counter(sample.work[0] for sample in part if sample.work is not None)
            if not part or not kinds:
                continue
            shares = {KIND_NAMES[kind]: round(100 * kinds[kind] / len(part), 1) for kind in KINDS if kinds[kind]}
            counters.append(counter(_GROUP, "percent of the time, by kind", start, shares))
            _extend(tracks["most of the time"], KIND_NAMES[kinds.most_common(1)[0][0]], start, end)
            named = Counter(filter(None, map(phase_of, part))) if phase_of is not None else Counter[str]()
            if named:
                _extend(tracks["phases"], named.most_common(1)[0][0], start, end)
        now += microseconds
    shown = [Track("calls", calls), *(Track(name, slices) for name, slices in tracks.items() if slices)]
    return process(_GROUP, f"one call, put together from {samples} samples of many calls", shown) + counters


def _extend(track: list[Slice], name: str, start: float, end: float) -> None:
    """Add a slice, or lengthen the last one where it has this name and ends at `start`."""
    if track and track[-1].name == name and track[-1].end >= start - 1e-6:
        track[-1] = track[-1]._replace(end=end)
    else:
        track.append(Slice(name, start, end))
