"""One prepared case in passes of their own: counts, a trace, and stacks. Nothing of the breakdown comes from here."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.measuring.measure import Subject
from benchmarks.profiling import counters
from benchmarks.profiling.chrome import write_compressed, write_trace
from benchmarks.profiling.flame import native_stacks, python_stacks, speedscope
from benchmarks.profiling.instructions import Instructions, count_allocated, count_instructions
from benchmarks.profiling.operators import count_operators
from benchmarks.profiling.phases import call_of, is_torch, phases_of, prefix_phases
from benchmarks.profiling.trace import trace

PHASES: Mapping[str, str] = {"1": "forward", "2": "backward"}
COUNTED_STEPS = 2048
"""Time steps beyond which operators are not counted: the profiler keeps each of them in memory."""
COUNTED_CALLS = 5
"""Calls that hardware counters count over."""
FLAME_SECONDS = 0.5
TURNS_SECONDS = 0.2
"""For so long calls of two lengths take turns, to tell what a further step takes."""


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
        **_counts(subject),
    }
    stacks = python_stacks(call, FLAME_SECONDS)
    native = native_stacks(looks, PHASES)
    profiles = [("Python, main thread", "seconds", stacks), ("all threads, by kind and function", "none", native)]
    write_compressed(speedscope(stem, profiles), folder / f"{stem}.speedscope.json.gz")
    events, found["untold"] = trace(subject)
    write_trace(events, folder / f"{stem}.trace.json.gz", found["untold"])
    return found


def _counts(subject: Subject) -> dict[str, Any]:
    """Of a call: `instructions`, `operators` and `allocated_bytes`; and what one more step adds, as `further_step`.

    A further step is the difference between a call and one of half as many steps: what belongs to a call as such is
    not in it. `share_of_no_step` is the share of a call's time that is left when steps have theirs. What cannot be
    counted is None.
    """
    T = subject.workload.T
    torch_counts = is_torch(subject) and T <= COUNTED_STEPS
    whole = _count(prefix_phases(subject, T), torch_counts)
    found: dict[str, Any] = {"instructions": whole["instructions"], "operators": whole["operators"]}
    found["allocated_bytes"] = None
    if torch_counts:
        found["allocated_bytes"] = whole["operators"]["allocated_bytes"]
    elif type(subject.call.x).__module__ == "numpy":
        found["allocated_bytes"] = count_allocated(call_of(phases_of(subject)))
    found["further_step"] = None
    if T > 1:
        shorter = prefix_phases(subject, T // 2)
        half = _count(shorter, torch_counts)
        further = {name: (whole[name] - half[name]) / (T - T // 2) for name in ("calls", "products")}
        of_whole, of_half = _seconds(call_of(phases_of(subject)), call_of(shorter))
        further["share_of_no_step"] = max(0.0, 1 - (of_whole - of_half) / (T - T // 2) * T / of_whole)
        found["further_step"] = further
    return found


def _seconds(*calls: Callable[[], object]) -> tuple[float, ...]:
    """The median time of each, which take turns for `TURNS_SECONDS`."""
    clock = time.perf_counter
    taken: list[list[float]] = [[] for _ in calls]
    end = clock() + TURNS_SECONDS
    while not taken[0] or clock() < end:
        for own, call in zip(taken, calls, strict=True):
            start = clock()
            call()
            own.append(clock() - start)
    return tuple(statistics.median(own) for own in taken)


def _count(phases: Mapping[str, Callable[[], object]], with_operators: bool) -> dict[str, Any]:
    """Of one call: `calls` from Python or, of PyTorch, of operators; `products` of the forward pass; and all counts."""
    counted: list[Instructions] = []
    for phase in phases.values():
        counted.append(count_instructions(phase))
    instructions = {name: sum(getattr(each, name) for each in counted) for name in Instructions._fields}
    if not with_operators:
        calls, products = instructions["operations"], counted[0].products
        return {"instructions": instructions, "operators": None, "calls": calls, "products": products}
    operators = [count_operators(phase) for phase in phases.values()]
    summed = {name: sum(each[name] for each in operators) for name in operators[0]}
    found = {"instructions": instructions, "operators": summed}
    return found | {"calls": summed["operators"], "products": operators[0]["products"]}
