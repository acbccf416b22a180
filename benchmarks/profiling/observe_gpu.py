"""One prepared case on a GPU: timed alone and under PyTorch's profiler, block by block in turns."""

from __future__ import annotations

import json
import resource
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.measuring import memory
from benchmarks.measuring.measure import Subject
from benchmarks.profiling.chrome import Event
from benchmarks.profiling.gpu_time import GPU, Span, break_down, unprofiled, work_of
from benchmarks.profiling.kinds import Kind
from benchmarks.profiling.observe import BLOCKS, FUNCTIONS
from benchmarks.profiling.phases import call_of, phases_of
from rnnimpl import Unavailable

MOST_CALLS = 50
"""Calls of a profiled block: each kernel of each of them is an event in memory."""
MARK = "rnnbench "
"""Before the names of phases among the events."""


def observe_gpu(subject: Subject, seconds: float) -> dict[str, Any]:
    """As `observe`, of a GPU: about so many seconds under the profiler, and as many without.

    `kinds` are seconds of a call here, where `observe` has looks. Raises `rnnimpl.Unavailable` without PyTorch's CUDA.
    """
    phases = phases_of(subject)
    alone: list[list[float]] = []
    ratios: list[float] = []
    spans: dict[str, list[Span]] = {name: [] for name in phases}
    switches = 0
    watched_seconds = seen_seconds = 0.0
    for _ in range(BLOCKS):
        before = resource.getrusage(resource.RUSAGE_SELF)
        own = _block(phases, seconds / BLOCKS)
        after = resource.getrusage(resource.RUSAGE_SELF)
        switches += after.ru_nvcsw + after.ru_nivcsw - before.ru_nvcsw - before.ru_nivcsw
        alone += own
        watched, seen = _profiled_block(phases, seconds / BLOCKS)
        ratios.append(statistics.median(map(sum, watched)) / statistics.median(map(sum, own)))
        watched_seconds += sum(map(sum, watched))
        for name, span in spans_of(seen):
            spans[name].append(span)
            seen_seconds += sum(span.kinds.values()) / 1e6
    baseline = memory.start(subject.workload.device)
    call_of(phases)()
    phase_seconds = [statistics.median(call[at] for call in alone) for at in range(len(phases))]
    numbered = enumerate(zip(spans.values(), phase_seconds, strict=True), start=1)
    return {
        "calls": len(alone),
        "unprofiled_seconds": statistics.median(map(sum, alone)),
        "profiled_over_unprofiled": ratios,
        "phase_seconds": [*phase_seconds, 0.0][:2],
        "accounted_share": seen_seconds / watched_seconds,
        "context_switches": switches / len(alone),
        "peak_bytes": memory.peak(baseline),
        "launches": sum(statistics.mean(span.launches for span in own) for own in spans.values()),
        "phases": {str(number): summary(own, of_phase) for number, (own, of_phase) in numbered},
    }


def spans_of(events: Sequence[Event]) -> Iterator[tuple[str, Span]]:
    """Each phase that is marked among the profiler's events, by name, with what its time went to."""
    work = work_of(events)
    for event in events:
        if event["name"].startswith(MARK) and event.get("cat") == "user_annotation":
            begin = float(event["ts"])
            yield event["name"].removeprefix(MARK), break_down(begin, begin + float(event["dur"]), work)


def summary(spans: Sequence[Span], seconds: float) -> dict[str, Any]:
    """One phase over all calls, each of which takes so many seconds unprofiled."""
    kinds: defaultdict[Kind, float] = defaultdict(float)
    functions: defaultdict[tuple[Kind, str], float] = defaultdict(float)
    for span in spans:
        for kind, part in span.kinds.items():
            kinds[kind] += part
        for function, part in span.functions.items():
            functions[function] += part
    longest = sorted(functions.items(), key=lambda each: -each[1])[:FUNCTIONS]
    return {
        "kinds": unprofiled({kind: each / 1e6 / len(spans) for kind, each in kinds.items()}, seconds),
        "without_core": 0,
        "computing_threads": 1.0,
        "functions": [[kind, GPU, name, each / len(spans)] for (kind, name), each in longest],
    }


def _block(phases: Mapping[str, Callable[[], object]], seconds: float) -> list[list[float]]:
    """Seconds of each phase of each call, for so long and one call at least."""
    end = time.perf_counter() + seconds
    calls = [_timed(phases)]
    while time.perf_counter() < end:
        calls.append(_timed(phases))
    return calls


def _timed(phases: Mapping[str, Callable[[], object]]) -> list[float]:
    clock, taken = time.perf_counter, []
    for phase in phases.values():
        start = clock()
        phase()
        taken.append(clock() - start)
    return taken


def _profiled_block(
    phases: Mapping[str, Callable[[], object]], seconds: float
) -> tuple[list[list[float]], list[Event]]:
    """As `_block`, with what PyTorch's profiler saw."""
    import torch
    from torch.profiler import ProfilerActivity, profile, record_function

    if not torch.cuda.is_available():
        raise Unavailable("kernels are seen by PyTorch's profiler; this build of PyTorch finds no CUDA device")

    def marked(name: str, phase: Callable[[], object]) -> Callable[[], object]:
        def call() -> None:
            with record_function(MARK + name):
                phase()

        return call

    watched = {name: marked(name, phase) for name, phase in phases.items()}
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA], acc_events=True) as profiled:
        end = time.perf_counter() + seconds
        calls = [_timed(watched)]
        while time.perf_counter() < end and len(calls) < MOST_CALLS:
            calls.append(_timed(watched))
    with tempfile.TemporaryDirectory(prefix="rnnbench-") as scratch:
        raw = Path(scratch) / "trace.json"
        profiled.export_chrome_trace(str(raw))
        events = json.loads(raw.read_text(encoding="utf-8"))["traceEvents"]
    return calls, [each for each in events if each.get("ph") == "X"]
