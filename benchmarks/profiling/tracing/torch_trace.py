"""The trace of a PyTorch implementation by PyTorch's profiler: operators, with phases and time steps marked."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.files import scratch_folder
from benchmarks.profiling.counting.operators import profiler
from benchmarks.profiling.tracing.chrome import Event, Slice, Track, process
from benchmarks.profiling.tracing.gpu_time import DEVICE
from benchmarks.profiling.tracing.torch_phases import Marks, Operator, StepOrder, mark_backward, mark_forward

_KEPT = ("cpu_op", "user_annotation", *DEVICE)
BACKWARD = "backward"


def trace_calls(passes: Mapping[str, Callable[[], object]], calls: int = 2) -> list[Event]:
    """The profiler's events of calls, in Chrome's format: an annotation `call 1` with one for each pass, and so on."""
    from torch.profiler import record_function

    with profiler() as profiled:
        for number in range(calls):
            with record_function(f"call {number + 1}"):
                for name, each in passes.items():
                    with record_function(name):
                        each()
    with scratch_folder("profile") as scratch:
        raw = scratch / "trace.json"
        profiled.export_chrome_trace(str(raw))
        events = json.loads(raw.read_text(encoding="utf-8"))["traceEvents"]
    kept = (each for each in events if each.get("ph") == "X" and each.get("cat") in _KEPT)
    return sorted(kept, key=lambda each: (each["ts"], -each["dur"]))


def torch_tracks(
    events: Sequence[Event], operators: Sequence[Operator], order: StepOrder
) -> tuple[list[Event], list[str]]:
    """The events of a trace, and sentences on what it does not show.

    `operators` are the recorded ones of one forward pass, `events` those of `trace_calls`.
    """
    begin = float(events[0]["ts"])
    calls: list[Slice] = []
    phases: list[Slice] = []
    steps: list[Slice] = []
    limitations: dict[str, None] = {}
    forward, before = Marks([], [], ""), list[Event]()
    for annotation in (each for each in events if each["cat"] == "user_annotation"):
        calls.append(_slice(annotation))
        if annotation["name"].startswith("call "):
            continue
        within = operators_within(events, annotation)
        if annotation["name"] == BACKWARD:
            marks = mark_backward(forward, before, within)
        else:
            marks = forward = mark_forward(operators, within, order)
            before = within
        phases += marks.phases
        steps += marks.steps
        limitations |= {marks.limitation: None} if marks.limitation else {}
    threads: dict[Any, list[Slice]] = {}
    for event in events:
        if event["cat"] == "cpu_op":
            threads.setdefault(event["tid"], []).append(_slice(event))
    tracks = [Track("calls", calls), Track("phases", phases), Track("time steps", steps)]
    tracks += [Track(f"operators, thread {number}", own) for number, own in enumerate(threads.values(), start=1)]
    streams: dict[Any, list[Slice]] = {}
    for event in events:
        if event["cat"] in DEVICE:
            streams.setdefault(event["tid"], []).append(_slice(event))
    tracks += [Track(f"GPU, stream {stream}", own) for stream, own in streams.items()]
    moved = [
        Track(name, [Slice(each.name, each.start - begin, each.end - begin) for each in own]) for name, own in tracks
    ]
    title = "PyTorch's profiler (small operators last longer than unprofiled)"
    return process(1, title, (track for track in moved if track.slices)), list(limitations)


def operators_within(events: Sequence[Event], annotation: Event) -> list[Event]:
    """The operators that an annotation encloses, in its thread."""
    begin, end = annotation["ts"], annotation["ts"] + annotation["dur"]
    return [
        each
        for each in events
        if each["cat"] == "cpu_op" and each["tid"] == annotation["tid"] and begin <= each["ts"] <= end
    ]


def _slice(event: Event) -> Slice:
    return Slice(str(event["name"]), float(event["ts"]), float(event["ts"]) + float(event["dur"]))
