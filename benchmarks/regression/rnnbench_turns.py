"""A pytest plugin for the process that is measured: run the named tests, several passes of them, in turns.

It runs in the environment of the project that is judged, beside any version of this one, so it imports nothing but
the standard library and pytest, and has a name of its own. RNNBENCH_TURNS holds JSON:

    {"only": [NODE ID, ...] or null, "report": FILE, "turns": [FD to read, FD to write] or null,
     "stretch_seconds": how long a turn within a test is, "warm_up": how many passes warm the process up,
     "reserve_bytes": how much of the address space is taken before anything else is loaded}

Before each test its node ID is written to the second descriptor as a line, and the test begins when a line can be read
from the first. Within a test, by the `timer` that is given to pytest-benchmark, the turn ends between two rounds: "."
is written, and the test goes on when a line can be read. In passes that warm up, a test measures next to nothing and
has one turn. At the end the report has {"outcomes": {NODE ID: [outcome, reason]}, "broken": {PATH: reason},
"stretches": {NODE ID: [[stretch of each call of the timer], ...] by pass}}.
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

_SETTINGS: dict[str, Any] = json.loads(os.environ["RNNBENCH_TURNS"])
_RANK = {"passed": 0, "skipped": 1, "failed": 2}
if _SETTINGS["reserve_bytes"]:
    # Where libraries lie changes their speed. What is reserved cannot be touched and takes no memory.
    _RESERVED = mmap.mmap(-1, _SETTINGS["reserve_bytes"], flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=0)
if sys.platform.startswith("linux"):
    # Whoever measures may be killed while a call here takes its time: this process is not to go on without it.
    _DIE_WITH_PARENT = 1
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
_outcomes: dict[str, list[str]] = {}
_broken: dict[str, str] = {}
_stretches: dict[str, list[list[int]]] = {}


class _Turn:
    """The turn that this process has: when it ends, which stretch of the test it is, and how long was waited."""

    ends = math.inf
    stretch = 0
    away_seconds = 0.0
    calls: list[int] = []  # noqa: RUF012  # replaced before each test


def timer(clock: Callable[[], float] = time.perf_counter) -> float:
    """For pytest-benchmark: a clock that stands still while another side has its turn.

    It is read where a round begins and where it ends, so a turn never ends within one.
    """
    now = clock()
    seen = now - _Turn.away_seconds
    if now >= _Turn.ends:
        _wait(".")
        _Turn.stretch += 1
        resumed = clock()
        _Turn.away_seconds += resumed - now
        _Turn.ends = resumed + _SETTINGS["stretch_seconds"]
    _Turn.calls.append(_Turn.stretch)
    return seen


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config, args: list[str]) -> Iterator[None]:
    """Take back what the project's own options ask for its tests, and what spoils or forbids a measurement."""
    if early_config.pluginmanager.hasplugin("xdist"):
        args += ["-n0"]
    if early_config.pluginmanager.hasplugin("pytest_cov"):
        args += ["--no-cov"]
        early_config.known_args_namespace.no_cov = True
    return (yield)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the named tests, in the order they are named in, pass by pass."""
    if _SETTINGS["only"] is None:
        return
    place = {nodeid: number for number, nodeid in enumerate(_SETTINGS["only"])}
    turn: dict[str, int] = {}
    ranked = []
    for item in items:
        if item.nodeid in place:
            turn[item.nodeid] = turn.get(item.nodeid, 0) + 1
            ranked.append((turn[item.nodeid], place[item.nodeid], item))
            if turn[item.nodeid] <= _SETTINGS["warm_up"]:
                _shorten(item)
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in place])
    items[:] = [item for _, _, item in sorted(ranked, key=lambda entry: entry[:2])]


def _shorten(item: pytest.Item) -> None:
    """Have the test measure as little as pytest-benchmark can."""
    marker = item.get_closest_marker("benchmark")
    options = marker.kwargs if marker else {}
    item.add_marker(pytest.mark.benchmark(**{**options, "max_time": 0.0, "min_rounds": 1}), append=False)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Wait for the turn; the other side does nothing meanwhile."""
    if _SETTINGS["turns"] is not None:
        _wait(item.nodeid)
        _Turn.stretch = 0
        # What makes the test ready is a turn of its own, which ends where the clock is read first.
        _Turn.ends = 0.0 if len(_stretches.get(item.nodeid, ())) >= _SETTINGS["warm_up"] else math.inf
    _Turn.calls = []
    _stretches.setdefault(item.nodeid, []).append(_Turn.calls)
    return (yield)


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
    """Keep the worst outcome of a test, over setup, call and teardown and all passes."""
    known = _outcomes.setdefault(report.nodeid, ["passed", ""])
    if _RANK[report.outcome] > _RANK[known[0]]:
        known[:] = [report.outcome, _reason(report)]


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Keep what could not be imported."""
    if report.failed:
        _broken[report.nodeid] = _reason(report)


def pytest_sessionfinish() -> None:
    """Write the report."""
    content = {"outcomes": _outcomes, "broken": _broken, "stretches": _stretches}
    Path(_SETTINGS["report"]).write_text(json.dumps(content), encoding="utf-8")


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """The last line of what pytest would print: the error itself."""
    if isinstance(report.longrepr, tuple):
        return report.longrepr[2]
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash is not None else str(report.longrepr)
    lines = [line.removeprefix("E").strip() for line in text.strip().splitlines() if line.strip()]
    return (lines[0] if crash is not None else lines[-1]) if lines else "no reason given"
