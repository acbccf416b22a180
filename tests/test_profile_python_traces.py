"""Traces by Python's interpreter: phases by the weights in the source, time steps by loops, the cost of recording."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks.profiling.call_passes import prefix_passes
from benchmarks.profiling.tracing import python_trace
from benchmarks.profiling.tracing.chrome import Slice
from benchmarks.profiling.tracing.python_phases import TimedInstruction, mark_steps
from benchmarks.profiling.tracing.python_trace import python_tracks, timed_instructions
from tests.traces import CELLS, L, T, names, subject, tracks


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("name", ["numpy_loop", "numpy_hoisted"])
def test_phases_of_python_follow_from_the_weights_in_its_source(name: str, cell: str) -> None:
    """Each iteration of a layer's loop over time is a step, and operations have their source as names.

    It fails where an implementation names its weights otherwise: `tracing.python_phases` reads these names.
    """
    if name == "numpy_loop":
        of_layer = T * ["input projection", "recurrence", "gates"] + ["output"]
    else:
        of_layer = ["input projection", *(T * ["recurrence", "gates"]), "output"]
    events, limitations = python_tracks(prefix_passes(subject(name, "inference", cell=cell), T), 1.0)
    found = tracks(events, 2)
    assert limitations == []
    assert names(found["phases"]) == L * of_layer
    assert names(found["time steps"]) == [f"step {t}, layer {layer}" for layer in (1, 2) for t in (1, 2, 3)]
    shown = "h @ w.w_hh.T" if name == "numpy_loop" else "np.matmul"
    assert sum(each.startswith(shown) for each in names(found["operations"])) == T * L
    # The operation that reads a step's input belongs to the product that follows in its line.
    inputs = [each for each in found["operations"] if each.name == "x[t]"]
    projections = [each for each in found["phases"] if each.name == "input projection"]
    assert all(any(own.start <= each.start < own.end for own in projections) for each in inputs)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("name", ["numpy_loop", "numpy_hoisted"])
def test_a_backward_loop_in_python_ends_at_its_first_step(name: str, cell: str) -> None:
    """Loops within a step do not count as steps; gradients of the gates are a phase."""
    events, _ = python_tracks(prefix_passes(subject(name, "training", cell=cell), T), 1.0)
    found = tracks(events, 2)
    backward = next(each for each in found["calls"] if each.name == "backward")
    steps = names([each for each in found["time steps"] if each.start >= backward.start])
    assert steps == [f"step {t}, layer {layer}" for layer in (1, 2) for t in (3, 2, 1)]
    phases = names([each for each in found["phases"] if each.start >= backward.start])
    assert set(phases) >= {"input projection", "recurrence", "gates"}
    assert phases.count("gates") >= T * L


def phase_at(found: dict[str, list[Slice]], operation: str) -> str:
    """The phase of the first slice of an operation."""
    own = next(each for each in found["operations"] if each.name.startswith(operation))
    return next(each.name for each in found["phases"] if each.start <= own.start < each.end)


@pytest.mark.parametrize(("cell", "gradient"), [("tanh", "da"), ("lstm", "da"), ("gru", "of_input")])
def test_gradients_of_the_input_weights_are_in_the_projection(cell: str, gradient: str) -> None:
    """The name to which they are added decides; gradients of the gates' sums are in the gates."""
    events, _ = python_tracks(prefix_passes(subject("numpy_loop", "training", cell=cell), T), 1.0)
    found = tracks(events, 2)
    assert phase_at(found, f"dw_ih += {gradient}.T @ x[t]") == "input projection"
    assert phase_at(found, "dy[t]") == "gates"


@pytest.mark.parametrize(
    ("cell", "operation"), [("lstm", "g * i * (1 - i)"), ("gru", "(h_before - n) * z * (1 - z)"), ("tanh", "1 - y * y")]
)
def test_gradients_of_gates_of_all_steps_at_once_are_in_the_gates(cell: str, operation: str) -> None:
    """They come before the loop over time, in the layer's function or in one that it calls."""
    events, _ = python_tracks(prefix_passes(subject("numpy_hoisted", "training", cell=cell), T), 1.0)
    assert phase_at(tracks(events, 2), operation) == "gates"


def test_a_gradient_belongs_to_the_weight_whose_argument_it_is() -> None:
    """The product names no weight itself: it is an argument, `w_hh=da_rows.T @ ...`."""
    events, _ = python_tracks(prefix_passes(subject("numpy_hoisted", "training"), T), 1.0)
    found = tracks(events, 2)
    assert phase_at(found, "state_rows.T @ h_before.reshape") == "recurrence"
    assert phase_at(found, "rows.T @ x.reshape") == "input projection"


def test_recording_an_instruction_takes_no_time_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock advances when it is read, by varying amounts: one operation has all of the remaining time."""
    passed: list[None] = []
    steps = itertools.cycle([1, 7, 1, 2, 1, 30])

    def clock() -> float:
        passed.extend(itertools.repeat(None, next(steps)))
        return float(len(passed))

    def call() -> None:
        started = 1
        ended = started
        passed.extend([None] * ended * 100)

    monkeypatch.setattr(python_trace, "time", SimpleNamespace(perf_counter=clock))
    durations = [each.end - each.start for each in timed_instructions(call)]
    assert max(durations) == pytest.approx(100e6)
    assert sum(durations) == pytest.approx(100e6)


def test_the_fastest_of_a_few_calls_is_drawn_with_how_much_too_long_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls take 5, 3 and 4 seconds, where an unprofiled one takes one and a half."""
    code = subject.__code__
    calls = iter([[TimedInstruction(1, 1, code, 0, 0.0, 1e6 * seconds)] for seconds in (5, 3, 4)])
    monkeypatch.setattr(python_trace, "timed_instructions", lambda _: next(calls))
    events, _ = python_tracks({"forward": lambda: None}, 1.5)
    assert "2.0 times" in events[0]["args"]["name"]


def test_steps_are_the_iterations_of_the_loop_with_the_recurrent_product() -> None:
    """A loop before it counts for nothing."""

    def layer(x: Any, w_ih: Any, w_hh: Any) -> None:
        for _ in range(2):
            pass
        for _ in range(3):
            x @ w_ih + x @ w_hh

    instructions = timed_instructions(lambda: layer(*np.ones((3, 2, 2))))
    assert names(mark_steps(instructions, backwards=False)) == [f"step {t}, layer 1" for t in (1, 2, 3)]


def test_one_call_of_compiled_code_has_no_phases_in_python() -> None:
    """The trace has one limitation."""
    events, limitations = python_tracks({"forward": lambda: sorted(range(3))}, 1.0)
    assert "phases" not in tracks(events, 2)
    assert len(limitations) == 1
