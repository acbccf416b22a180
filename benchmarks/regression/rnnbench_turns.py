"""A pytest plugin for the process that is measured: run the named tests, several passes of them, in turns.

It runs in the environment of the project that is judged, beside any version of this one, so it imports nothing but
the standard library and pytest, and has a name of its own. RNNBENCH_TURNS is the path of a JSON file:

    {"only": [NODE ID, ...] or null, "record": FILE, "turns": [FD to read, FD to write],
     "stretch_seconds": how long a turn within a test is, "warm_up": how many passes warm the process up,
     "reserve_bytes": how much of the address space is taken before anything else is loaded}

Before each test its node ID, as JSON, is written to the second descriptor as a line, and the test begins when a line
can be read from the first. Within a test, by the `timer` that is given to pytest-benchmark, the turn ends between two
rounds: "." is written, and the test goes on when a line can be read. In passes that warm up, a test measures next to
nothing and has one turn.

What happens is recorded when it happens, so that what was measured is known however the process ends: the file gets a
JSON list a line. The forms are

    ["collected", NODE ID]               a test that uses pytest-benchmark's fixture and will run
    ["unmeasured", NODE ID, REASON]      a test that was meant to be measured and will not run
    ["broken", PATH, REASON]             what could not be collected
    ["began", NODE ID], ["ended", NODE ID]
    ["outcome", NODE ID, OUTCOME, REASON]
    ["rounds", NODE ID, [SECONDS A CALL, ...], [NUMBER OF THE TURN, ...], EXTRA INFO]
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
"""What of `extra_info` is kept: nested no deeper, whole numbers of no more bits."""

if _SETTINGS["reserve_bytes"]:
    # Where libraries lie changes their speed. What is reserved cannot be touched and takes no memory.
    _RESERVED = mmap.mmap(-1, _SETTINGS["reserve_bytes"], flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=0)
if sys.platform.startswith("linux"):
    # Whoever measures may be killed while a call here takes its time: this process is not to go on without it.
    _DIE_WITH_PARENT = 1
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
_MARKED = (
    "it has the mark `benchmark` and does not use pytest-benchmark's fixture `benchmark`: pytest-codspeed measures "
    "such a test whole, and here it has to call `benchmark(...)`"
)
_passes: dict[str, int] = {}


class _Turn:
    """The turn that this process has: when it ends, its number within the test, and how long was waited in all."""

    ends = math.inf
    number = 0
    away_seconds = 0.0
    of_calls = (0, 0)
    """The turns that the last two calls of the timer fell in: where a round began, and where it ended."""


def timer(clock: Callable[[], float] = time.perf_counter) -> float:
    """For pytest-benchmark: a clock that stands still while another side has its turn.

    It is read where a round begins and where it ends, so a turn never ends within one.
    """
    now = clock()
    seen = now - _Turn.away_seconds
    if now >= _Turn.ends:
        _wait(".")
        _Turn.number += 1
        resumed = clock()
        _Turn.away_seconds += resumed - now
        _Turn.ends = resumed + _SETTINGS["stretch_seconds"]
    _Turn.of_calls = (_Turn.of_calls[1], _Turn.number)
    return seen


class _Benchmarks(list[Any]):
    """The list to which pytest-benchmark adds each benchmark before its rounds; it keeps the rounds as they come.

    pytest-benchmark's own file holds what the project's hooks have made of it: without rounds, or by other names.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rounds: list[tuple[float, int]] = []
        self.extra_info: Any = {}

    def append(self, entry: Any) -> None:
        """Add a benchmark, and have its rounds kept with the turns that they began in."""
        super().append(entry)
        self.rounds, self.extra_info = [], entry.extra_info
        update, rounds, iterations = entry.update, self.rounds, entry.iterations

        def kept(seconds: Any) -> Any:
            rounds.append((seconds / iterations, _Turn.of_calls[0]))
            return update(seconds)

        entry.update = kept

    def begin(self) -> None:
        """Forget the test before."""
        self.rounds, self.extra_info = [], {}


