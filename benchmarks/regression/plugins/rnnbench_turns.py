"""A pytest plugin that runs the named tests in turns with another process, and records what they measure.

It runs in the environment of the project under test, beside any version of this one, so it imports nothing but the
standard library and pytest, and its name is one that no module of the project has. RNNBENCH_TURNS is the path of a
JSON file:

    {"only": [NODE ID, ...] or null, "record": FILE, "turns": [FD to read, FD to write],
     "time_slice_seconds": how long a turn within a test is, "warm_up_repetitions": how many do not count,
     "reserve_bytes": how much of the address space is taken before anything else is loaded}

Before each test its node ID, as JSON, is written to the second descriptor as a line, and the test begins when a line
can be read from the first. Within a test, the `timer` that pytest-benchmark is given ends the turn between two rounds:
"." is written, and the test goes on when a line can be read. In repetitions that warm up, a test measures next to
nothing and has one turn.

The record is written event by event, a JSON list a line, so that it is there however the process ends. The forms are

    ["collected", NODE ID]               a test that uses pytest-benchmark's fixture and will run
    ["unmeasured", NODE ID, REASON]      a test that is a benchmark and will not run
    ["broken", PATH, REASON]             a file or folder that could not be collected
    ["began", NODE ID], ["ended", NODE ID]
    ["outcome", NODE ID, OUTCOME, REASON]
    ["rounds", NODE ID, [[SECONDS A CALL, NUMBER OF THE TIME SLICE], ...], EXTRA INFO]
    ["done"]                             all tests have run
"""

from __future__ import annotations

import ctypes
import json
import math
import mmap
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

_SETTINGS: dict[str, Any] = json.loads(Path(os.environ["RNNBENCH_TURNS"]).read_text(encoding="utf-8"))
_DEEPEST = 8
_LARGEST_BITS = 64
"""The parts of `extra_info` that are kept: nested no deeper, and whole numbers of no more bits."""

if _SETTINGS["reserve_bytes"]:
    # The addresses of libraries change their speed. Reserved memory cannot be touched and takes none.
    _RESERVED = mmap.mmap(-1, _SETTINGS["reserve_bytes"], flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=0)
if sys.platform.startswith("linux"):
    # The process that measures may be killed while a call here takes long: this process ends with it.
    _DIE_WITH_PARENT = 1
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
_MARKED = (
    "it has the mark `benchmark` and is no function that pytest calls by itself, such as a method of unittest: make it "
    "a function, or one that calls pytest-benchmark's fixture `benchmark`"
)
_repetitions: dict[str, int] = {}
_PROCESS = os.getpid()


def _identities() -> list[tuple[int, int]]:
    """Device and number of the file behind each descriptor of the turns."""
    return [(found.st_dev, found.st_ino) for found in map(os.fstat, _SETTINGS["turns"])]


_PIPES = _identities()
_CLOSED = "it closed descriptors that it had not opened, those of the process that measures among them"


class _Turn:
    """The turn that this process has."""

    test = ""
    """The node ID of the test that runs."""
    ends = math.inf
    """The time at which the turn ends."""
    time_slice = 0
    """The number of the turn within its test."""
    away_seconds = 0.0
    """The time that this process has waited for its turns within tests."""
    of_calls = (0, 0)
    """The time slices of the last two calls of the timer: the beginning and the end of a round."""


def timer(clock: Callable[[], float] = time.perf_counter) -> float:
    """The clock for pytest-benchmark, which stands still while another side has its turn.

    It is read at the beginning and the end of a round, so that a turn never ends within one.
    """
    now = clock()
    shown = now - _Turn.away_seconds
    if now >= _Turn.ends:
        _wait(".")
        _Turn.time_slice += 1
        resumed = clock()
        _Turn.away_seconds += resumed - now
        _Turn.ends = resumed + _SETTINGS["time_slice_seconds"]
    _Turn.of_calls = (_Turn.of_calls[1], _Turn.time_slice)
    return shown


