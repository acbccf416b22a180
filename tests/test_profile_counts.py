"""The counts of a call: hardware events, operators, instructions of Python, bytes, and the marginal cost of a step."""

from __future__ import annotations

import errno
import gc
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
from benchmarks.profiling.counting.counters import EVENTS, HardwareEvent
from benchmarks.profiling.counting.instructions import count_allocated, count_instructions
from benchmarks.profiling.reporting.counts import count_reasons, counts_frame, counts_table
from benchmarks.workload import Workload
from rnnimpl import Unavailable, load

CASE = "torch_loop/cpu/inference/T8-B2-I4-H4-L1-tanh-float32"


@pytest.mark.parametrize(
    ("number", "said"), [(errno.EACCES, "not allowed here"), (errno.ENOENT, "offers no hardware counters")]
)
def test_counters_that_cannot_be_opened_have_a_reason(number: int, said: str) -> None:
    """Without a counter nothing is called."""

    def refuse(_: HardwareEvent, __: int) -> int:
        raise OSError(number, os.strerror(number))

    def call() -> None:
        raise AssertionError("called without a counter")

    counted, reason = counters.count_events(call, 3, refuse)
    assert counted == {}
    assert said in reason


def test_hardware_events_are_those_of_one_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The events of all threads, divided by the number of calls."""
    monkeypatch.setattr("fcntl.ioctl", lambda *_: None)
    monkeypatch.setattr(counters, "TASKS", tmp_path / "task")
    for thread in ("1", "2"):
        (tmp_path / "task" / thread).mkdir(parents=True)
    counter = tmp_path / "counter"
    counter.write_bytes(struct.pack("<Q", 30))
    calls: list[int] = []
    counted, reason = counters.count_events(lambda: calls.append(1), 3, lambda *_: os.open(counter, os.O_RDONLY))
    assert counted == dict.fromkeys(EVENTS, 20.0)
    assert len(calls) == 3
    assert not reason


def test_operator_calls_are_those_outside_of_other_operators() -> None:
    """A linear layer is one call; the operators within it count among all operators, their arrays in bytes."""
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
    """The number of products shows for every cell whether the projection is hoisted."""
    workload = Workload(mode="inference", T=8, B=2, I=4, H=4, cell=cell)
    counted = call_counts.count_call(Subject(load(name), workload, clock=time.perf_counter))
    assert counted["marginal_step"]["products"] == products


def counted(**changed: Any) -> dict[str, Any]:
    """The counts of a call of which only instructions and threads are known."""
    counts = {"threads": 1, "counters": {}, "counters_reason": "", "operators": None, "allocated_bytes": None}
    counts |= {"instructions": {"bytecodes": 800, "operations": 160, "products": 0}, "marginal_step": None}
    return counts | changed


def record(counts: dict[str, Any], case: str = CASE) -> dict[str, Any]:
    """A record with these counts."""
    passes = {"1": {"computing_threads": 1.5}}
    return {"case": case, "peak_bytes": 2048, "context_switches": 3.0, "passes": passes, "counts": counts}


def test_counts_are_divided_by_the_steps() -> None:
    """Operators, operations and bytes; a count that is not known is empty in the frame, and no column of the table."""
    operators = {"operator_calls": 40, "operators": 80, "allocated_bytes": 8 * 1024}
    marginal = {"calls": 9.0, "products": 2.0, "fixed_time_share": 0.25}
    frame = counts_frame([record(counted(operators=operators, allocated_bytes=8 * 1024, marginal_step=marginal))])
    row = frame.iloc[0]
    assert (row["operator_calls_per_step"], row["operators_per_step"], row["allocated_bytes_per_step"]) == (5, 10, 1024)
    assert (row["bytecodes_per_step"], row["operations_per_step"], row["marginal_calls_per_step"]) == (100, 20, 9)
    assert row[["instructions", "cycles", "cache_misses"]].isna().all()
    shown = counts_table(frame)
    assert "1.00 KiB" in shown
    assert "25 %" in shown
    assert "cache misses" not in shown


def test_computing_threads_are_the_median_over_repeats_of_the_busier_pass() -> None:
    """1.5 and 0.5 in the passes of the first repeat, 1.0 and 0.9 in the others: the median is 1.0."""
    first = record(counted()) | {"passes": {"1": {"computing_threads": 1.5}, "2": {"computing_threads": 0.5}}}
    others = [{"case": CASE, "passes": {"1": {"computing_threads": number}}} for number in (1.0, 0.9)]
    (row,) = counts_frame([first, *others]).to_dict("records")
    assert row["threads_computing"] == 1.0


def test_launches_are_divided_by_the_steps() -> None:
    (row,) = counts_frame([record(counted()) | {"launches": 16}]).to_dict("records")
    assert row["launches_per_step"] == 2.0


def test_a_case_that_was_not_counted_says_why() -> None:
    """A case without counts is in no table; a reason that several cases share stands there once."""
    failed = record({"status": "failed", "reason": "RuntimeError: no profiler"})
    none = record(counted(counters_reason="no counters here", allocated_bytes=0))
    assert len(counts_frame([failed, none])) == 1
    reasons = count_reasons([failed, none, none])
    assert len(reasons) == 2
    assert "no profiler" in reasons[0]
    assert reasons[1] == "- No counters here."


def test_work_and_memory_of_compiled_code_are_reported_as_not_counted() -> None:
    """Implementations without marginal calls, and those whose memory no allocator reports, have a reason each."""
    marginal = {"calls": 0.0, "products": 0.0, "fixed_time_share": 0.1}
    engine = record(counted(marginal_step=marginal), CASE.replace("torch_loop", "jax_scan"))
    loop = record(counted(marginal_step=marginal | {"calls": 9.0}, allocated_bytes=8), CASE)
    reasons = count_reasons([engine, engine, loop])
    assert len(reasons) == 2
    assert all("`jax_scan`" in reason and "`torch_loop`" not in reason for reason in reasons)


@pytest.mark.parametrize("name", ["numpy_loop", "torch_loop"])
def test_the_marginal_step_is_the_difference_to_a_call_of_half_as_many(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five steps against two: two products forward a step. Three further steps take 3 s of 10 s, so five take half."""
    workload = Workload(mode="training", T=5, B=1, I=4, H=4)
    try:
        case = Subject(load(name), workload, clock=time.perf_counter)
    except Unavailable as missing:
        pytest.skip(str(missing))
    monkeypatch.setattr(call_counts, "timed_in_turns", lambda *_: [(10.0, 7.0)])
    marginal = call_counts.count_call(case)["marginal_step"]
    assert marginal["products"] == 2.0
    assert marginal["calls"] > 2.0
    assert marginal["fixed_time_share"] == pytest.approx(0.5)


