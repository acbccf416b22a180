"""One prepared case in passes of their own: counts, a trace, and stacks. Nothing of the breakdown comes from here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.measuring.measure import Subject
from benchmarks.profiling import counters
from benchmarks.profiling.bytecodes import count_bytecodes
from benchmarks.profiling.flame import native_stacks, python_stacks, speedscope
from benchmarks.profiling.operators import count_operators, write_compressed, write_trace

PHASES: Mapping[str, str] = {"1": "forward", "2": "backward"}
TRACED_STEPS = 16
"""Time steps of the calls in a trace, at most: it stays small enough to open."""
COUNTED_STEPS = 2048
"""Time steps beyond which operators are not counted: the profiler keeps each of them in memory."""
COUNTED_CALLS = 5
"""Calls that hardware counters count over."""
FLAME_SECONDS = 0.5


def dissect(subject: Subject, folder: Path, stem: str, looks: Mapping[str, Any]) -> dict[str, Any]:
    """Counts of a call, and in a folder `STEM.trace.json.gz` and `STEM.speedscope.json.gz`.

    Operators and the trace are there where arrays are PyTorch's tensors. `looks` are the phases of `observe`.
    """
    call = _call(subject, subject.x, subject.dy, subject.dh_n)
    counted, reason = counters.count(call, COUNTED_CALLS)
    found: dict[str, Any] = {
        "threads": sum(1 for _ in counters.TASKS.iterdir()),
        "counters": counted,
        "counters_reason": reason,
        "bytecodes": count_bytecodes(call),
        "operators": None,
    }
    stacks = python_stacks(call, FLAME_SECONDS)
    native = native_stacks(looks, PHASES)
    profiles = [("Python, main thread", "seconds", stacks), ("all threads, by kind and function", "none", native)]
    write_compressed(speedscope(stem, profiles), folder / f"{stem}.speedscope.json.gz")
    if type(subject.x).__module__ == "torch":
        if subject.workload.T <= COUNTED_STEPS:
            found["operators"] = count_operators(call)
        write_trace(_short_phases(subject), folder / f"{stem}.trace.json.gz")
    return found


def _call(subject: Subject, x: Any, dy: Any, dh_n: Any) -> Callable[[], object]:
    phases = _phases(subject, x, dy, dh_n)

    def call() -> None:
        for phase in phases.values():
            phase()

    return call


def _phases(subject: Subject, x: Any, dy: Any, dh_n: Any) -> dict[str, Callable[[], object]]:
    """{name: what is called} of a call's phases, in their order."""
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


def _short_phases(subject: Subject) -> dict[str, Callable[[], object]]:
    """The phases on the first steps alone, called once already."""
    inputs = subject.inputs.prefix(min(TRACED_STEPS, subject.workload.T))
    arrays = [None if each is None else subject.rnn.from_numpy(each) for each in (inputs.x, inputs.dy, inputs.dh_n)]
    _call(subject, *arrays)()
    return _phases(subject, *arrays)