class _Benchmarks(list[Any]):
    """The list to which pytest-benchmark adds each benchmark before its rounds, and which keeps the rounds.

    pytest-benchmark's own file depends on the project's hooks, which may take the rounds away or rename the tests.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rounds: list[tuple[float, int]] = []
        self.extra_info: Any = {}

    def append(self, entry: Any) -> None:
        """Add a benchmark, and keep each of its rounds with the time slice that it began in."""
        super().append(entry)
        self.rounds, self.extra_info = [], entry.extra_info
        update, rounds, iterations = entry.update, self.rounds, entry.iterations

        def keep(seconds: Any) -> Any:
            rounds.append((seconds / iterations, _Turn.of_calls[0]))
            return update(seconds)

        entry.update = keep

    def begin(self) -> None:
        """Forget the rounds of the test before."""
        self.rounds, self.extra_info = [], {}


_benchmarks = _Benchmarks()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Give pytest-benchmark the list that keeps the rounds."""
    config: Any = session.config
    config._benchmarksession.benchmarks = _benchmarks


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the named tests, repetition by repetition, each in the order of the names."""
    if _SETTINGS["only"] is None:
        for item in items:
            if not _uses_benchmark(item) and item.get_closest_marker("benchmark") is not None:
                _record("unmeasured", item.nodeid, _MARKED)
        return
    place = {nodeid: number for number, nodeid in enumerate(_SETTINGS["only"])}
    ranked = []
    repetitions: dict[str, int] = {}
    for item in items:
        if item.nodeid in place:
            repetitions[item.nodeid] = repetitions.get(item.nodeid, 0) + 1
            ranked.append((repetitions[item.nodeid], place[item.nodeid], item))
            if repetitions[item.nodeid] <= _SETTINGS["warm_up_repetitions"]:
                _shorten(item)
    left_out = [item for item in items if item.nodeid not in place]
    items[:] = [item for _, _, item in sorted(ranked, key=lambda entry: entry[:2])]
    config.hook.pytest_deselected(items=left_out)


def pytest_deselected(items: list[pytest.Item]) -> None:
    """Record the benchmarks that pytest's options or another plugin deselected."""
    if _SETTINGS["only"] is None:
        for item in items:
            if _uses_benchmark(item):
                _record("unmeasured", item.nodeid, "pytest's options or a plugin deselected it")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Record the tests that will run."""
    for item in session.items:
        if _uses_benchmark(item):
            _record("collected", item.nodeid)


def _uses_benchmark(item: pytest.Item) -> bool:
    return "benchmark" in getattr(item, "fixturenames", ())


def _shorten(item: pytest.Item) -> None:
    """Set the test to the least that pytest-benchmark can measure."""
    marker = item.get_closest_marker("benchmark")
    options = marker.kwargs if marker else {}
    item.add_marker(pytest.mark.benchmark(**{**options, "max_time": 0.0, "min_rounds": 1}), append=False)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Wait for the turn before the test, and record its rounds after it."""
    repetitions = _repetitions[item.nodeid] = _repetitions.get(item.nodeid, 0) + 1
    _wait(json.dumps(item.nodeid))
    _Turn.test = item.nodeid
    _Turn.time_slice, _Turn.of_calls = 0, (0, 0)
    # The set-up of the test is a turn of its own, which ends when the clock is first read.
    _Turn.ends = 0.0 if repetitions > _SETTINGS["warm_up_repetitions"] else math.inf
    _benchmarks.begin()
    _record("began", item.nodeid)
    try:
        result = yield
    except BaseException as error:
        # pytest.exit, or an interrupt: pytest ends without a report of the test.
        _record("outcome", item.nodeid, "failed", f"{type(error).__name__}: {error}")
        raise
    if _benchmarks.rounds:
        rounds = [[_seconds(each), time_slice] for each, time_slice in _benchmarks.rounds]
        _record("rounds", item.nodeid, rounds, _plain(_benchmarks.extra_info))
    _record("ended", item.nodeid)
    return result


def _wait(line: str) -> None:
    read, write = _SETTINGS["turns"]
    _check_process()
    try:
        lost = _identities() != _PIPES
    except OSError:
        lost = True
    if lost:
        # A file that the suite has opened since may have such a number: nothing is written into it.
        _record("outcome", _Turn.test, "failed", _CLOSED)
        os._exit(1)
    try:
        os.write(write, (line + "\n").encode())
        allowed = os.read(read, 1)
    except BrokenPipeError:
        allowed = b""
    if not allowed:
        # The process that measures is gone, and nobody would read the record.
        os._exit(1)


def _check_process() -> None:
    """End a child that a test has forked and that went on with pytest: its tests and turns are not this process's."""
    if os.getpid() != _PROCESS:
        os._exit(1)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Record the outcome of each part of a test: setup, call and teardown."""
    _record("outcome", report.nodeid, report.outcome, "" if report.passed else _reason(report))


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Record what could not be collected."""
    if report.failed:
        _record("broken", report.nodeid, _reason(report))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish() -> Iterator[None]:
    """Record that all tests have run, before the hooks of the project, which may fail."""
    _record("done")
    return (yield)


def _record(*event: Any) -> None:
    """Add a line to the record, which is opened for it alone: a process that a test starts inherits no open file."""
    _check_process()
    file = os.open(_SETTINGS["record"], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    line = json.dumps(event).encode() + b"\n"
    try:
        while line:
            line = line[os.write(file, line) :]
    finally:
        os.close(file)


def _seconds(value: Any) -> float:
    """A time of the suite's own timer as a number; NaN where it is not a number."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _plain(value: Any, depth: int = 0) -> Any:
    """The value as JSON values; anything else becomes the name of its type."""
    if value is None or isinstance(value, (bool, float, str)):
        return value
    if isinstance(value, int) and value.bit_length() <= _LARGEST_BITS:
        return value
    if depth < _DEEPEST and isinstance(value, dict):
        return {str(name): _plain(each, depth + 1) for name, each in value.items() if isinstance(name, (str, int))}
    if depth < _DEEPEST and isinstance(value, (list, tuple)):
        return [_plain(each, depth + 1) for each in value]
    return type(value).__name__


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """The error in one line, of all that pytest would print; or why the test was skipped."""
    given = report.longrepr
    if isinstance(given, tuple):
        return given[2].removeprefix("Skipped: ")
    expected = getattr(report, "wasxfail", None)
    if expected is not None:
        return f"marked xfail {expected}".strip()
    crash = getattr(given, "reprcrash", None)
    lines = [line.strip() for line in (crash.message if crash is not None else str(given)).splitlines()]
    lines = [line for line in lines if line]
    if crash is not None:
        return lines[0] if lines else "no reason given"
    # Without a traceback, the error stands on lines that begin with E, among others: the place that asks for a fixture,
    # the fixtures there are, or the path of an import.
    errors = [line[2:].strip() for line in lines if line.startswith("E ")]
    return (errors or lines or ["no reason given"])[-1]
