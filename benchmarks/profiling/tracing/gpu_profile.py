"""The profile of one prepared case on a GPU: blocks of calls with PyTorch's profiler and without, in turns."""

from __future__ import annotations

import dataclasses
import itertools
import json
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from benchmarks.files import scratch_folder
from benchmarks.measuring.calls import memory
from benchmarks.measuring.measure import Subject
from benchmarks.profiling.call_passes import FORWARD, call_of, pass_seconds, passes_of
from benchmarks.profiling.records import GPU
from benchmarks.profiling.sampling.blocks import pairs_record, take_block, take_pairs
from benchmarks.profiling.sampling.cpu_profile import MOST_FUNCTIONS
from benchmarks.profiling.sampling.kinds import WorkKind
from benchmarks.profiling.sampling.pairs import LEAST_PAIRS, CallBlock, which_kept
from benchmarks.profiling.tracing.chrome import Event
from benchmarks.profiling.tracing.gpu_time import Span, break_down, unprofiled, work_of
from rnnimpl import Unavailable

MOST_CALLS = 50
"""The most calls of a profiled block: each kernel of each call is an event in memory."""
MARK = "rnnbench "
"""The prefix of the names of passes among the events."""


def profile_gpu(subject: Subject, seconds: float) -> dict[str, Any]:
    """Profile a warmed-up case for about `seconds`, and time it without the profiler for as long.

    The record has the fields of `profile_cpu`, and `launches` of a call. Its `kinds` are seconds of a call and no
    numbers of samples. Raises `rnnimpl.Unavailable` where PyTorch has no CUDA device.
    """
    passes = passes_of(subject)
    functions = tuple(passes.values())
    spans_of_blocks: list[list[tuple[str, Span]]] = []

    def unprofiled() -> CallBlock:
        return take_block(lambda: pass_seconds(functions), seconds / LEAST_PAIRS)

    def profiled() -> CallBlock:
        block, events = profiled_block(passes, seconds / LEAST_PAIRS)
        spans_of_blocks.append(list(spans_of(events)))
        microseconds = sum(sum(span.kinds.values()) for _, span in spans_of_blocks[-1])
        return dataclasses.replace(block, attributed_seconds=microseconds / 1e6)

    pairs, blocks = take_pairs(unprofiled, profiled, seconds)
    spans: dict[str, list[Span]] = {name: [] for name in passes}
    for name, span in itertools.chain.from_iterable(itertools.compress(spans_of_blocks, which_kept(pairs))):
        spans[name].append(span)
    baseline = memory.start(subject.workload.device)
    call_of(passes)()
    record = pairs_record(pairs, blocks)
    numbered = enumerate(zip(spans.values(), record["pass_seconds"], strict=False), start=FORWARD)
    return {
        **record,
        "peak_bytes": memory.peak(baseline),
        "launches": sum(statistics.mean(span.launches for span in own) for own in spans.values()),
        "passes": {str(number): summary(own, of_pass) for number, (own, of_pass) in numbered},
    }


def spans_of(events: Sequence[Event]) -> Iterator[tuple[str, Span]]:
    """The name and the span of each pass that is marked among the profiler's events."""
    work = work_of(events)
    for event in events:
        if event["name"].startswith(MARK) and event.get("cat") == "user_annotation":
            begin = float(event["ts"])
            yield event["name"].removeprefix(MARK), break_down(begin, begin + float(event["dur"]), work)


def summary(spans: Sequence[Span], seconds: float) -> dict[str, Any]:
    """The spans of one pass, averaged over calls and scaled to `seconds`, the pass's unprofiled time."""
    kinds: defaultdict[WorkKind, float] = defaultdict(float)
    functions: defaultdict[tuple[WorkKind, str], float] = defaultdict(float)
    for span in spans:
        for kind, part in span.kinds.items():
            kinds[kind] += part
        for function, part in span.functions.items():
            functions[function] += part
    longest = sorted(functions.items(), key=lambda each: -each[1])[:MOST_FUNCTIONS]
    return {
        "kinds": unprofiled({kind: each / 1e6 / len(spans) for kind, each in kinds.items()}, seconds),
        "preempted": 0,
        "computing_threads": 1.0,
        "functions": [[kind, GPU, name, each / len(spans)] for (kind, name), each in longest],
    }


def profiled_block(passes: Mapping[str, Callable[[], object]], seconds: float) -> tuple[CallBlock, list[Event]]:
    """A block under PyTorch's profiler, and the profiler's events."""
    import torch
    from torch.profiler import ProfilerActivity, profile, record_function

    if not torch.cuda.is_available():
        raise Unavailable("kernels are recorded by PyTorch's profiler; this build of PyTorch finds no CUDA device")

    def marked(name: str, function: Callable[[], object]) -> Callable[[], object]:
        def call() -> None:
            with record_function(MARK + name):
                function()

        return call

    marked_passes = [marked(name, function) for name, function in passes.items()]
    profiler = profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA], acc_events=True)
    block = take_block(lambda: pass_seconds(marked_passes), seconds, profiler, MOST_CALLS)
    with scratch_folder("profile") as scratch:
        raw = scratch / "trace.json"
        profiler.export_chrome_trace(str(raw))
        events = json.loads(raw.read_text(encoding="utf-8"))["traceEvents"]
    return block, [each for each in events if each.get("ph") == "X"]
