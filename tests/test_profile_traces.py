"""The traces of a profile: Chrome's format, and phases and time steps by what each kind of code tells of itself."""

from __future__ import annotations

import ctypes
import gzip
import itertools
import json
import os
import re
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks.measuring.measure import Subject
from benchmarks.profiling.call_phases import phases_of, prefix_phases
from benchmarks.profiling.sampling.attribution import Look, outcomes
from benchmarks.profiling.sampling.kinds import Kind
from benchmarks.profiling.sampling.sampler import HAS_NO_CORE, SAMPLE, WAITS, Sampler
from benchmarks.profiling.sampling.symbols import Place, places
from benchmarks.profiling.tracing import chrome, python_trace, torch_trace
from benchmarks.profiling.tracing.chrome import Event, Slice, Track, process, write_trace
from benchmarks.profiling.tracing.native_phases import PhaseCode, code_of_phases, phase_of
from benchmarks.profiling.tracing.python_phases import Told, mark_steps
from benchmarks.profiling.tracing.python_trace import follow, python_tracks
from benchmarks.profiling.tracing.sampled_trace import PARTS, Course, lay_together, look_at_calls, looks_tracks
from benchmarks.profiling.tracing.torch_phases import Operator, StepOrder, mark_forward, watch
from benchmarks.profiling.tracing.torch_trace import torch_tracks, trace_calls
from benchmarks.profiling.tracing.trace import LOOKED_INTERVAL_SECONDS, trace
from benchmarks.workload import Workload
from rnnimpl import Unavailable, load
from rnnimpl.native.build import kernels

T, L = 3, 2


def subject(name: str, mode: str, **fields: Any) -> Subject:
    """A small case of two layers, called once."""
    workload = Workload(mode=mode, **{"T": T, "B": 2, "I": 4, "H": 4, "L": L} | fields)  # type: ignore[arg-type]
    try:
        return Subject(load(name), workload, clock=time.perf_counter)
    except Unavailable as missing:
        pytest.skip(str(missing))


def tracks(events: list[Event], number: int) -> dict[str, list[Slice]]:
    """{track: slices} of one group of a trace."""
    own = [each for each in events if each["pid"] == number]
    names = {each["tid"]: each["args"]["name"] for each in own if each["name"] == "thread_name"}
    found: dict[str, list[Slice]] = {name: [] for name in names.values()}
    for each in own:
        if each["ph"] == "X":
            found[names[each["tid"]]].append(Slice(each["name"], each["ts"], each["ts"] + each["dur"]))
    return found


def check_format(document: dict[str, Any]) -> None:
    """As the Trace Event Format asks: what each kind of event must have, and slices of a thread that nest."""
    assert set(document) <= {"traceEvents", "displayTimeUnit", "otherData"}
    assert document["displayTimeUnit"] in ("ms", "ns")
    threads: dict[tuple[int, int], list[tuple[float, float]]] = {}
    for event in document["traceEvents"]:
        assert event["ph"] in ("X", "M", "C")
        assert isinstance(event["name"], str)
        assert event["name"]
        assert type(event["pid"]) is int
        assert type(event["tid"]) is int
        assert event["ts"] >= 0
        if event["ph"] == "X":
            assert event["dur"] >= 0
            threads.setdefault((event["pid"], event["tid"]), []).append((event["ts"], event["ts"] + event["dur"]))
        elif event["ph"] == "M":
            assert event["args"].keys() <= {"name", "sort_index"}
        else:
            assert all(isinstance(value, int | float) for value in event["args"].values())
    for slices in threads.values():
        enclosing: list[float] = []
        for start, end in sorted(slices, key=lambda each: (each[0], -each[1])):
            while enclosing and enclosing[-1] <= start + 0.01:
                enclosing.pop()
            assert not enclosing or end <= enclosing[-1] + 0.01
            enclosing.append(end)


def read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(gzip.decompress(path.read_bytes()))
    return document


