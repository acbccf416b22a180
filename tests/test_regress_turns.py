"""`regress`: the sides of a pair are interleaved, time slice by time slice, on one core and in one layout."""

from __future__ import annotations

import itertools
import json
import math
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest

from benchmarks.measuring.conditions.address_space import fixed_layout
from benchmarks.regression.dry_run import dry_run
from benchmarks.regression.processes.control import measure_control
from benchmarks.regression.processes.outcomes import TestStatus
from benchmarks.regression.processes.pairing import (
    LEAST_CONTROLS,
    ProcessPair,
    first_decile,
    log_ratio,
    measure_together,
    slice_times,
)
from benchmarks.regression.processes.process_record import ProcessRecord
from benchmarks.regression.processes.pytest_command import PLUGINS, Side, command_line, environment
from tests.synthetic_records import record, rounds


def test_disturbed_rounds_and_time_slices_do_not_move_a_pair() -> None:
    """The first decile of the rounds and the median over time slices pass over them."""
    assert first_decile([1.0] * 12 + [50.0] * 30) == 1.0
    assert log_ratio((1.0, 1.0, 1.0), (1.1, 9.0, 1.1)) == pytest.approx(math.log(1.1))


def test_the_first_pass_of_a_process_does_not_count() -> None:
    """It warms the process up; the repetitions after it are the measurement."""
    measured = in_slices([[9.0] * 3, [1.0] * 3, [2.0] * 3], [[0] * 3, [1] * 3, [1] * 3])
    assert slice_times([measured]) == [{"a": (1.0, 2.0)}]


def in_slices(
    seconds: Sequence[Sequence[float]], time_slices: Sequence[Sequence[int]], status: TestStatus = "passed"
) -> ProcessRecord:
    """The record of a process with one case, whose rounds of each repetition fell in these time slices."""
    repetitions = [rounds(*each) for each in zip(seconds, time_slices, strict=True)]
    return record({"a": status}, repetitions={"a": repetitions})


def test_only_time_slices_that_both_sides_have_are_compared() -> None:
    """A time slice that one side had alone, at the beginning or the end, has no counterpart of its number."""
    base = in_slices([[5.0], [1.0, 1.0, 2.0, 3.0]], [[0], [1, 1, 2, 3]])
    head = in_slices([[5.0], [2.2, 3.3, 3.4, 9.0]], [[0], [2, 3, 3, 4]])
    assert slice_times([base, head]) == [{"a": (2.0, 3.0)}, {"a": (2.2, 3.3)}]
    assert slice_times([base, in_slices([[5.0], [2.2]], [[0], [2]], "failed")]) == [{}, {}]


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
    # Both sides share this clock, so that the test can order their calls.
    called = []
    benchmark.extra_info["called"] = called

    def call():
        called.append(time.clock_gettime(time.CLOCK_MONOTONIC))
        sum(range(2000))

    benchmark(call)
"""


def test_both_sides_take_turns_within_a_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither side calls while the other has its turn, and each has many turns."""
    monkeypatch.setattr("benchmarks.regression.processes.suite_process.TIME_SLICE_SECONDS", 0.002)
    (tmp_path / "test_turns.py").write_text(TURNS)
    side, case = Side("base", tmp_path, sys.executable, "test_turns.py"), "test_turns.py::test_order"
    measured, _ = measure_together((side, side), [case], number=0, repetitions=1, seconds_a_case=0.05)
    calls = sorted((at, number) for number, each in enumerate(measured) for at in each.extra_info[case]["called"])
    turns = [number for number, _ in itertools.groupby(number for _, number in calls)]
    assert len(turns) >= 8
    assert len(slice_times(measured)[0][case]) >= 3
    for each in measured:
        # No round includes a wait: a turn of the other side takes two milliseconds, a round microseconds.
        assert statistics.median(each.seconds(case)[1]) < 0.001


MEASURES = """
import sys
from pathlib import Path
from benchmarks.regression.processes.pytest_command import Side
from benchmarks.regression.processes.suite_process import SuiteProcess

with SuiteProcess(Side("base", Path(sys.argv[1]), sys.executable, "test_turns.py")) as process:
    print(process.next_turn(), process.pid, flush=True)
    sys.stdin.read()
"""


