"""Traces by PyTorch's profiler: phases by the weights that operators read, and time steps by recurrent products."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.profiling.call_passes import prefix_passes
from benchmarks.profiling.tracing.chrome import Event, Slice
from benchmarks.profiling.tracing.torch_phases import Operator, StepOrder, mark_forward, record_operators
from benchmarks.profiling.tracing.torch_trace import operators_within, torch_tracks, trace_calls
from tests.traces import CELLS, L, T, names, subject, tracks


def torch_marks(name: str, mode: str, **fields: Any) -> tuple[dict[str, list[Slice]], list[str]]:
    """The tracks of one call by PyTorch's profiler, and the limitations of its trace."""
    pytest.importorskip("torch")
    case = subject(name, mode, **fields)
    passes = prefix_passes(case, T)
    weights = case.rnn.weights  # type: ignore[attr-defined]  # a TorchRnn has them
    operators = record_operators(passes["forward"], weights, case.call.x)
    if mode == "training":
        passes["backward"]()
        for each in passes.values():
            each()
    events, limitations = torch_tracks(trace_calls(passes, calls=1), operators, StepOrder(T, L))
    return tracks(events, 1), limitations


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("name", ["torch_loop", "torchscript_loop", "torch_hoisted", "nn_rnn"])
def test_phases_of_pytorch_follow_from_the_weights_that_operators_read(name: str, cell: str) -> None:
    """Input and hidden weights have the same shape here. A projection is made in each step, or before all steps.

    A step is one slice however many functions its gates have. In float64 `nn.LSTM` is no call of oneDNN.
    """
    found, limitations = torch_marks(name, "inference", cell=cell, dtype="float64")
    assert limitations == []
    each_projects = name in ("torch_loop", "torchscript_loop")
    if each_projects:
        of_layer = T * ["input projection", "recurrence", "gates"] + ["output"]
    else:
        of_layer = ["input projection", *(T * ["recurrence", "gates"]), "output"]
    assert names(found["phases"]) == L * of_layer
    assert names(found["time steps"]) == [f"step {t}, layer {layer}" for layer in (1, 2) for t in (1, 2, 3)]
    gates = [each for each in found["phases"] if each.name == "gates"]
    assert all(any(own.start < step.end <= own.end for own in gates) for step in found["time steps"])
    # A step begins with its projection where it has one.
    begins = [each for each in found["phases"] if each.name == of_layer[0 if each_projects else 1]]
    assert all(any(own.start <= step.start < own.end for own in begins) for step in found["time steps"])


@pytest.mark.parametrize("mode", ["inference", "training"])
def test_a_layer_that_is_one_call_is_marked_as_a_whole(mode: str) -> None:
    """In float32 `nn.LSTM` is a call of oneDNN for each layer: no phases within it, no time steps, and a limitation."""
    torch = pytest.importorskip("torch")
    if not torch.backends.mkldnn.is_available():
        pytest.skip("this build of PyTorch has no oneDNN")
    found, limitations = torch_marks("nn_rnn", mode, cell="lstm")
    assert len(limitations) == 1
    assert limitations[0].startswith("mkldnn_rnn_layer ")
    forward = ["whole layers", "output"]
    assert names(found["phases"]) == forward + (forward[::-1] if mode == "training" else [])
    assert "time steps" not in found


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("name", ["torch_loop", "torch_hoisted", "nn_rnn"])
def test_a_backward_pass_is_marked_by_the_operators_of_its_forward_pass(name: str, cell: str) -> None:
    """Steps run from the last one of the last layer to the first. A step has its projection where it makes one."""
    found, limitations = torch_marks(name, "training", cell=cell, dtype="float64")
    assert limitations == []
    forward, backward = (each for each in found["calls"] if not each.name.startswith("call "))
    assert (forward.name, backward.name) == ("forward", "backward")
    steps = [each for each in found["time steps"] if each.start >= backward.start]
    assert names(steps) == [f"step {t}, layer {layer}" for layer in (2, 1) for t in (3, 2, 1)]
    phases = [each for each in found["phases"] if each.start >= backward.start]
    assert names(phases)[:3] == ["output", "gates", "recurrence"]
    assert set(names(phases)) == {"output", "gates", "recurrence", "input projection"}
    assert all(each.end <= backward.end + 0.01 for each in phases)
    projections = [each for each in phases if each.name == "input projection"]
    # The middle of a slice, as neighbouring slices overlap by rounding.
    middles = [(each.start + each.end) / 2 for each in projections]
    within = [any(step.start < middle < step.end for step in steps) for middle in middles]
    assert within == (T * L if name == "torch_loop" else L) * [name == "torch_loop"]


def test_a_pass_has_the_operators_of_its_own_time_and_thread() -> None:
    """Operators of another call or thread are not in it, nor events that are no operators of the host."""
    forward: Event = {"name": "forward", "cat": "user_annotation", "ts": 10.0, "dur": 5.0, "tid": 1}
    own: Event = {"name": "aten::mm", "cat": "cpu_op", "ts": 12.0, "dur": 1.0, "tid": 1}
    others = [own | {"ts": 2.0}, own | {"ts": 16.0}, own | {"tid": 2}, own | {"cat": "kernel"}]
    assert operators_within([*others, own], forward) == [own]


PROJECTS, RECURS = (Operator("aten::mm", frozenset({name})) for name in ("w_ih", "w_hh"))
SQUASHES = Operator("aten::tanh", frozenset())


def in_order(*operators: Operator) -> list[Event]:
    """Events of these operators, one after another."""
    return [{"name": each.name, "ts": float(at), "dur": 1.0, "args": {}} for at, each in enumerate(operators)]


def test_operators_that_differ_from_the_recorded_ones_mark_no_phase() -> None:
    """The marks have a limitation."""
    event = {"name": "aten::mm", "ts": 0.0, "dur": 1.0, "args": {}}
    marks = mark_forward([Operator("aten::addmm", frozenset({"w_ih"}))], [event], StepOrder(1, 1))
    assert not marks.phases
    assert marks.limitation


def test_a_product_that_was_not_recorded_leaves_the_trace_without_phases() -> None:
    """The recorded operators are among the events in order, but which product was not recorded is not known."""
    assert not mark_forward([PROJECTS, RECURS], in_order(PROJECTS, RECURS, RECURS), StepOrder(1, 1)).phases


def test_several_functions_and_products_of_a_step_are_one_step() -> None:
    """Each of two steps has a product for each of two gates, and two functions."""
    operators = [PROJECTS, *(2 * [RECURS, RECURS, SQUASHES, SQUASHES])]
    marks = mark_forward(operators, in_order(*operators), StepOrder(2, 1))
    assert marks.steps == [Slice("step 1", 1.0, 5.0), Slice("step 2", 5.0, 9.0)]
    assert names(marks.phases) == ["input projection", *(2 * ["recurrence", "gates"])]


def test_products_that_are_no_whole_number_of_steps_mark_no_step() -> None:
    """One recurrent product for two layers: phases are marked, and the limitation names the numbers."""
    operators = [PROJECTS, RECURS, SQUASHES]
    marks = mark_forward(operators, in_order(*operators), StepOrder(1, 2))
    assert names(marks.phases) == ["input projection", "recurrence", "gates"]
    assert not marks.steps
    assert "1 recurrent products" in marks.limitation
    assert "2 layers" in marks.limitation


def test_weights_that_were_copied_leave_no_phase_to_mark() -> None:
    """An implementation that packs its weights reads others than those that it was given."""
    marks = mark_forward([RECURS], in_order(RECURS), StepOrder(1, 1))
    assert not marks.phases
    assert marks.limitation