def test_a_trace_is_compressed_and_cut_to_what_opens_quickly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The earliest events stay, with all names; the trace says that it was cut."""
    monkeypatch.setattr(chrome, "MOST_EVENTS", 6)
    events = process(1, "a", [Track("b", [Slice(f"s{at}", 10.0 - at, 11.0 - at) for at in range(5)])])
    write_trace(events, tmp_path / "x.gz", ["of a test"])
    document = read(tmp_path / "x.gz")
    check_format(document)
    assert [each["name"] for each in document["traceEvents"] if each["ph"] == "X"] == ["s4", "s3"]
    assert document["otherData"]["notes"] == "of a test cut to 2 of 5 events"


@pytest.mark.parametrize("name", ["torch_loop", "numpy_loop", "fused_cpu"])
@pytest.mark.parametrize("mode", ["inference", "training"])
def test_every_kind_of_implementation_has_a_trace_that_opens(name: str, mode: str, tmp_path: Path) -> None:
    """In Chrome's format, small, with its calls and a part that is laid together from looks; nothing stays untold."""
    events, notes = trace(subject(name, mode))
    assert notes == []
    write_trace(events, tmp_path / "x.gz", notes)
    document = read(tmp_path / "x.gz")
    check_format(document)
    assert (tmp_path / "x.gz").stat().st_size < 100_000
    assert str(Path.home()) not in json.dumps(document)
    calls = {"forward", "backward"} if mode == "training" else {"forward"}
    assert {each.name for each in tracks(events, 3)["calls"]} == calls


def test_code_that_cannot_be_watched_has_a_trace_without_phases(monkeypatch: pytest.MonkeyPatch) -> None:
    """As torch.compile's; the first line of the reason is told, and what was traced stays."""
    pytest.importorskip("torch")

    def refuse(*_: object) -> None:
        raise RuntimeError("no frames\nand many lines more")

    monkeypatch.setattr("benchmarks.profiling.tracing.trace.watch", refuse)
    events, untold = trace(subject("torch_loop", "training"))
    assert untold == ["What its operators read cannot be seen (no frames): no phases are marked."]
    assert "phases" not in tracks(events, 1)
    assert names(tracks(events, 1)["calls"]).count("backward") == 2


def torch_marks(name: str, mode: str, told: Sequence[str] = (), **fields: Any) -> dict[str, list[Slice]]:
    """The tracks of one call by PyTorch's profiler; `told` is what it says that it cannot tell."""
    pytest.importorskip("torch")
    case = subject(name, mode, **fields)
    phases = prefix_phases(case, T)
    operators = watch(phases["forward"], case.rnn.weights, case.call.x)  # type: ignore[attr-defined]  # a TorchRnn has them
    if mode == "training":
        phases["backward"]()
        for phase in phases.values():
            phase()
    events, untold = torch_tracks(trace_calls(phases, calls=1), operators, StepOrder(T, L))
    assert untold == list(told)
    return tracks(events, 1)


def names(slices: list[Slice]) -> list[str]:
    return [each.name for each in slices]


CELLS = ("tanh", "lstm", "gru")


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("name", ["torch_loop", "torchscript_loop", "torch_hoisted", "nn_rnn"])
def test_phases_of_pytorch_follow_from_the_weights_that_operators_read(name: str, cell: str) -> None:
    """Though input and hidden weights have one shape. A projection is in each step, or before all of them.

    A step is one however many functions its gates have. (`nn.LSTM` in float64, where it is no call of oneDNN's.)
    """
    found = torch_marks(name, "inference", cell=cell, dtype="float64")
    each_projects = name in ("torch_loop", "torchscript_loop")
    if each_projects:
        of_layer = T * ["input projection", "recurrence", "gates"] + ["output"]
    else:
        of_layer = ["input projection", *(T * ["recurrence", "gates"]), "output"]
    assert names(found["phases"]) == L * of_layer
    assert names(found["time steps"]) == [f"step {t}, layer {layer}" for layer in (1, 2) for t in (1, 2, 3)]
    gates = [each for each in found["phases"] if each.name == "gates"]
    assert all(any(own.start < step.end <= own.end for own in gates) for step in found["time steps"])
    # A step begins with its projection where it has one of its own.
    begins = [each for each in found["phases"] if each.name == of_layer[0 if each_projects else 1]]
    assert all(any(own.start <= step.start < own.end for own in begins) for step in found["time steps"])


