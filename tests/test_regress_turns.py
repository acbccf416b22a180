"""`regress`: both sides of a pair take turns, stretch by stretch, on one core and in one layout."""

from __future__ import annotations

import itertools
import json
import math
import os
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks.measuring.address_space import fixed_layout
from benchmarks.regression.control import measure_control
from benchmarks.regression.pairing import LEAST_CONTROLS, Pair, log_ratio, measure_together, times, undisturbed
from benchmarks.regression.session import Side, SuiteProcess, look
from benchmarks.regression.session_record import Measured


def test_a_disturbed_stretch_and_disturbed_rounds_do_not_move_a_pair() -> None:
    """The lowest tenth of the rounds, then the median over stretches."""
    assert undisturbed([1.0] * 12 + [50.0] * 30) == 1.0
    assert log_ratio((1.0, 1.0, 1.0), (1.1, 9.0, 1.1)) == pytest.approx(math.log(1.1))


def test_the_first_pass_of_a_process_does_not_count() -> None:
    """It warms the process up; the passes after it are the measurement."""
    measured = in_stretches([[9.0] * 3, [1.0] * 3, [2.0] * 3], [[0] * 3, [1] * 3, [1] * 3])
    assert times([measured]) == [{"a": (1.0, 2.0)}]


def in_stretches(
    seconds: Sequence[Sequence[float]], stretches: Sequence[Sequence[int]], kind: str = "passed"
) -> Measured:
    """What a process gave of its only case."""
    return Measured({"a": seconds}, {}, {"a": (kind, "")}, {}, {}, 0, "", {"a": stretches})


def test_only_stretches_that_both_sides_have_are_compared() -> None:
    """By their number: what one side did alone, at the beginning or the end, has no counterpart."""
    base = in_stretches([[5.0], [1.0, 1.0, 2.0, 3.0]], [[0], [1, 1, 2, 3]])
    head = in_stretches([[5.0], [2.2, 3.3, 3.4, 9.0]], [[0], [2, 3, 3, 4]])
    assert times([base, head]) == [{"a": (2.0, 3.0)}, {"a": (2.2, 3.3)}]
    assert times([base, in_stretches([[5.0], [2.2]], [[0], [2]], "failed")]) == [{}, {}]


PLACES = """
import ctypes, mmap, os, time

def test_where(benchmark):
    block = mmap.mmap(-1, 64 * 2**20)
    benchmark.extra_info["address"] = ctypes.addressof(ctypes.c_char.from_buffer(block))
    benchmark.extra_info["began"] = time.monotonic()
    benchmark.extra_info["cores"] = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
    benchmark(abs, -1)
"""


TURNS = """
import time

def test_order(benchmark):
    # The clock of the machine, which both sides share: by it the test sees when its calls were.
    called = []
    benchmark.extra_info["called"] = called

    def call():
        called.append(time.clock_gettime(time.CLOCK_MONOTONIC))
        sum(range(2000))

    benchmark(call)
"""


def test_both_sides_take_turns_within_a_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither calls while the other has its turn, and each has many."""
    monkeypatch.setattr("benchmarks.regression.session.STRETCH_SECONDS", 0.002)
    (tmp_path / "test_turns.py").write_text(TURNS)
    side, case = Side("base", tmp_path, sys.executable, "test_turns.py"), "test_turns.py::test_order"
    measured, _ = measure_together((side, side), [case], number=0, passes=1, seconds_a_case=0.05)
    calls = sorted((at, number) for number, each in enumerate(measured) for at in each.extra_info[case]["called"])
    turns = [number for number, _ in itertools.groupby(number for _, number in calls)]
    assert len(turns) >= 8
    assert len(times(measured)[0][case]) >= 3
    for each in measured:
        assert len(each.seconds[case][1]) == len(each.stretches[case][1])
        # What was waited is in no round: a turn of the other takes two milliseconds, a round microseconds.
        assert statistics.median(each.seconds[case][1]) < 0.001


def test_a_process_ends_when_the_one_that_measures_is_gone(tmp_path: Path) -> None:
    """However that ended: nothing is left behind that would go on measuring."""
    (tmp_path / "test_turns.py").write_text(TURNS)
    with SuiteProcess(Side("base", tmp_path, sys.executable, "test_turns.py")) as process:
        assert process.next_turn() == "test_turns.py::test_order"
        os.close(process._allow)
        process._allow = os.open(os.devnull, os.O_WRONLY)
        measured = process.finish()
    assert measured.status == 1
    assert not measured.outcomes


OWN_TIMER = """
import time
import pytest

@pytest.mark.benchmark(timer=time.process_time)
def test_own(benchmark):
    benchmark(sum, range(1000))
"""


def test_a_suite_with_a_timer_of_its_own_takes_turns_test_by_test(tmp_path: Path) -> None:
    """Each pass is one stretch."""
    (tmp_path / "test_own.py").write_text(OWN_TIMER)
    side, case = Side("base", tmp_path, sys.executable, "test_own.py"), "test_own.py::test_own"
    measured, controls = measure_together((side, side), [case], number=0, passes=2, seconds_a_case=0)
    assert [len(each[case]) for each in times(measured)] == [2, 2]
    assert min(map(len, controls)) >= LEAST_CONTROLS


def test_both_sides_of_a_pair_run_in_one_layout_on_one_core(tmp_path: Path) -> None:
    """What differs between them is the code; the next pair lies elsewhere, and this process may use all cores again."""
    (tmp_path / "test_places.py").write_text(PLACES)
    side = Side("base", tmp_path, sys.executable, "test_places.py")
    case = "test_places.py::test_where"
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    pairs = [
        [
            each.extra_info[case]
            for each in measure_together((side, side), [case], number=n, passes=1, seconds_a_case=0)[0]
        ]
        for n in (0, 1)
    ]
    for base, head in pairs:
        assert base["cores"] == head["cores"]
        assert len(base["cores"]) == 1
    # The other side goes first in the next pass, and in the next pair.
    assert [base["began"] < head["began"] for base, head in pairs] == [False, True]
    if cores:
        assert os.sched_getaffinity(0) == cores
    with fixed_layout() as fixed:
        if not fixed:
            pytest.skip("this system does not let a process go without randomization of its addresses")
    assert all(base["address"] == head["address"] for base, head in pairs)
    assert pairs[0][0]["address"] != pairs[1][0]["address"]


def test_a_pair_is_read_back_as_it_was_written() -> None:
    """Through JSON."""
    pair = Pair({"a": (1.0, 2.0)}, {"a": (1.5, 2.5)}, (measure_control(),), (measure_control(),))
    assert Pair.from_json(json.loads(json.dumps(pair.to_json()))) == pair


OPTIONS = """
[pytest]
addopts = -n 2 --benchmark-skip --benchmark-autosave --benchmark-compare
"""


def test_what_a_project_asks_for_its_tests_does_not_keep_them_from_being_measured(tmp_path: Path) -> None:
    """Processes of pytest-xdist, in which pytest-benchmark measures nothing; skipping; and files beside the suite."""
    (tmp_path / "pytest.ini").write_text(OPTIONS)
    (tmp_path / "test_turns.py").write_text(TURNS)
    seen = look(Side("base", tmp_path, sys.executable, "test_turns.py"))
    assert seen.status == 0, seen.output
    assert list(seen.seconds) == ["test_turns.py::test_order"]
    assert not (tmp_path / ".benchmarks").exists()
