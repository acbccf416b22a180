"""A pytest plugin that has the suites of several conventions measured by pytest-benchmark's fixture.

It runs in the environment of the project under test, so it imports nothing but the standard library and pytest, and its
name is one that no module of the project has.

- Files and functions whose names begin with `bench` are collected beside those of the project's own patterns, where
  they use the fixture.
- A test with the mark of pytest-codspeed that does not use the fixture is measured whole, as pytest-codspeed does.
- A benchmark of a function that returns a coroutine, or a generator of which nothing has run, fails: only the making of
  it would be measured.
"""

from __future__ import annotations

import fnmatch
import inspect
import re
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

_MARKS = ("benchmark", "codspeed_benchmark")
_OF_THE_FIXTURE = frozenset(
    [
        *("max_time", "min_rounds", "min_time", "timer", "group", "disable_gc", "warmup", "warmup_iterations"),
        *("calibration_precision", "cprofile"),
    ]
)
"""The options that pytest-benchmark takes from its mark; pytest-codspeed has others, by which it would fail."""
_USES_FIXTURE = re.compile(r"^[ \t]*(async[ \t]+)?def[ \t]+\w+\([^)]*\bbenchmark\b", re.MULTILINE)
_FUNCTIONS = "bench*"
_COROUTINE = (
    "the measured function returns a coroutine, and only its making would be measured: benchmark a function that runs "
    "it, such as benchmark(lambda: loop.run_until_complete(work()))"
)
_GENERATOR = (
    "the measured function returns a generator, and only its making would be measured: benchmark a function that "
    "exhausts it, such as benchmark(lambda: list(work()))"
)
_measured_whole: set[str] = set()
_added_functions = False


def pytest_configure(config: pytest.Config) -> None:
    """Have benchmarks collected by their usual names, and coroutines and generators found."""
    global _added_functions
    config.addinivalue_line("markers", "codspeed_benchmark: pytest-codspeed measures the test")
    patterns = config.getini("python_files")
    for name in sorted(_files_of_benchmarks(config.args, patterns)):
        config.addinivalue_line("python_files", name)
    if not any(fnmatch.fnmatch("bench_it", pattern) for pattern in config.getini("python_functions")):
        _added_functions = True
        config.addinivalue_line("python_functions", _FUNCTIONS)
    _find_lazy_results()


def _files_of_benchmarks(arguments: list[str], patterns: list[str]) -> set[str]:
    """The names of files in the suite that use the fixture, and that the project's patterns leave out."""
    found = set()
    for folder in {Path(word.partition("::")[0]) for word in arguments}:
        for file in folder.rglob("*bench*.py") if folder.is_dir() else ():
            is_left_out = not any(fnmatch.fnmatch(file.name, pattern) for pattern in patterns)
            if is_left_out and file.name != "conftest.py":
                try:
                    text = file.read_text(encoding="utf-8", errors="replace")
                except OSError:
                    continue
                if _USES_FIXTURE.search(text):
                    found.add(file.name)
    return found


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(name: str, obj: object) -> list[Any] | None:
    """Leave out functions that are collected for their name alone and do not use the fixture."""
    if _added_functions and fnmatch.fnmatch(name, _FUNCTIONS) and inspect.isroutine(obj):
        try:
            parameters = inspect.signature(obj).parameters
        except (TypeError, ValueError):
            return []
        return None if "benchmark" in parameters else []
    return None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have marked tests use the fixture, and take from their marks the options that it does not know."""
    functions = [item for item in items if isinstance(item, pytest.Function) and not _is_of_unittest(item)]
    without = [item for item in functions if "benchmark" not in item.fixturenames]
    for item in functions:
        marker = next((found for name in _MARKS if (found := item.get_closest_marker(name)) is not None), None)
        if marker is None:
            continue
        if marker.args or marker.name != "benchmark" or not set(marker.kwargs) <= _OF_THE_FIXTURE:
            known = {name: value for name, value in marker.kwargs.items() if name in _OF_THE_FIXTURE}
            item.add_marker(pytest.mark.benchmark(**known), append=False)
        if item in without:
            _measured_whole.add(item.nodeid)
            # All parameters of a test share the list.
            if "benchmark" not in item.fixturenames:
                item.fixturenames.append("benchmark")


def _is_of_unittest(item: pytest.Function) -> bool:
    return item.cls is not None and issubclass(item.cls, unittest.TestCase)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Measure a marked test whole."""
    if pyfuncitem.nodeid not in _measured_whole or inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    benchmark: Any = pyfuncitem.funcargs["benchmark"]
    benchmark(pyfuncitem.obj, **{name: pyfuncitem.funcargs[name] for name in names})
    return True


def _find_lazy_results() -> None:
    """Have pytest-benchmark's fixture fail where what it measures returns work that has still to be done."""
    from pytest_benchmark.fixture import BenchmarkFixture

    for name in ("_raw", "_raw_pedantic"):
        measure: Callable[..., Any] | None = getattr(BenchmarkFixture, name, None)
        if measure is not None:
            setattr(BenchmarkFixture, name, _refusing_lazy_results(measure))


def _refusing_lazy_results(measure: Callable[..., Any]) -> Callable[..., Any]:
    def measured(self: Any, function: Callable[..., Any], *words: Any, **named: Any) -> Any:
        if inspect.iscoroutinefunction(function):
            pytest.fail(_COROUTINE, pytrace=False)
        result = measure(self, function, *words, **named)
        if inspect.iscoroutine(result):
            result.close()
            pytest.fail(_COROUTINE, pytrace=False)
        has_not_begun = inspect.isgenerator(result) and inspect.getgeneratorstate(result) == inspect.GEN_CREATED
        if has_not_begun or inspect.isasyncgen(result):
            pytest.fail(_GENERATOR, pytrace=False)
        return result

    return measured