def test_a_layer_that_is_one_call_is_told_so() -> None:
    """As `nn.LSTM` in float32, which is oneDNN's: no phases within it, and no time steps."""
    torch = pytest.importorskip("torch")
    if not torch.backends.mkldnn.is_available():
        pytest.skip("this build of PyTorch has no oneDNN")
    said = "mkldnn_rnn_layer computes a whole layer in one call: its products, gates and time steps are not told apart."
    for mode in ("inference", "training"):
        found = torch_marks("nn_rnn", mode, [said], cell="lstm")
        forward = ["whole layers", "output"]
        assert names(found["phases"]) == forward + (forward[::-1] if mode == "training" else [])
        assert "time steps" not in found


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("name", ["torch_loop", "torch_hoisted", "nn_rnn"])
def test_a_backward_pass_is_marked_by_the_operators_that_it_belongs_to(name: str, cell: str) -> None:
    """From the last step of the last layer to the first; a step has its projection where it has one of its own."""
    found = torch_marks(name, "training", cell=cell, dtype="float64")
    forward, backward = (each for each in found["calls"] if not each.name.startswith("call "))
    assert (forward.name, backward.name) == ("forward", "backward")
    steps = [each for each in found["time steps"] if each.start >= backward.start]
    assert names(steps) == [f"step {t}, layer {layer}" for layer in (2, 1) for t in (3, 2, 1)]
    phases = [each for each in found["phases"] if each.start >= backward.start]
    assert names(phases)[:3] == ["output", "gates", "recurrence"]
    assert set(names(phases)) == {"output", "gates", "recurrence", "input projection"}
    assert all(each.end <= backward.end + 0.01 for each in phases)
    projections = [each for each in phases if each.name == "input projection"]
    # Where one slice ends the next begins, but for rounding.
    middles = [(each.start + each.end) / 2 for each in projections]
    within = [any(step.start < middle < step.end for step in steps) for middle in middles]
    assert within == (T * L if name == "torch_loop" else L) * [name == "torch_loop"]


def test_a_phase_has_the_operators_of_its_own_time_and_thread() -> None:
    """Not those of the call before it, nor of another thread, nor what is no operator of the host's."""
    phase: Event = {"name": "forward", "cat": "user_annotation", "ts": 10.0, "dur": 5.0, "tid": 1}
    own: Event = {"name": "aten::mm", "cat": "cpu_op", "ts": 12.0, "dur": 1.0, "tid": 1}
    others = [own | {"ts": 2.0}, own | {"ts": 16.0}, own | {"tid": 2}, own | {"cat": "kernel"}]
    assert torch_trace._within([*others, own], phase) == [own]  # of the events of a trace


def test_what_was_not_seen_beside_the_trace_is_not_marked() -> None:
    """Operators that differ from those of the trace leave it without phases, and say so."""
    event = {"name": "aten::mm", "ts": 0.0, "dur": 1.0, "args": {}}
    marks = mark_forward([Operator("aten::addmm", frozenset({"w_ih"}))], [event], StepOrder(1, 1))
    assert not marks.phases
    assert "no phases are marked" in marks.untold


def test_a_product_that_was_not_seen_beside_the_trace_leaves_it_without_phases() -> None:
    """Though all that was seen is among the events, in order: which of the products it was nobody can say."""
    assert not mark_forward([PROJECTS, RECURS], in_order(PROJECTS, RECURS, RECURS), StepOrder(1, 1)).phases


def in_order(*operators: Operator) -> list[Event]:
    """Events of these operators, one after another."""
    return [{"name": each.name, "ts": float(at), "dur": 1.0, "args": {}} for at, each in enumerate(operators)]


