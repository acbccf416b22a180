"""`regress` on suites of several conventions: each is measured by pytest-benchmark's fixture, or is told why not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.regression.dry_run import dry_run
from benchmarks.regression.processes.process_record import ProcessRecord
from benchmarks.regression.processes.pytest_command import Side
from benchmarks.regression.suite_kinds import other_kind

FILES = {
    "bench_named.py": """
def bench_sum(benchmark):
    benchmark(sum, range(9))

def bench_helper(numbers):
    raise RuntimeError("no benchmark")

def test_in_it(benchmark):
    benchmark(sum, range(9))
""",
    "bench_script.py": "raise SystemExit('a script, and no suite')\n",
    "test_marks.py": """
import asyncio, unittest, pytest

pytestmark = pytest.mark.benchmark

@pytest.mark.benchmark(group="sums", max_rounds=3)
@pytest.mark.parametrize("size", [1, 2])
def test_whole(size, tmp_path):
    assert sum(range(size)) == size - 1
    (tmp_path / "calls").write_text("call")

@pytest.mark.codspeed_benchmark
def test_by_the_other_name():
    sum(range(9))

@pytest.mark.benchmark(max_rounds=3)
def test_with_the_fixture(benchmark):
    benchmark(sum, range(9))

class TestOfUnittest(unittest.TestCase):
    def test_method(self):
        pass

async def work():
    pass

def test_makes_a_coroutine(benchmark):
    benchmark(work)

def test_calls_what_makes_a_coroutine(benchmark):
    benchmark(lambda: work())

def test_runs_a_coroutine(benchmark):
    benchmark(lambda: asyncio.run(work()))

def numbers():
    yield from range(9)

async def later():
    yield 1

def begun():
    found = numbers()
    next(found)
    return found

def test_makes_a_generator(benchmark):
    benchmark(numbers)

def test_makes_an_async_generator(benchmark):
    benchmark.pedantic(later, rounds=2)

def test_exhausts_a_generator(benchmark):
    benchmark(lambda: list(numbers()))

def test_begins_a_generator(benchmark):
    benchmark(begun)
""",
}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> ProcessRecord:
    """The dry run of a suite of all conventions, whose project is strict about marks and names its own functions."""
    top = tmp_path_factory.mktemp("project")
    (top / "bench").mkdir()
    (top / "pytest.ini").write_text("[pytest]\naddopts = --strict-markers -W error\n")
    for name, text in FILES.items():
        (top / "bench" / name).write_text(text)
    return dry_run(Side("head", top, sys.executable, "bench"))


def test_files_and_functions_named_bench_are_collected_where_they_use_the_fixture(found: ProcessRecord) -> None:
    """Helpers and scripts of such a name are neither run nor imported."""
    assert [case for case in found.outcomes if "bench_" in case] == [
        f"bench/bench_named.py::{name}" for name in ("bench_sum", "test_in_it")
    ], found.output
    assert all(found.seconds(case) for case in found.outcomes if "bench_" in case)
    assert found.broken == {}


MEASURED = ("whole[1]", "whole[2]", "by_the_other_name", "with_the_fixture", "runs_a_coroutine")


@pytest.mark.parametrize("name", [*MEASURED, "exhausts_a_generator", "begins_a_generator"])
def test_a_test_with_a_mark_is_measured(name: str, found: ProcessRecord) -> None:
    """Without the fixture it is measured whole; options that pytest-benchmark's mark does not know are dropped."""
    case = f"bench/test_marks.py::test_{name}"
    assert found.passed(case), found.outcomes
    assert found.seconds(case)


@pytest.mark.parametrize("name", ["makes_a_coroutine", "calls_what_makes_a_coroutine"])
def test_a_coroutine_that_nobody_awaits_is_no_measurement(name: str, found: ProcessRecord) -> None:
    """Its making takes a microsecond, whatever the work; the reason has the remedy."""
    outcome = found.outcomes[f"bench/test_marks.py::test_{name}"]
    assert outcome.status == "failed"
    assert "only its making would be measured: benchmark a function that runs it" in outcome.reason


@pytest.mark.parametrize("name", ["makes_a_generator", "makes_an_async_generator"])
def test_a_generator_that_nobody_exhausts_is_no_measurement(name: str, found: ProcessRecord) -> None:
    """Head would be the same as base however slow it is; the reason has the remedy."""
    outcome = found.outcomes[f"bench/test_marks.py::test_{name}"]
    assert outcome.status == "failed"
    assert "only its making would be measured: benchmark a function that exhausts it" in outcome.reason


def test_a_method_of_unittest_is_not_measured_and_told_why(found: ProcessRecord) -> None:
    """pytest gives it no fixture."""
    assert "a method of unittest" in found.unmeasured["bench/test_marks.py::TestOfUnittest::test_method"]


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("benchmarks.py", "class Sums:\n    def time_sum(self):\n        pass\n", "asv"),
        ("bench.py", "import pyperf\nrunner = pyperf.Runner()\n", "pyperf"),
        ("bench.py", "__benchmarks__ = [(old, new, 'sum')]\n", "richbench"),
        ("speed.py", "import timeit\nprint(timeit.timeit('1'))\n", "timeit"),
        ("test_a.py", "import unittest\nclass A(unittest.TestCase):\n    def test_a(self): ...\n", "unittest"),
        ("test_a.py", "def test_a(): ...\n", ""),
    ],
)
def test_a_suite_of_another_kind_is_named_with_the_remedy(name: str, text: str, kind: str, tmp_path: Path) -> None:
    """The remedy is the tool that judges it, or the form in which `regress` can."""
    (tmp_path / name).write_text(text)
    said = other_kind(tmp_path)
    assert (kind in said, bool(said)) == (True, bool(kind))
    assert not kind or f"such as {name}" in said
    assert not kind or "benchmark(" in said
    assert other_kind(tmp_path / name) == said
