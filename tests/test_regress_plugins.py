"""`regress` beside other plugins of pytest, and suites that meddle with the process: nothing of theirs is spoiled."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.regression.dry_run import dry_run
from benchmarks.regression.processes.outcomes import PASSED
from benchmarks.regression.processes.suite_process import TimeLimits
from tests.suite_sides import suite

RANDOMLY = """
import random, pytest

def pytest_addoption(parser):
    parser.addoption("--randomly-seed", default="default")
    parser.addoption("--randomly-dont-reorganize", action="store_false", dest="randomly_reorganize")

def pytest_configure(config):
    seed = config.getoption("randomly_seed")
    config.seed = random.Random().getrandbits(32) if seed == "default" else seed

def pytest_runtest_setup(item):
    random.seed(item.config.seed)

def pytest_collection_modifyitems(config, items):
    if config.getoption("randomly_reorganize"):
        items.reverse()
"""
DRAWS = """
import random

def test_a(benchmark):
    benchmark.extra_info["drawn"] = random.random()
    benchmark(sum, range(9))

def test_b(benchmark):
    benchmark(sum, range(9))
"""


def test_both_sides_draw_the_same_numbers_in_the_order_of_the_suite(tmp_path: Path) -> None:
    """A plugin with the options of pytest-randomly has another seed in each process, and another order."""
    side = suite(tmp_path, {"conftest.py": RANDOMLY, "test_a.py": DRAWS})
    first, second = dry_run(side), dry_run(side)
    assert first.collected == ("bench/test_a.py::test_a", "bench/test_a.py::test_b"), first.output
    drawn = [each.extra_info["bench/test_a.py::test_a"]["drawn"] for each in (first, second)]
    assert drawn[0] == drawn[1]


TIMEOUT = """
def pytest_addoption(parser):
    parser.addoption("--timeout", type=float)

def pytest_configure(config):
    config.addinivalue_line("markers", "timeout(seconds): the limit of a test")

def pytest_runtest_call(item):
    marker = item.get_closest_marker("timeout")
    limit = marker.args[0] if marker else item.config.getoption("timeout")
    assert limit == 0, f"it has {limit} s"
"""
LIMITED = """
import pytest

pytestmark = pytest.mark.timeout(5)

def test_of_the_module(benchmark):
    benchmark(sum, range(9))

@pytest.mark.timeout(3)
def test_of_its_own(benchmark):
    benchmark(sum, range(9))
"""


def test_limits_of_tests_are_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plugin by the name of pytest-timeout's sees none by option, and none by a mark of a test or a module."""
    (tmp_path / "timeout.py").write_text(TIMEOUT)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PYTEST_PLUGINS", "timeout")
    found = dry_run(suite(tmp_path, {"test_a.py": LIMITED}))
    assert list(found.outcomes.values()) == [PASSED, PASSED], found.output


MEDDLES = """
import json, os, pathlib

def test_closes_the_turns(benchmark):
    turns = json.loads(pathlib.Path(os.environ["RNNBENCH_TURNS"]).read_text())["turns"]
    # What is opened next may get the number of a descriptor that was closed.
    with open("kept.txt", "r+") as file:
        for number in turns:
            os.dup2(file.fileno(), number)
        benchmark(sum, range(9))

def test_has_a_child_that_goes_on(benchmark):
    if os.fork() == 0:
        return
    os.wait()
    benchmark(sum, range(9))

def test_works_last(benchmark):
    benchmark(sum, range(9))
"""


def test_a_suite_that_closes_or_inherits_the_turns_has_none_of_its_files_changed(tmp_path: Path) -> None:
    """A file that took the place of a closed descriptor is not written to, and a forked child takes no turns."""
    side = suite(tmp_path, {"test_a.py": MEDDLES, "../kept.txt": "mine\n"})
    found = dry_run(side, TimeLimits(turn_seconds=20.0))
    assert (tmp_path / "kept.txt").read_text() == "mine\n"
    closed, forked, last = (
        found.outcomes[f"bench/test_a.py::test_{name}"]
        for name in ("closes_the_turns", "has_a_child_that_goes_on", "works_last")
    )
    assert "it closed descriptors that it had not opened" in closed.reason
    assert (forked, last) == (PASSED, PASSED), found.output