PROJECTS, RECURS = (Operator("aten::mm", frozenset({name})) for name in ("w_ih", "w_hh"))


SQUASHES = Operator("aten::tanh", frozenset())


def test_several_functions_and_products_of_a_step_are_one_step() -> None:
    """A product a gate and two functions in each of two steps, each of which has its own end."""
    operators = [PROJECTS, *(2 * [RECURS, RECURS, SQUASHES, SQUASHES])]
    marks = mark_forward(operators, in_order(*operators), StepOrder(2, 1))
    assert marks.steps == [Slice("step 1", 1.0, 5.0), Slice("step 2", 5.0, 9.0)]
    assert names(marks.phases) == ["input projection", *(2 * ["recurrence", "gates"])]


def test_products_that_are_no_whole_number_of_steps_mark_none() -> None:
    """Here one for two layers; phases are marked all the same."""
    operators = [PROJECTS, RECURS, SQUASHES]
    marks = mark_forward(operators, in_order(*operators), StepOrder(1, 2))
    assert names(marks.phases) == ["input projection", "recurrence", "gates"]
    assert not marks.steps
    assert "1 recurrent products are not as many in each of 1 time steps of 2 layers" in marks.untold


def test_weights_that_were_copied_leave_no_phase_to_mark() -> None:
    """An implementation that packs its weights reads others than those that it was given."""
    marks = mark_forward([RECURS], in_order(RECURS), StepOrder(1, 1))
    assert not marks.phases
    assert "No operator reads the weights as they were given" in marks.untold


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("name", ["numpy_loop", "numpy_hoisted"])
def test_phases_of_python_follow_from_the_weights_that_its_source_names(name: str, cell: str) -> None:
    """With a step for each turn of a layer's loop over time, and operations as they stand in the source."""
    if name == "numpy_loop":
        of_layer = T * ["input projection", "recurrence", "gates"] + ["output"]
    else:
        of_layer = ["input projection", *(T * ["recurrence", "gates"]), "output"]
    events, untold = python_tracks(prefix_phases(subject(name, "inference", cell=cell), T), 1.0)
    found = tracks(events, 2)
    assert untold == []
    assert names(found["phases"]) == L * of_layer
    assert names(found["time steps"]) == [f"step {t}, layer {layer}" for layer in (1, 2) for t in (1, 2, 3)]
    shown = "h @ w.w_hh.T" if name == "numpy_loop" else "np.matmul"
    assert sum(each.startswith(shown) for each in names(found["operations"])) == T * L
    # What only takes a step's input goes with the product that its line has next.
    taken = [each for each in found["operations"] if each.name == "x[t]"]
    projections = [each for each in found["phases"] if each.name == "input projection"]
    assert all(any(own.start <= each.start < own.end for own in projections) for each in taken)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("name", ["numpy_loop", "numpy_hoisted"])
def test_a_backward_loop_in_python_ends_at_its_first_step(name: str, cell: str) -> None:
    """Whatever loops are within a step; and gradients of the gates are a phase of their own."""
    events, _ = python_tracks(prefix_phases(subject(name, "training", cell=cell), T), 1.0)
    found = tracks(events, 2)
    backward = next(each for each in found["calls"] if each.name == "backward")
    steps = names([each for each in found["time steps"] if each.start >= backward.start])
    assert steps == [f"step {t}, layer {layer}" for layer in (1, 2) for t in (3, 2, 1)]
    phases = names([each for each in found["phases"] if each.start >= backward.start])
    assert set(phases) >= {"input projection", "recurrence", "gates"}
    assert phases.count("gates") >= T * L


def phase_at(found: dict[str, list[Slice]], operation: str) -> str:
    """The phase that the first of an operation's slices lies in."""
    own = next(each for each in found["operations"] if each.name.startswith(operation))
    return next(each.name for each in found["phases"] if each.start <= own.start < each.end)


