"""The trace of a case, put together from PyTorch's profiler or Python's interpreter, and from samples of many calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from benchmarks.measuring.measure import Subject
from benchmarks.profiling.call_passes import is_torch, median_seconds, passes_of, prefix_passes
from benchmarks.profiling.sampling.sampler import Sampler
from benchmarks.profiling.tracing.chrome import Event
from benchmarks.profiling.tracing.native_phases import PhaseCode, code_of_phases, phase_of
from benchmarks.profiling.tracing.python_trace import python_tracks
from benchmarks.profiling.tracing.sampled_trace import sample_calls, sampled_tracks
from benchmarks.profiling.tracing.torch_phases import Operator, StepOrder, record_operators
from benchmarks.profiling.tracing.torch_trace import torch_tracks, trace_calls
from rnnimpl.native.build import Library

TRACED_STEPS = 16
"""The most time steps of a call that is traced event by event: the trace stays small enough to open."""
CALLS = 2
SAMPLED_SECONDS = 0.4
SAMPLE_INTERVAL_SECONDS = 0.25e-3
"""The mean interval between samples, shorter than in a profile: no times are taken from these calls."""


def trace(subject: Subject) -> tuple[list[Event], list[str]]:
    """The events of the trace, and sentences on what it does not show."""
    steps = min(TRACED_STEPS, subject.workload.T)
    short = prefix_passes(subject, steps)
    if is_torch(subject):
        operators, reason = _operators(subject, short)
        order = StepOrder(steps, subject.workload.config.num_stacked)
        events, limitations = torch_tracks(trace_calls(short, CALLS), operators, order)
        limitations = [reason] if reason else limitations
    else:
        events, limitations = python_tracks(short, median_seconds(short))
    sampler = Sampler(SAMPLE_INTERVAL_SECONDS)
    code = _native_code(subject)
    sampler.callers([(each.begin, each.end) for each in code])
    overlays = sample_calls(passes_of(subject), sampler, SAMPLED_SECONDS)
    return events + sampled_tracks(overlays, lambda sample: phase_of(sample, code)), [] if code else limitations


def _operators(subject: Subject, passes: Mapping[str, Callable[[], object]]) -> tuple[list[Operator], str]:
    """The operators of one forward pass; none where they cannot be recorded, and a sentence that says why."""
    try:
        found = record_operators(passes["forward"], getattr(subject.rnn, "weights", {}), subject.call.x)
    except RuntimeError as error:
        # torch.compile refuses to run while operators are recorded.
        reason = str(error).partition("\n")[0]
        return [], f"What its operators read cannot be recorded ({reason}): no phases are marked."
    if "backward" in passes:
        passes["backward"]()
    return found, ""


def _native_code(subject: Subject) -> list[PhaseCode]:
    """The code of the phases of `fused_cpu`; none for any other implementation."""
    library = getattr(subject.rnn, "library", None)
    return code_of_phases(library.path) if isinstance(library, Library) else []