def test_a_process_ends_when_the_one_that_measures_is_killed(tmp_path: Path) -> None:
    """It waits for its turn, and ends without it."""
    (tmp_path / "test_turns.py").write_text(TURNS)
    command = [sys.executable, "-c", MEASURES, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as measuring:
        assert measuring.stdout is not None
        test, pid = measuring.stdout.readline().split()
        assert test == "test_turns.py::test_order"
        measured = psutil.Process(int(pid))
        measuring.kill()
    gone, _ = psutil.wait_procs([measured], timeout=30)
    assert gone == [measured]


def test_a_process_ends_when_its_turns_end(tmp_path: Path) -> None:
    """The pipe of the turns is closed: exit status 1, and the test has not begun."""
    (tmp_path / "test_turns.py").write_text(TURNS)
    for plugin in PLUGINS:
        (tmp_path / plugin.name).write_bytes(plugin.read_bytes())
    allow, give = os.pipe()
    waiting, announce = os.pipe()
    settings = {
        "only": None,
        "record": str(tmp_path / "record.jsonl"),
        "turns": [allow, announce],
        "time_slice_seconds": 0.01,
        "warm_up_repetitions": 0,
        "reserve_bytes": 0,
    }
    (tmp_path / "settings.json").write_text(json.dumps(settings))
    side = Side("base", tmp_path, sys.executable, "test_turns.py")
    variables = environment(side, tmp_path, 0) | {"RNNBENCH_TURNS": str(tmp_path / "settings.json")}
    with subprocess.Popen(
        command_line(side, tmp_path, 1), cwd=tmp_path, env=variables, pass_fds=(allow, announce)
    ) as process:
        assert json.loads(os.read(waiting, 1000)) == "test_turns.py::test_order"
        for end in (allow, announce, give):
            os.close(end)
    os.close(waiting)
    assert process.returncode == 1
    assert "began" not in (tmp_path / "record.jsonl").read_text()


OWN_TIMER = """
import time
import pytest

@pytest.mark.benchmark(timer=time.process_time)
def test_own(benchmark):
    benchmark(sum, range(1000))
"""


def test_a_suite_with_a_timer_of_its_own_takes_turns_test_by_test(tmp_path: Path) -> None:
    """Each of its repetitions is one time slice."""
    (tmp_path / "test_own.py").write_text(OWN_TIMER)
    side, case = Side("base", tmp_path, sys.executable, "test_own.py"), "test_own.py::test_own"
    measured, controls = measure_together((side, side), [case], number=0, repetitions=2, seconds_a_case=0)
    assert [len(each[case]) for each in slice_times(measured)] == [2, 2]
    assert min(map(len, controls)) >= LEAST_CONTROLS


def test_both_sides_of_a_pair_run_in_one_layout_on_one_core(tmp_path: Path) -> None:
    """The next pair has another layout, and this process may use all cores again."""
    (tmp_path / "test_places.py").write_text(PLACES)
    side = Side("base", tmp_path, sys.executable, "test_places.py")
    case = "test_places.py::test_where"
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    pairs = [
        [
            each.extra_info[case]
            for each in measure_together((side, side), [case], number=n, repetitions=1, seconds_a_case=0)[0]
        ]
        for n in (0, 1)
    ]
    for base, head in pairs:
        assert base["cores"] == head["cores"]
        assert len(base["cores"]) == 1
    # The other side goes first in the next repetition, and in the next pair.
    assert [base["began"] < head["began"] for base, head in pairs] == [False, True]
    if cores:
        assert os.sched_getaffinity(0) == cores
    with fixed_layout() as fixed:
        if not fixed:
            pytest.skip("this system does not let a process go without randomization of its addresses")
    assert all(base["address"] == head["address"] for base, head in pairs)
    assert pairs[0][0]["address"] != pairs[1][0]["address"]


def test_a_pair_is_read_back_as_it_was_written() -> None:
    """A pair survives JSON unchanged."""
    pair = ProcessPair({"a": (1.0, 2.0)}, {"a": (1.5, 2.5)}, (measure_control(),), (measure_control(),))
    assert ProcessPair.from_json(json.loads(json.dumps(pair.to_json()))) == pair


OPTIONS = """
[pytest]
addopts = -n 2 --benchmark-skip --benchmark-autosave --benchmark-compare
"""


def test_options_of_a_projects_plugins_do_not_keep_its_suite_from_being_measured(tmp_path: Path) -> None:
    """They ask for workers of pytest-xdist, in which pytest-benchmark measures nothing, for skipping, and for files."""
    (tmp_path / "pytest.ini").write_text(OPTIONS)
    (tmp_path / "test_turns.py").write_text(TURNS)
    found = dry_run(Side("base", tmp_path, sys.executable, "test_turns.py"))
    assert found.status == 0, found.output
    assert list(found.repetitions) == ["test_turns.py::test_order"]
    assert not (tmp_path / ".benchmarks").exists()
