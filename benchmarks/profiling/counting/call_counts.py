"""What one call of a case counts, and what a further time step adds to it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.measuring.measure import Subject
from benchmarks.profiling.call_phases import call_of, is_torch, phases_of, prefix_phases
from benchmarks.profiling.counting.instructions import Instructions, count_allocated, count_instructions
from benchmarks.profiling.counting.operators import count_operators

COUNTED_STEPS = 2048
"""Time steps beyond which operators are not counted: the profiler keeps each of them in memory."""
TURNS_SECONDS = 0.2
"""For so long calls of two lengths take turns, to tell what a further step takes."""


def count_call(subject: Subject) -> dict[str, Any]:
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