def test_the_interpreters_instructions_are_counted() -> None:
    """Twice the iterations of a loop are twice the instructions beyond those of the call itself."""

    def loop(number: int) -> Callable[[], int]:
        return lambda: sum(each for each in range(number))

    none, ten, twenty = (count_instructions(loop(number)).bytecodes for number in (0, 10, 20))
    assert twenty - ten == ten - none > 10


def test_a_garbage_collection_is_not_part_of_a_traced_call() -> None:
    """Callbacks of a collection would add instructions, and end a trace's frames: it is off within the call alone."""
    collections = []

    def call() -> list[list[None]]:
        return [[None] for _ in range(500)]

    expected = count_instructions(call)
    before = gc.get_threshold()

    def note(phase: str, _: object) -> None:
        collections.append(phase)

    gc.callbacks.append(note)
    gc.set_threshold(1, 1, 1)
    try:
        assert count_instructions(call) == expected
        assert gc.isenabled()
        collections.clear()
        call()
        assert collections
    finally:
        gc.callbacks.remove(note)
        gc.set_threshold(*before)


def test_operations_and_products_are_counted_by_their_instructions() -> None:
    """Each iteration has items, two products, one of them by a function's name, and a sum; the loop itself has none."""
    a = np.ones((3, 4, 4))

    def loop(number: int) -> Callable[[], None]:
        def call() -> None:
            for t in range(number):
                (a[t] @ a[0]) + np.matmul(a[t], a[0])

        return call

    one, three = (count_instructions(loop(number)) for number in (1, 3))
    assert three.products - one.products == 2 * 2
    assert three.operations - one.operations == 2 * 7


def test_allocations_of_python_and_numpy_are_counted_though_they_are_freed() -> None:
    """Three arrays of a megabyte, one after another; a view takes almost nothing."""
    a = np.ones(1 << 17)

    def arrays() -> None:
        for _ in range(3):
            np.empty_like(a)

    def view() -> None:
        a[1:]

    assert count_allocated(arrays) == pytest.approx(3 << 20, rel=0.01)
    assert count_allocated(view) < 10_000
