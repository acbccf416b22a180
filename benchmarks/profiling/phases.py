"""The phases of a call, forward and in training backward, as things to call; and what the network does in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from benchmarks.measuring.call import Call
from benchmarks.measuring.measure import Subject

PROJECTION, RECURRENCE, GATES, OUTPUT = "input projection", "recurrence", "gates", "output"
"""What the network does: x @ w_ih.T; h @ w_hh.T; the sums and functions that make the next state of both, of a plain
RNN its tanh or relu; what joins outputs. Backward, their gradients."""
LAYERS = "whole layers"
"""What is one call of compiled code a layer, in which none of these is told apart."""


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
