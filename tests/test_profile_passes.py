"""The passes of a profile beside the breakdown: counters, operators, traces and flame graphs."""

from __future__ import annotations

import errno
import gzip
import json
import os
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.profiling import counters
from benchmarks.profiling.bytecodes import count_bytecodes
from benchmarks.profiling.count_tables import count_reasons, counts_frame, counts_table
from benchmarks.profiling.counters import EVENTS, Event
from benchmarks.profiling.flame import native_stacks, python_stacks, speedscope
from benchmarks.profiling.words import conclusion

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
    from benchmarks.profiling.operators import count_operators

    weights, x = torch.ones(8, 4), torch.ones(2, 4)
    found = count_operators(lambda: torch.tanh(torch.nn.functional.linear(x, weights)))
    assert found["operator_calls"] == 2
    assert found["operators"] > 2
    assert found["allocated_bytes"] >= 2 * 2 * 8 * 4


def test_a_trace_marks_its_phases_and_names_no_machine(tmp_path: Path) -> None:
    """Compressed, in Chrome's format."""
    torch = pytest.importorskip("torch")
    from benchmarks.profiling.operators import write_trace

    ones = torch.ones(2, 2)
    path = tmp_path / "x.trace.json.gz"
    write_trace({"forward": lambda: ones @ ones, "backward": lambda: ones + ones}, path, calls=2)
    trace = json.loads(gzip.decompress(path.read_bytes()))
    marked = [event["name"] for event in trace["traceEvents"] if event.get("cat") == "user_annotation"]
    assert sorted(marked) == ["backward", "backward", "call 1", "call 2", "forward", "forward"]
    assert not {"traceName", "host_name"} & set(trace)


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


def record(counts: dict[str, Any]) -> dict[str, Any]:
    """A repeat with what was counted."""
    looks = {"1": {"computing_threads": 1.5}}
    return {"case": CASE, "peak_bytes": 2048, "context_switches": 3.0, "phases": looks, "counts": counts}


def test_counts_are_told_per_step() -> None:
    """Operators and bytes over T; what was not counted stays empty."""
    operators = {"operator_calls": 40, "operators": 80, "allocated_bytes": 8 * 1024}
    counts = {"threads": 2, "counters": {}, "bytecodes": 800, "counters_reason": "", "operators": operators}
    frame = counts_frame([record(counts)])
    row = frame.iloc[0]
    assert (row["operator_calls_per_step"], row["operators_per_step"], row["allocated_bytes_per_step"]) == (5, 10, 1024)
    assert row[["instructions", "cycles", "cache_misses"]].isna().all()
    assert "1.00 KiB" in counts_table(frame)


def test_a_case_that_was_not_counted_says_why() -> None:
    """It is in no table; a reason that several share is said once."""
    failed = record({"status": "failed", "reason": "RuntimeError: no profiler"})
    none = record(
        {"threads": 1, "counters": {}, "bytecodes": 800, "counters_reason": "no counters here", "operators": None}
    )
    assert len(counts_frame([failed, none])) == 1
    said = count_reasons([failed, none, none])
    assert len(said) == 2
    assert "no profiler" in said[0]
    assert said[1] == "- No counters here."


def test_the_interpreters_instructions_are_counted() -> None:
    """Twice the turns of a loop, twice the instructions beyond those of the call itself."""

    def turns(number: int) -> Callable[[], int]:
        return lambda: sum(turn for turn in range(number))

    none, ten, twenty = (count_bytecodes(turns(number)) for number in (0, 10, 20))
    assert twenty - ten == ten - none > 10


def test_few_calls_are_not_told_to_become_fewer() -> None:
    """A fused kernel's overhead is that of one call; it is spread by longer calls alone."""
    many, few = (conclusion({"overhead": 0.8, "products": 0.2}, calls) for calls in (9.2, 0.02))
    assert "9.2 operators a step: fewer calls" in many
    assert "calls are few already" in few
    assert "calls are few already" in conclusion({"overhead": 0.8, "products": 0.2}, bytecodes_per_step=0.5)
