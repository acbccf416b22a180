"""A pytest plugin for the process that is measured: run the named tests, several passes of them, in turns.

It runs in the environment of the project that is judged, beside any version of this one, so it imports nothing but
the standard library and pytest, and has a name of its own. RNNBENCH_TURNS holds JSON:

    {"only": [NODE ID, ...] or null, "report": FILE, "turns": [FD to read, FD to write] or null,
     "reserve_bytes": how much of the address space is taken before anything else is loaded}

Before each test a line is written to the second descriptor, and the test begins when a line can be read from the
first. At the end the report has {"outcomes": {NODE ID: [outcome, reason]}, "broken": {PATH: reason}}.
"""

from __future__ import annotations

import json
import mmap
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_SETTINGS: dict[str, Any] = json.loads(os.environ["RNNBENCH_TURNS"])
_RANK = {"passed": 0, "skipped": 1, "failed": 2}
if _SETTINGS["reserve_bytes"]:
    # Where libraries lie changes their speed. What is reserved cannot be touched and takes no memory.
    _RESERVED = mmap.mmap(-1, _SETTINGS["reserve_bytes"], flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=0)
_outcomes: dict[str, list[str]] = {}
_broken: dict[str, str] = {}


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
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in place])
    items[:] = [item for _, _, item in sorted(ranked, key=lambda entry: entry[:2])]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Wait for the turn; the other side does nothing meanwhile."""
    if _SETTINGS["turns"] is not None:
        read, write = _SETTINGS["turns"]
        os.write(write, (item.nodeid + "\n").encode())
        os.read(read, 1)
    return (yield)


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
    Path(_SETTINGS["report"]).write_text(json.dumps({"outcomes": _outcomes, "broken": _broken}), encoding="utf-8")


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """The last line of what pytest would print: the error itself."""
    if isinstance(report.longrepr, tuple):
        return report.longrepr[2]
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash is not None else str(report.longrepr)
    lines = [line.removeprefix("E").strip() for line in text.strip().splitlines() if line.strip()]
    return (lines[0] if crash is not None else lines[-1]) if lines else "no reason given"
