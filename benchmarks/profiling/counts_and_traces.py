"""The counts, the trace and the flame graph of one prepared case, in calls of their own after its profile."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.measuring.measure import Subject
from benchmarks.profiling.call_passes import call_of, passes_of
from benchmarks.profiling.counting import counters
from benchmarks.profiling.counting.call_counts import count_call
from benchmarks.profiling.records import PASS_NAMES
from benchmarks.profiling.sampling.flame import native_stacks, python_stacks, speedscope
from benchmarks.profiling.tracing.chrome import write_compressed, write_trace
from benchmarks.profiling.tracing.trace import trace

COUNTED_CALLS = 5
"""Calls over which hardware events are counted."""
FLAME_SECONDS = 0.5
"""How long Python's stacks are sampled."""


def count_and_trace(subject: Subject, folder: Path, stem: str, passes: Mapping[str, Any]) -> dict[str, Any]:
    """The counts of a call; writes `STEM.trace.json.gz` and `STEM.speedscope.json.gz` into a folder.

    `passes` are those of the case's profile: their functions go into the flame graph. `limitations` in the reply are
    sentences on what the trace does not show.
    """
    call = call_of(passes_of(subject))
    events, reason = counters.count_events(call, COUNTED_CALLS)
    found = {
        "threads": sum(1 for _ in counters.TASKS.iterdir()),
        "counters": events,
        "counters_reason": reason,
        **count_call(subject),
    }
    stacks = python_stacks(call, FLAME_SECONDS)
    native = native_stacks(passes, PASS_NAMES)
    profiles = [("Python, main thread", "seconds", stacks), ("all threads, by kind and function", "none", native)]
    write_compressed(speedscope(stem, profiles), folder / f"{stem}.speedscope.json.gz")
    traced, found["limitations"] = trace(subject)
    write_trace(traced, folder / f"{stem}.trace.json.gz", found["limitations"])
    return found
