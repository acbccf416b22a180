"""The counts of one call of a case, and the marginal cost of a time step: the cost that a further step adds."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.measuring.calls.timing import timed_in_turns
from benchmarks.measuring.measure import Subject
from benchmarks.profiling.call_passes import call_of, is_torch, passes_of, prefix_passes
from benchmarks.profiling.counting.instructions import Instructions, count_allocated, count_instructions
from benchmarks.profiling.counting.operators import count_operators

MOST_COUNTED_STEPS = 2048
"""The most time steps of which operators are counted: the profiler keeps each operator in memory."""
SECONDS_IN_TURNS = 0.2
"""How long calls of two lengths take turns, from which the marginal time of a step follows."""


def count_call(subject: Subject) -> dict[str, Any]:
    """The counts of a call: `instructions`, `operators`, `allocated_bytes` and `marginal_step`; None where not known.

    `marginal_step` has the marginal cost of a time step: the difference between a call and a call of half as many
    steps, divided by the steps between them. Costs of the call as such are not in it. Its `calls` are PyTorch's
    operators, or operations of Python where arrays are not PyTorch's, its `products` those of the forward pass, and its
    `fixed_time_share` the share of a call's time that the marginal time of all steps leaves, 0 to 1.
    """
    T = subject.workload.T
    torch_counts = is_torch(subject) and T <= MOST_COUNTED_STEPS
    whole = _count(prefix_passes(subject, T), torch_counts)
    found: dict[str, Any] = {"instructions": whole["instructions"], "operators": whole["operators"]}
    found["allocated_bytes"] = None
    if torch_counts:
        found["allocated_bytes"] = whole["operators"]["allocated_bytes"]
    elif type(subject.call.x).__module__ == "numpy":
        found["allocated_bytes"] = count_allocated(call_of(passes_of(subject)))
    found["marginal_step"] = None
    if T > 1:
        shorter = prefix_passes(subject, T // 2)
        half = _count(shorter, torch_counts)
        steps = T - T // 2
        marginal = {name: (whole[name] - half[name]) / steps for name in ("calls", "products")}
        turns = timed_in_turns((call_of(passes_of(subject)), call_of(shorter)), time.perf_counter, SECONDS_IN_TURNS)
        whole_seconds, half_seconds = (statistics.median(own) for own in zip(*turns, strict=True))
        marginal["fixed_time_share"] = max(0.0, 1 - (whole_seconds - half_seconds) / steps * T / whole_seconds)
        found["marginal_step"] = marginal
    return found


def _count(passes: Mapping[str, Callable[[], object]], with_operators: bool) -> dict[str, Any]:
    """`instructions`, `operators`, `calls` and `products` of one call; the last two are operators where wanted."""
    counted: list[Instructions] = []
    for each in passes.values():
        counted.append(count_instructions(each))
    instructions = {name: sum(getattr(each, name) for each in counted) for name in Instructions._fields}
    if not with_operators:
        calls, products = instructions["operations"], counted[0].products
        return {"instructions": instructions, "operators": None, "calls": calls, "products": products}
    operators = [count_operators(each) for each in passes.values()]
    summed = {name: sum(each[name] for each in operators) for name in operators[0]}
    found = {"instructions": instructions, "operators": summed}
    return found | {"calls": summed["operators"], "products": operators[0]["products"]}
