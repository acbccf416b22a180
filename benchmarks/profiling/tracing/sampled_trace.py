"""A call's course by looks at it, for code that tells nothing itself: looks at many calls, laid over one another.

Calls of one case are alike, so that a look at any of them, at a part of its time, says what calls do there. It works
for whatever the sampler sees: BLAS within NumPy, C++ of our own, engines that run a whole call as one.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from benchmarks.profiling.sampling.attribution import Look, outcomes
from benchmarks.profiling.sampling.kinds import KIND_NAMES, KINDS
from benchmarks.profiling.sampling.sampler import HAS_NO_CORE, WAITS, Sampler
from benchmarks.profiling.sampling.symbols import places
from benchmarks.profiling.tracing.chrome import Event, Slice, Track, counter, process

PARTS = 50
"""Of the time of a phase, each with a share of its own of every kind."""
_NUMBER = 3
"""Of this group of tracks among those of a trace."""


class Course(NamedTuple):
    """One phase of a call, laid together from many."""

    name: str
    seconds: float
    """What it takes, in the median."""
    parts: list[list[Look]]
    """The looks that say something, by the part of the phase's time that they fell in."""


def look_at_calls(phases: Mapping[str, Callable[[], object]], sampler: Sampler, seconds: float) -> list[Course]:
    """Call for so long and once at least, and look. The first phase has the sampler's number 1, and so on."""
    clock = time.perf_counter_ns
    spans: dict[int, list[tuple[int, int]]] = {number: [] for number in range(1, len(phases) + 1)}
    end = clock() + int(seconds * 1e9)
    sampler.start()
    try:
        while clock() < end or not spans[1]:
            for number, phase in enumerate(phases.values(), start=1):
                sampler.phase.value = number
                start = clock()
                phase()
                spans[number].append((start, clock()))
            sampler.phase.value = 0
    finally:
        sampler.phase.value = 0
        samples = sampler.stop()
    found = places({int(each) for each in samples["address"]} - {WAITS, HAS_NO_CORE})
    looks = list(outcomes(samples, found, os.getpid()))
    return [
        lay_together(name, spans[number], [look for look in looks if look.phase == number])
        for number, name in enumerate(phases, start=1)
    ]


def lay_together(name: str, spans: Sequence[tuple[int, int]], looks: Sequence[Look]) -> Course:
    """Looks by the part of their call that they fell in; spans are when calls began and ended, in nanoseconds."""
    starts = np.array([span[0] for span in spans])
    parts: list[list[Look]] = [[] for _ in range(PARTS)]
    for look in looks:
        at = int(np.searchsorted(starts, look.nanoseconds, side="right")) - 1
        if at < 0 or look.outcome is None:
            continue
        start, end = spans[at]
        if look.nanoseconds < end:
            parts[int(PARTS * (look.nanoseconds - start) / (end - start))].append(look)
    return Course(name, float(np.median([end - start for start, end in spans])) / 1e9, parts)


def looks_tracks(courses: Sequence[Course], phase_of: Callable[[Look], str] | None = None) -> list[Event]:
    """The events of a call as looks lay it out; `phase_of` names the phase of the network of a look, where any can."""
    calls: list[Slice] = []
    tracks: dict[str, list[Slice]] = {"phases": [], "most of the time": []}
    counters: list[Event] = []
    now = 0.0
    looks = 0
    for course in courses:
        microseconds = course.seconds * 1e6
        calls.append(Slice(course.name, now, now + microseconds))
        for at, part in enumerate(course.parts):
            looks += len(part)
            start, end = (now + microseconds * place / PARTS for place in (at, at + 1))
            kinds = Counter(look.outcome[0] for look in part if look.outcome is not None)
            if not part or not kinds:
                continue
            shares = {KIND_NAMES[kind]: round(100 * kinds[kind] / len(part), 1) for kind in KINDS if kinds[kind]}
            counters.append(counter(_NUMBER, "percent of the time, by kind", start, shares))
            _extend(tracks["most of the time"], KIND_NAMES[kinds.most_common(1)[0][0]], start, end)
            named = Counter(filter(None, map(phase_of, part))) if phase_of is not None else Counter[str]()
            if named:
                _extend(tracks["phases"], named.most_common(1)[0][0], start, end)
        now += microseconds
    shown = [Track("calls", calls), *(Track(name, slices) for name, slices in tracks.items() if slices)]
    return process(_NUMBER, f"one call, laid together from {looks} looks at calls", shown) + counters


def _extend(track: list[Slice], name: str, start: float, end: float) -> None:
    """Add a slice, or lengthen the one before where it has the same name and ends here."""
    if track and track[-1].name == name and track[-1].end >= start - 1e-6:
        track[-1] = track[-1]._replace(end=end)
    else:
        track.append(Slice(name, start, end))