@pytest.mark.parametrize(("cell", "gradient"), [("tanh", "da"), ("lstm", "da"), ("gru", "of_input")])
def test_gradients_of_the_input_weights_are_of_the_projection(cell: str, gradient: str) -> None:
    """By the name that they are added to; those of the gates' sums are not."""
    events, _ = python_tracks(prefix_phases(subject("numpy_loop", "training", cell=cell), T), 1.0)
    found = tracks(events, 2)
    assert phase_at(found, f"dw_ih += {gradient}.T @ x[t]") == "input projection"
    assert phase_at(found, "dy[t]") == "gates"


@pytest.mark.parametrize(
    ("cell", "operation"), [("lstm", "g * i * (1 - i)"), ("gru", "(h_before - n) * z * (1 - z)"), ("tanh", "1 - y * y")]
)
def test_gradients_of_gates_of_all_steps_at_once_are_of_the_gates(cell: str, operation: str) -> None:
    """Before the loop over time, in the layer itself or in what it calls."""
    events, _ = python_tracks(prefix_phases(subject("numpy_hoisted", "training", cell=cell), T), 1.0)
    assert phase_at(tracks(events, 2), operation) == "gates"


def test_a_gradient_belongs_to_the_weight_whose_argument_it_is() -> None:
    """A product that names no weight itself: `w_hh=da_rows.T @ ...` within a call."""
    events, _ = python_tracks(prefix_phases(subject("numpy_hoisted", "training"), T), 1.0)
    found = tracks(events, 2)
    assert phase_at(found, "state_rows.T @ h_before.reshape") == "recurrence"
    assert phase_at(found, "rows.T @ x.reshape") == "input projection"


def test_being_told_of_an_instruction_takes_no_time_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a clock that moves when it is read, by more and less while the interpreter tells: one call takes the rest."""
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
    taken = [each.end - each.start for each in follow(call)]
    assert max(taken) == pytest.approx(100e6)
    assert sum(taken) == pytest.approx(100e6)


def test_the_quickest_of_a_few_calls_is_drawn_and_how_much_too_long_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 5, 3 and 4 seconds, where a call takes one and a half."""
    code = subject.__code__
    calls = iter([[Told(1, 1, code, 0, 0.0, 1e6 * taken)] for taken in (5, 3, 4)])
    monkeypatch.setattr(python_trace, "follow", lambda _: next(calls))
    events, _ = python_tracks({"forward": lambda: None}, 1.5)
    assert events[0]["args"]["name"].endswith("(2.0 times as long as unprofiled)")


def test_steps_are_the_turns_of_the_longest_loop() -> None:
    """Not of one that comes before it."""

    def layer(x: Any, w_ih: Any, w_hh: Any) -> None:
        for _ in range(2):
            pass
        for _ in range(3):
            x @ w_ih + x @ w_hh

    instructions = follow(lambda: layer(*np.ones((3, 2, 2))))
    assert names(mark_steps(instructions, backwards=False)) == [f"step {t}, layer 1" for t in (1, 2, 3)]


def test_one_call_of_compiled_code_has_no_phases_on_pythons_side() -> None:
    """And a sentence says so."""
    events, untold = python_tracks({"forward": lambda: sorted(range(3))}, 1.0)
    assert "phases" not in tracks(events, 2)
    assert len(untold) == 1


def look(nanoseconds: int, kind: Kind = "products", function: str = "", caller: int = 0) -> Look:
    return Look(1, nanoseconds, caller, (kind, Place("own.so", function)), 1)


