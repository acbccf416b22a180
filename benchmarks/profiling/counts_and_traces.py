"""One prepared case in passes of their own: counts, a trace, and stacks. Nothing of the breakdown comes from here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.measuring.measure import Subject
from benchmarks.profiling.call_phases import call_of, phases_of
from benchmarks.profiling.counting import counters
from benchmarks.profiling.counting.call_counts import count_call
from benchmarks.profiling.records import PHASE_NAMES
from benchmarks.profiling.sampling.flame import native_stacks, python_stacks, speedscope
from benchmarks.profiling.tracing.chrome import write_compressed, write_trace
from benchmarks.profiling.tracing.trace import trace

COUNTED_CALLS = 5
"""Calls that hardware counters count over."""
FLAME_SECONDS = 0.5


def dissect(subject: Subject, folder: Path, stem: str, looks: Mapping[str, Any]) -> dict[str, Any]:
    """Counts of a call, and in a folder `STEM.trace.json.gz` and `STEM.speedscope.json.gz`.

    `looks` are the phases of `observe`; `untold` in the reply says what the trace cannot tell.
    """
    call = call_of(phases_of(subject))
    counted, reason = counters.count(call, COUNTED_CALLS)
    found = {
        "threads": sum(1 for _ in counters.TASKS.iterdir()),
        "counters": counted,
        "counters_reason": reason,
        **count_call(subject),
    }
    stacks = python_stacks(call, FLAME_SECONDS)
    native = native_stacks(looks, PHASE_NAMES)
    profiles = [("Python, main thread", "seconds", stacks), ("all threads, by kind and function", "none", native)]
    write_compressed(speedscope(stem, profiles), folder / f"{stem}.speedscope.json.gz")
    events, found["untold"] = trace(subject)
    write_trace(events, folder / f"{stem}.trace.json.gz", found["untold"])
    return found
