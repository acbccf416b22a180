"""The passes of a profile beside the breakdown: counters, operators, traces and flame graphs."""

from __future__ import annotations

import errno
import os
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.measuring.measure import Subject
from benchmarks.profiling.counting import call_counts, counters
from benchmarks.profiling.counting.counters import EVENTS, Event
from benchmarks.profiling.counting.instructions import count_allocated, count_instructions
from benchmarks.profiling.reporting.count_tables import count_reasons, counts_frame, counts_table
from benchmarks.profiling.sampling.flame import native_stacks, python_stacks, speedscope
from benchmarks.workload import Workload
from rnnimpl import Unavailable, load

CASE = "torch_loop/cpu/inference/T8-B2-I4-H4-L1-tanh-float32"


@pytest.mark.parametrize(
    ("number", "said"), [(errno.EACCES, "not allowed here"), (errno.ENOENT, "offers no hardware counters")]
)
def test_counters_that_cannot_be_had_are_a_sentence(number: int, said: str) -> None:
    """And nothing is called in vain."""

    def refuse(_: Event, __: int) -> int:
        raise OSError(number, os.strerror(number))

    def call() -> None:
        raise AssertionError("called without a counter")

    counted, reason = counters.count(call, 3, refuse)
    assert counted == {}
    assert said in reason


def test_counters_are_of_one_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What all threads counted over the calls, divided by them."""
    monkeypatch.setattr(counters, "_tell", lambda *_: None)
    monkeypatch.setattr(counters, "TASKS", tmp_path / "task")
    for thread in ("1", "2"):
        (tmp_path / "task" / thread).mkdir(parents=True)
    counter = tmp_path / "counter"
    counter.write_bytes(struct.pack("<Q", 30))
    calls: list[int] = []
    counted, reason = counters.count(lambda: calls.append(1), 3, lambda *_: os.open(counter, os.O_RDONLY))
    assert counted == dict.fromkeys(EVENTS, 20.0)
    assert len(calls) == 3
    assert not reason


def test_operator_calls_are_those_from_outside() -> None:
    """A linear layer is one call; what it calls counts among all operators, and what it takes in bytes."""
    torch = pytest.importorskip("torch")
    from benchmarks.profiling.counting.operators import count_operators

    weights, x = torch.ones(8, 4), torch.ones(2, 4)
    found = count_operators(lambda: torch.tanh(torch.nn.functional.linear(x, weights)))
    assert found["operator_calls"] == 2
    assert found["operators"] > 2
    assert found["products"] == 1
    assert found["allocated_bytes"] >= 2 * 2 * 8 * 4


@pytest.mark.parametrize(
    ("cell", "name", "products"),
    [
        ("lstm", "numpy_loop", 2.0),
        ("gru", "numpy_loop", 2.0),
        ("lstm", "numpy_hoisted", 1.0),
        ("gru", "torch_loop", 2.0),
        ("gru", "nn_rnn", 1.0),
    ],
)
def test_all_gates_of_a_step_are_one_product(cell: Any, name: str, products: float) -> None:
    """So that a hoisted projection is told from one in each step whatever the cell."""
    workload = Workload(mode="inference", T=8, B=2, I=4, H=4, cell=cell)
    counted = call_counts.count_call(Subject(load(name), workload, clock=time.perf_counter))
    assert counted["further_step"]["products"] == products


def test_python_stacks_are_those_of_the_call_and_add_up_to_its_time() -> None:
    """From the frame of the call on; the profiler's own frames are not in them."""

    def spin() -> None:
        end = time.perf_counter() + 0.02
        while time.perf_counter() < end:
            pass

    stacks = python_stacks(spin, 0.1)
    assert 0.05 < sum(stacks.values()) < 10
    spun = sum(weight for stack, weight in stacks.items() if ".spin (test_profile_passes.py" in stack[0])
    assert spun > 0.5 * sum(stacks.values())


def test_a_speedscope_file_shares_its_frames() -> None:
    """As its schema asks: stacks of indices, a weight each, an end that is their sum."""
    shown = speedscope("x", [("a", "seconds", {("f", "g"): 2.0, ("f",): 1.0}), ("b", "none", {("g",): 3.0})])
    names = [frame["name"] for frame in shown["shared"]["frames"]]
    first, second = shown["profiles"]
    assert [[names[at] for at in stack] for stack in first["samples"]] == [["f"], ["f", "g"]]
    assert first["weights"] == [1.0, 2.0]
    assert first["endValue"] == 3.0
    assert [[names[at] for at in stack] for stack in second["samples"]] == [["g"]]


def test_looks_become_stacks_of_phase_kind_library_and_function() -> None:
    """What has no name says so."""
    stacks = native_stacks({"1": {"functions": [["engine", "libx.so", "", 4]]}}, {"1": "forward"})
    assert stacks == {("forward", "compiled code, not told apart", "libx.so", "not named"): 4.0}


def counted(**changed: Any) -> dict[str, Any]:
    """What `dissect` counts of a call that it can count nothing special of."""
    counts = {"threads": 1, "counters": {}, "counters_reason": "", "operators": None, "allocated_bytes": None}
    counts |= {"instructions": {"bytecodes": 800, "operations": 160, "products": 0}, "further_step": None}
    return counts | changed


