"""The phases of a call, forward and in training backward, as functions without arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from benchmarks.measuring.call import Call
from benchmarks.measuring.measure import Subject


def is_torch(subject: Subject) -> bool:
    """Whether the case's arrays are PyTorch's tensors."""
    return type(subject.call.x).__module__ == "torch"


def phases_of(subject: Subject) -> dict[str, Callable[[], object]]:
    """{name: function} of a call's phases on all steps, in their order."""
    return subject.call.phases()


def call_of(phases: Mapping[str, Callable[[], object]]) -> Callable[[], None]:
    """A function that runs all phases of a call, one after another."""

    def call() -> None:
        for phase in phases.values():
            phase()

    return call


def prefix_phases(subject: Subject, steps: int) -> dict[str, Callable[[], object]]:
    """The phases of a call on its first `steps` steps alone, warmed up by one call."""
    inputs = subject.inputs.prefix(min(steps, subject.workload.T))
    phases = Call.of(subject.rnn, inputs.x, inputs.dy, inputs.dstate_n).phases()
    call_of(phases)()
    return phases
