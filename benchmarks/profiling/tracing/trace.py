"""The trace of a case: what PyTorch's profiler, Python's interpreter and looks at calls say of its course."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

from benchmarks.measuring.measure import Subject
from benchmarks.profiling.call_phases import is_torch, phases_of, prefix_phases
from benchmarks.profiling.sampling.sampler import Sampler
from benchmarks.profiling.tracing.chrome import Event
from benchmarks.profiling.tracing.native_phases import PhaseCode, code_of_phases, phase_of
from benchmarks.profiling.tracing.python_trace import python_tracks
from benchmarks.profiling.tracing.sampled_trace import look_at_calls, looks_tracks
from benchmarks.profiling.tracing.torch_phases import Operator, StepOrder, watch
from benchmarks.profiling.tracing.torch_trace import torch_tracks, trace_calls
from rnnimpl.native.build import Library

TRACED_STEPS = 16
"""Time steps of the calls that are followed one by one, at most: a trace stays small enough to open."""
CALLS = 2
LOOKED_SECONDS = 0.4
LOOKED_INTERVAL_SECONDS = 0.25e-3
"""Looks are denser here than in the breakdown, whose times they are not to disturb."""


def trace(subject: Subject) -> tuple[list[Event], list[str]]:
    """The events of the trace, and in sentences what it cannot tell."""
    steps = min(TRACED_STEPS, subject.workload.T)
    short = prefix_phases(subject, steps)
    if is_torch(subject):
        operators, unseen = _operators(subject, short)
        order = StepOrder(steps, subject.workload.config.num_stacked)
        events, untold = torch_tracks(trace_calls(short, CALLS), operators, order)
        untold = [unseen] if unseen else untold
    else:
        events, untold = python_tracks(short, _median_seconds(short))
    sampler = Sampler(LOOKED_INTERVAL_SECONDS)
    code = _native_code(subject)
    sampler.callers([(each.begin, each.end) for each in code])
    courses = look_at_calls(phases_of(subject), sampler, LOOKED_SECONDS)
    return events + looks_tracks(courses, lambda look: phase_of(look, code)), [] if code else untold


def _operators(subject: Subject, phases: Mapping[str, Callable[[], object]]) -> tuple[list[Operator], str]:
    """The operators of one forward pass; none where they cannot be seen, and in a sentence why."""
    try:
        found = watch(phases["forward"], getattr(subject.rnn, "weights", {}), subject.call.x)
    except RuntimeError as error:
        # torch.compile refuses to run while operators are watched.
        reason = str(error).partition("\n")[0]
        return [], f"What its operators read cannot be seen ({reason}): no phases are marked."
    if "backward" in phases:
        phases["backward"]()
    return found, ""


def _native_code(subject: Subject) -> list[PhaseCode]:
    """The phases of our own C++; none for any other code."""
    library = getattr(subject.rnn, "library", None)
    return code_of_phases(library.path) if isinstance(library, Library) else []


def _median_seconds(phases: Mapping[str, Callable[[], object]], calls: int = 20) -> float:
    """What a call of all phases takes."""
    taken = []
    for _ in range(calls):
        start = time.perf_counter()
        for phase in phases.values():
            phase()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)