def record(counts: dict[str, Any], case: str = CASE) -> dict[str, Any]:
    """A repeat with what was counted."""
    looks = {"1": {"computing_threads": 1.5}}
    return {"case": case, "peak_bytes": 2048, "context_switches": 3.0, "phases": looks, "counts": counts}


def test_counts_are_told_per_step() -> None:
    """Operators, operations and bytes over T; what was not counted stays empty, and out of the table."""
    operators = {"operator_calls": 40, "operators": 80, "allocated_bytes": 8 * 1024}
    further = {"calls": 9.0, "products": 2.0, "share_of_no_step": 0.25}
    frame = counts_frame([record(counted(operators=operators, allocated_bytes=8 * 1024, further_step=further))])
    row = frame.iloc[0]
    assert (row["operator_calls_per_step"], row["operators_per_step"], row["allocated_bytes_per_step"]) == (5, 10, 1024)
    assert (row["bytecodes_per_step"], row["operations_per_step"], row["calls_of_further_step"]) == (100, 20, 9)
    assert row[["instructions", "cycles", "cache_misses"]].isna().all()
    shown = counts_table(frame)
    assert "1.00 KiB" in shown
    assert "25 %" in shown
    assert "cache misses" not in shown


def test_threads_that_compute_are_those_of_the_busier_phase_in_the_median_of_the_repeats() -> None:
    """One and a half forward, half a one backward; one, and a third repeat with less."""
    first = record(counted()) | {"phases": {"1": {"computing_threads": 1.5}, "2": {"computing_threads": 0.5}}}
    others = [{"case": CASE, "phases": {"1": {"computing_threads": number}}} for number in (1.0, 0.9)]
    (row,) = counts_frame([first, *others]).to_dict("records")
    assert row["threads_computing"] == 1.0


def test_a_gpu_is_launched_upon_so_often_a_step() -> None:
    (row,) = counts_frame([record(counted()) | {"launches": 16}]).to_dict("records")
    assert row["launches_per_step"] == 2.0


def test_a_case_that_was_not_counted_says_why() -> None:
    """It is in no table; a reason that several share is said once."""
    failed = record({"status": "failed", "reason": "RuntimeError: no profiler"})
    none = record(counted(counters_reason="no counters here", allocated_bytes=0))
    assert len(counts_frame([failed, none])) == 1
    said = count_reasons([failed, none, none])
    assert len(said) == 2
    assert "no profiler" in said[0]
    assert said[1] == "- No counters here."


def test_what_compiled_code_does_within_one_call_is_said_to_be_unknown() -> None:
    """Of the implementations of which a further step adds no call, and of those whose memory no allocator reports."""
    further = {"calls": 0.0, "products": 0.0, "share_of_no_step": 0.1}
    engine = record(counted(further_step=further), CASE.replace("torch_loop", "jax_scan"))
    loop = record(counted(further_step=further | {"calls": 9.0}, allocated_bytes=8), CASE)
    within, allocated = count_reasons([engine, engine, loop])
    assert within.startswith("- Of `jax_scan` all steps are one call into compiled code")
    assert allocated.startswith("- What `jax_scan` allocates")


@pytest.mark.parametrize("name", ["numpy_loop", "torch_loop"])
def test_a_further_step_adds_what_a_call_of_half_as_many_does_not(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two products forward, of five steps against two; of 10 s the three further ones take 3, and all five half."""
    workload = Workload(mode="training", T=5, B=1, I=4, H=4)
    try:
        case = Subject(load(name), workload, clock=time.perf_counter)
    except Unavailable as missing:
        pytest.skip(str(missing))
    monkeypatch.setattr(call_counts, "_seconds", lambda *_: (10.0, 7.0))
    further = call_counts.count_call(case)["further_step"]
    assert further["products"] == 2.0
    assert further["calls"] > 2.0
    assert further["share_of_no_step"] == pytest.approx(0.5)


def test_the_interpreters_instructions_are_counted() -> None:
    """Twice the turns of a loop, twice the instructions beyond those of the call itself."""

    def turns(number: int) -> Callable[[], int]:
        return lambda: sum(turn for turn in range(number))

    none, ten, twenty = (count_instructions(turns(number)).bytecodes for number in (0, 10, 20))
    assert twenty - ten == ten - none > 10


def test_operations_and_products_are_those_that_python_asks_for() -> None:
    """Each turn: an item, two products, one of them by a function's name, and a sum; the loop itself is none."""
    a = np.ones((3, 4, 4))

    def turns(number: int) -> Callable[[], None]:
        def call() -> None:
            for t in range(number):
                (a[t] @ a[0]) + np.matmul(a[t], a[0])

        return call

    one, three = (count_instructions(turns(number)) for number in (1, 3))
    assert three.products - one.products == 2 * 2
    assert three.operations - one.operations == 2 * 7


def test_what_python_and_numpy_take_is_counted_though_it_is_given_back() -> None:
    """Three arrays of a megabyte, one after another; a view takes next to nothing."""
    a = np.ones(1 << 17)

    def arrays() -> None:
        for _ in range(3):
            np.empty_like(a)

    def view() -> None:
        a[1:]

    assert count_allocated(arrays) == pytest.approx(3 << 20, rel=0.01)
    assert count_allocated(view) < 10_000
