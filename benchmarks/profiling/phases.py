"""The phases of a call, forward and in training backward, as things to call; and what the network does in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.measuring.measure import Subject

PROJECTION, RECURRENCE, OUTPUT = "input projection", "recurrence", "output"
"""What the network does: x @ w_ih.T; the state from the one before; what joins states. Backward, their gradients."""


def is_torch(subject: Subject) -> bool:
    """Whether arrays are PyTorch's tensors."""
    return type(subject.x).__module__ == "torch"


def phases_of(subject: Subject) -> dict[str, Callable[[], object]]:
    """{name: what is called} of the phases on all steps, in their order."""
    return _phases(subject, subject.x, subject.dy, subject.dh_n)


def call_of(phases: Mapping[str, Callable[[], object]]) -> Callable[[], None]:
    """All phases of a call, one after another."""

    def call() -> None:
        for phase in phases.values():
            phase()

    return call


def _phases(subject: Subject, x: Any, dy: Any, dh_n: Any) -> dict[str, Callable[[], object]]:
    rnn = subject.rnn
    if subject.workload.mode == "inference":

        def infer() -> None:
            rnn.forward(x)
            rnn.synchronize()

        return {"forward": infer}
    pullbacks: list[Callable[[Any, Any], object]] = []

    def forward() -> None:
        pullbacks.append(rnn.vjp(x)[2])
        rnn.synchronize()

    def backward() -> None:
        pullbacks.pop()(dy, dh_n)
        rnn.synchronize()

    return {"forward": forward, "backward": backward}


def prefix_phases(subject: Subject, steps: int) -> dict[str, Callable[[], object]]:
    """The phases on the first steps alone, called once already."""
    inputs = subject.inputs.prefix(min(steps, subject.workload.T))
    arrays = [None if each is None else subject.rnn.from_numpy(each) for each in (inputs.x, inputs.dy, inputs.dh_n)]
    phases = _phases(subject, *arrays)
    call_of(phases)()
    return phases