def test_looks_at_many_calls_are_laid_over_one_another() -> None:
    """By the part of the call's time, whatever each took; a look between calls belongs to none."""
    course = lay_together("forward", [(0, 1000), (5000, 9000)], [look(505), look(7020), look(3000), look(8990)])
    assert len(course.parts[PARTS // 2]) == 2
    assert sum(map(len, course.parts)) == 3
    assert course.seconds == pytest.approx(2.5e-6)


def test_a_look_before_the_first_call_or_without_a_core_is_in_no_part() -> None:
    """It says nothing of a call."""
    before, without = look(900), look(1500)._replace(outcome=None)
    course = lay_together("forward", [(1000, 2000)], [before, without, look(1500)])
    assert sum(map(len, course.parts)) == 1


def test_parts_of_which_nothing_is_known_are_not_drawn() -> None:
    """Products before and after such a part are two slices."""
    parts: list[list[Look]] = [[] for _ in range(PARTS)]
    parts[0], parts[2] = [look(0)], [look(0)]
    assert names(tracks(looks_tracks([Course("forward", 1e-4, parts)]), 3)["most of the time"]) == 2 * [
        "matrix products"
    ]


def test_what_looks_found_most_is_drawn_and_all_of_it_counted() -> None:
    """Two parts of products, one of waiting; the shares of each are a counter's."""
    parts: list[list[Look]] = [[] for _ in range(PARTS)]
    parts[0], parts[1], parts[2] = [look(0)] * 2 + [look(0, "waiting")], [look(0)], [look(0, "waiting")]
    events = looks_tracks([Course("forward", 1e-4, parts)], lambda each: each.outcome[0] if each.outcome else "")
    found = tracks(events, 3)
    assert events[0]["args"]["name"] == "one call, laid together from 5 looks at calls"
    assert names(found["most of the time"]) == ["matrix products", "waiting"]
    assert found["most of the time"][0].end == pytest.approx(2 * 100 / PARTS)
    assert names(found["phases"]) == ["products", "waiting"]
    first = next(each for each in events if each["ph"] == "C")
    assert (first["args"]["matrix products"], first["args"]["waiting"]) == (66.7, 33.3)


CODE = [PhaseCode("input projection", 100, 200), PhaseCode("recurrence", 300, 400)]


@pytest.mark.parametrize(
    ("function", "caller", "expected"),
    [
        ("_ZN3rnn14multiply_blockIfLi1E", 150, "input projection"),
        ("_ZN3rnn14multiply_blockIfLi1E", 300, "recurrence"),
        ("_ZN3rnn14multiply_blockIfLi1E", 200, ""),
        ("_ZN3rnn14multiply_blockIfLi1E", 0, ""),
        ("_ZN3rnn7ForwardIfNS_4LstmEE7projectERKNS2_4WorkEll", 0, "input projection"),
        ("_ZN3rnn7ForwardIdNS_3GruEE5recurERKNS2_4WorkEll.constprop.0", 0, "recurrence"),
        ("_ZN3rnn8BackwardIfNS_4TanhEE10recur_backERKNS2_4WorkEll", 0, "recurrence"),
        ("_ZN3rnn8BackwardIdNS_4ReluEE14multiply_inputERKNS2_4WorkEi", 0, "input projection"),
        ("_ZN3rnn14WeightProductsIfE3runEbbRKNS_14LayerGradientsIfEE", 150, "gradients of the weights"),
        ("memcpy", 350, "recurrence"),
        ("_PyEval_EvalFrameDefault", 0, ""),
    ],
)
def test_a_look_at_our_kernel_is_in_the_phase_that_it_fell_into_or_was_called_from(
    function: str, caller: int, expected: str
) -> None:
    """By the function itself first."""
    assert phase_of(look(0, "products", function, caller), CODE) == expected


def test_a_look_without_a_core_is_in_no_phase() -> None:
    """Wherever its thread was called from."""
    assert phase_of(look(0, caller=150)._replace(outcome=None), CODE) == ""


@pytest.mark.parametrize(("cell", "dtype"), [("tanh", "float32"), ("lstm", "float32"), ("gru", "float64")])
def test_the_phases_are_found_in_our_kernel(cell: str, dtype: str) -> None:
    """Of both passes, apart from one another: without them no look has a phase."""
    found = code_of_phases(kernels(cell, dtype).path)
    counted = Counter(each.phase for each in found)
    assert counted["input projection"] >= 2
    assert counted["recurrence"] >= 2
    assert counted["gradients of the weights"] >= 1
    spans = sorted((each.begin, each.end) for each in found)
    assert all(begin < end for begin, end in spans)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))