_benchmarks = _Benchmarks()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Have pytest-benchmark add its benchmarks to the list that keeps their rounds."""
    config: Any = session.config
    config._benchmarksession.benchmarks = _benchmarks


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the named tests, in the order they are named in, pass by pass."""
    if _SETTINGS["only"] is None:
        for item in items:
            if not _uses_benchmark(item) and item.get_closest_marker("benchmark") is not None:
                _record("unmeasured", item.nodeid, _MARKED)
        return
    place = {nodeid: number for number, nodeid in enumerate(_SETTINGS["only"])}
    ranked = []
    passes: dict[str, int] = {}
    for item in items:
        if item.nodeid in place:
            passes[item.nodeid] = passes.get(item.nodeid, 0) + 1
            ranked.append((passes[item.nodeid], place[item.nodeid], item))
            if passes[item.nodeid] <= _SETTINGS["warm_up"]:
                _shorten(item)
    left_out = [item for item in items if item.nodeid not in place]
    items[:] = [item for _, _, item in sorted(ranked, key=lambda entry: entry[:2])]
    config.hook.pytest_deselected(items=left_out)


def pytest_deselected(items: list[pytest.Item]) -> None:
    """Tell which benchmarks were deselected by somebody else."""
    if _SETTINGS["only"] is None:
        for item in items:
            if _uses_benchmark(item):
                _record("unmeasured", item.nodeid, "pytest's options or a plugin deselected it")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Tell what will run."""
    for item in session.items:
        if _uses_benchmark(item):
            _record("collected", item.nodeid)


def _uses_benchmark(item: pytest.Item) -> bool:
    return "benchmark" in getattr(item, "fixturenames", ())


def _shorten(item: pytest.Item) -> None:
    """Have the test measure as little as pytest-benchmark can."""
    marker = item.get_closest_marker("benchmark")
    options = marker.kwargs if marker else {}
    item.add_marker(pytest.mark.benchmark(**{**options, "max_time": 0.0, "min_rounds": 1}), append=False)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Wait for the turn, the other side doing nothing meanwhile; and keep what the test measures."""
    passes = _passes[item.nodeid] = _passes.get(item.nodeid, 0) + 1
    _wait(json.dumps(item.nodeid))
    _Turn.number, _Turn.of_calls = 0, (0, 0)
    # What makes the test ready is a turn of its own, which ends where the clock is read first.
    _Turn.ends = 0.0 if passes > _SETTINGS["warm_up"] else math.inf
    _benchmarks.begin()
    _record("began", item.nodeid)
    try:
        result = yield
    except BaseException as error:
        # pytest.exit, or an interrupt: pytest ends without a report of the test.
        _record("outcome", item.nodeid, "failed", f"{type(error).__name__}: {error}")
        raise
    if _benchmarks.rounds:
        seconds = [_seconds(each) for each, _ in _benchmarks.rounds]
        turns = [turn for _, turn in _benchmarks.rounds]
        _record("rounds", item.nodeid, seconds, turns, _plain(_benchmarks.extra_info))
    _record("ended", item.nodeid)
    return result


def _wait(line: str) -> None:
    read, write = _SETTINGS["turns"]
    try:
        os.write(write, (line + "\n").encode())
        allowed = os.read(read, 1)
    except BrokenPipeError:
        allowed = b""
    if not allowed:
        # The one that measures is gone, and with it whoever would read what comes of this.
        os._exit(1)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Tell the outcome of each part of a test: setup, call and teardown."""
    _record("outcome", report.nodeid, report.outcome, "" if report.passed else _reason(report))


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Tell what could not be imported."""
    if report.failed:
        _record("broken", report.nodeid, _reason(report))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish() -> Iterator[None]:
    """Tell that all have run, before anybody's hooks look at what was measured."""
    _record("done")
    return (yield)


def _record(*event: Any) -> None:
    """Add a line to the record, opened anew each time: what the tests fork or start has no part in it."""
    file = os.open(_SETTINGS["record"], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    line = json.dumps(event).encode() + b"\n"
    try:
        while line:
            line = line[os.write(file, line) :]
    finally:
        os.close(file)


def _seconds(value: Any) -> float:
    """A time of the suite's own timer as a number; NaN where it is none."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _plain(value: Any, depth: int = 0) -> Any:
    """What of the value is JSON: anything else is given by the name of its type."""
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
    """The error itself in one line, of what pytest would print, or why it was skipped."""
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
    # Without a traceback, the error stands on lines that begin with E, before what else there is to say: where the
    # fixture was asked for and which there are, or the path of the import.
    errors = [line[2:].strip() for line in lines if line.startswith("E ")]
    return (errors or lines or ["no reason given"])[-1]
