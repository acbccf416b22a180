"""The passes of a call, forward and in training backward: functions without arguments, and their seconds."""

from __future__ import annotations

import ctypes
import itertools
import statistics
import time
from collections.abc import Callable, Mapping, Sequence

from benchmarks.measuring.calls.call import Call
from benchmarks.measuring.calls.timing import Clock
from benchmarks.measuring.measure import Subject

FORWARD = 1
BACKWARD = 2
"""The numbers of the passes in samples and records; 0 is the time between calls."""
UNSAMPLED = ctypes.c_int32()
"""The place for the number of the present pass in calls that no sampler watches: nobody reads it."""


def is_torch(subject: Subject) -> bool:
    """Whether the case's arrays are PyTorch's tensors."""
    return type(subject.call.x).__module__ == "torch"


def passes_of(subject: Subject) -> dict[str, Callable[[], object]]:
    """{name: function} of a call's passes on all steps, in their order."""
    return subject.call.passes()


def call_of(passes: Mapping[str, Callable[[], object]]) -> Callable[[], None]:
    """A function that runs all passes of a call, one after another."""

    def call() -> None:
        for each in passes.values():
            each()

    return call


def prefix_passes(subject: Subject, steps: int) -> dict[str, Callable[[], object]]:
    """The passes of a call on its first `steps` steps alone, warmed up by one call."""
    inputs = subject.inputs.prefix(min(steps, subject.workload.T))
    passes = Call.of(subject.rnn, inputs.x, inputs.dy, inputs.dstate_n).passes()
    call_of(passes)()
    return passes


def pass_seconds(
    passes: Sequence[Callable[[], object]], current: ctypes.c_int32 = UNSAMPLED, clock: Clock = time.perf_counter
) -> tuple[float, float]:
    """Make one call; the seconds of its forward and of its backward pass, 0 without one.

    `current` has the number of the pass while it runs, for a sampler that reads it there, and 0 after the call.
    """
    times = [clock()]
    for number, each in enumerate(passes, start=FORWARD):
        current.value = number
        each()
        times.append(clock())
    current.value = 0
    seconds = [end - begin for begin, end in itertools.pairwise(times)]
    return seconds[0], seconds[1] if len(seconds) == BACKWARD else 0.0


def median_seconds(passes: Mapping[str, Callable[[], object]], calls: int = 20) -> float:
    """The median seconds of calls."""
    functions = tuple(passes.values())
    return statistics.median(sum(pass_seconds(functions)) for _ in range(calls))