def test_a_look_is_in_the_phase_that_it_was_answered_in() -> None:
    """Though calls are so short that an answer often comes in the next one; and it says what the kernel was at."""
    case = subject("fused_cpu", "training", T=16, I=64, H=64)
    code = code_of_phases(case.rnn.library.path)  # type: ignore[attr-defined]  # a FusedCpu has one
    sampler = Sampler(LOOKED_INTERVAL_SECONDS)
    sampler.callers([(each.begin, each.end) for each in code])
    passes: dict[int, Counter[str]] = {1: Counter(), 2: Counter()}
    products: Counter[str] = Counter()
    until = time.monotonic() + 30
    while min(map(Counter.total, passes.values())) < 100 and time.monotonic() < until:
        sampler.start()
        for _ in range(1000):
            for number, phase in enumerate(phases_of(case).values(), start=1):
                sampler.phase.value = number
                phase()
                sampler.phase.value = 0
        samples = sampler.stop()
        addresses = {int(each) for each in samples["address"]} - {WAITS, HAS_NO_CORE}
        for seen in outcomes(samples, places(addresses), os.getpid()):
            function = seen.outcome[1].function if seen.outcome is not None else ""
            passes[seen.phase] += Counter(re.findall("3rnn[78](Forward|Backward)", function))
            if "multiply_block" in function:
                products[phase_of(seen, code)] += 1
    assert set(passes[1]) == {"Forward"}
    assert set(passes[2]) == {"Backward"}
    assert set(products) >= {"input projection", "recurrence", "gradients of the weights"}
    assert products[""] < products.total() / 20


class Starved:
    """A sampler that never had a core."""

    phase = ctypes.c_int32()

    def start(self) -> None:
        """As the sampler's."""

    def stop(self) -> np.ndarray[tuple[int], np.dtype[np.void]]:
        """No samples."""
        return np.zeros(0, SAMPLE)


def share_of_projection(mode: str, calls: str, **sizes: int) -> float:
    """Of a call of our kernel, among projection and recurrence, as its trace draws them."""
    events, untold = trace(subject("fused_cpu", mode, T=64, B=4, L=1, **sizes))
    assert untold == []
    found = tracks(events, 3)
    call = next(each for each in found["calls"] if each.name == calls)
    own = [each for each in found["phases"] if call.start <= each.start < call.end]
    spans = {name: sum(each.end - each.start for each in own if each.name == name) for name in names(own)}
    both = [spans.get(name, 0.0) for name in ("input projection", "recurrence")]
    return both[0] / sum(both)


@pytest.mark.planted
@pytest.mark.parametrize(
    ("mode", "call"), [("inference", "forward"), ("training", "forward"), ("training", "backward")]
)
def test_our_kernel_projects_apart_from_recurring(mode: str, call: str) -> None:
    """With many input features and few hidden units most of either pass is projection; with few features it is not."""
    many, few = (share_of_projection(mode, call, **sizes) for sizes in ({"I": 512, "H": 32}, {"I": 8, "H": 256}))
    assert many > 0.5 > few


@pytest.mark.planted
def test_gradients_of_the_weights_are_a_phase_of_the_backward_pass() -> None:
    """A third of its operations and more, after the recurrence of a layer."""
    events, _ = trace(subject("fused_cpu", "training", T=64, B=16, I=128, H=128, L=1))
    phases = tracks(events, 3)["phases"]
    assert phases[-1].name == "gradients of the weights"
    assert "recurrence" in names(phases)


def test_a_sampler_that_had_no_core_leaves_a_course_without_looks() -> None:
    """The calls are drawn all the same, one at least; no part of them says anything."""
    calls: list[int] = []
    courses = look_at_calls({"forward": lambda: calls.append(1)}, Starved(), 0.0)  # type: ignore[arg-type]  # in its place
    assert calls == [1]
    found = tracks(looks_tracks(courses), 3)
    assert names(found["calls"]) == ["forward"]
    assert set(found) == {"calls"}
