"""The phases of a call, forward and in training backward, as functions without arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from benchmarks.measuring.call import Call
from benchmarks.measuring.measure import Subject


def is_torch(subject: Subject) -> bool:
    """Whether arrays are PyTorch's tensors."""
    return type(subject.call.x).__module__ == "torch"


def phases_of(subject: Subject) -> dict[str, Callable[[], object]]:
    """{name: what is called} of the phases on all steps, in their order."""
    return subject.call.phases()


def call_of(phases: Mapping[str, Callable[[], object]]) -> Callable[[], None]:
    """All phases of a call, one after another."""

    def call() -> None:
        for phase in phases.values():
            phase()

    return call


def prefix_phases(subject: Subject, steps: int) -> dict[str, Callable[[], object]]:
    """The phases on the first steps alone, called once already."""
    inputs = subject.inputs.prefix(min(steps, subject.workload.T))
    phases = Call.of(subject.rnn, inputs.x, inputs.dy, inputs.dstate_n).phases()
    call_of(phases)()
    return phases
