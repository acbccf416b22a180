"""`regress` on unusual suites: the record of a process, however the process ends."""

from __future__ import annotations

import time
from pathlib import Path

import psutil
import pytest

from benchmarks.regression.dry_run import dry_run
from benchmarks.regression.processes.outcomes import PASSED, Outcome
from benchmarks.regression.processes.process_record import ProcessRecord, Round, read_record
from benchmarks.regression.processes.pytest_command import Side
from benchmarks.regression.processes.suite_process import BudgetOver, SuiteProcess, TimeLimits
from tests.ended_processes import is_gone, until
from tests.suite_sides import suite

FAILS_FIRST = """
import pytest

pytestmark = pytest.mark.benchmark

def test_fails(benchmark):
    assert benchmark(sum, range(9)) == 0

def test_works(benchmark, cache, tmp_path):
    cache.set("rnnbench/seen", 1)
    benchmark(sum, range(9))
"""


@pytest.mark.parametrize(
    "options",
    [
        "-x --sw --lf --lfnf=none --ff --nf --cache-clear",
        '-m "not benchmark" -k nothing --ignore=bench --collect-only',
        "-p no:benchmark --strict-config -W error",
        "--junitxml=x.xml --basetemp=temporary --benchmark-save=kept --benchmark-histogram=drawn --maxfail=1",
    ],
    ids=["stop", "leave out", "unload", "write"],
)
def test_options_of_a_project_do_not_keep_its_suite_from_being_measured(options: str, tmp_path: Path) -> None:
    """The whole suite runs, with a cache of its own, and no file is written beside it."""
    ini = f"[pytest]\nmarkers = benchmark\ncache_dir = kept\naddopts = {options}\n"
    side = suite(tmp_path, {"../pytest.ini": ini, "test_a.py": FAILS_FIRST})
    found = dry_run(side)
    assert {case: outcome.status for case, outcome in found.outcomes.items()} == {
        "bench/test_a.py::test_fails": "failed",
        "bench/test_a.py::test_works": "passed",
    }, found.output
    assert "bench/test_a.py::test_works" in found.repetitions
    assert {path.name for path in tmp_path.iterdir()} == {"bench", "pytest.ini"}


HOOKS = """
def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true")

def pytest_benchmark_update_json(config, benchmarks, output_json):
    for each in output_json["benchmarks"]:
        each["fullname"] = each["name"]
        del each["stats"]["data"]

def pytest_benchmark_group_stats(config, benchmarks, group_by):
    raise RuntimeError("no groups")
"""
SLOW = """
import pytest

@pytest.fixture
def odd(benchmark):
    circle = {"tolerance": 0.5, "large": 10**5000, "type": int}
    circle["itself"] = circle
    benchmark.extra_info.update(circle)

def test_slow(benchmark, odd, request):
    if not request.config.getoption("--slow"):
        pytest.skip("needs --slow")
    benchmark.pedantic(sum, (range(9),), rounds=4)
"""


def test_hooks_that_change_the_results_have_no_effect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounds are recorded as they are measured, and the JSON values of `extra_info`; PYTEST_ADDOPTS is in force."""
    monkeypatch.setenv("PYTEST_ADDOPTS", "--slow --benchmark-save=kept")
    found = dry_run(suite(tmp_path, {"conftest.py": HOOKS, "test_a.py": SLOW}))
    case = "bench/test_a.py::test_slow"
    assert found.outcomes == {case: PASSED}, found.output
    assert [len(rounds) for rounds in found.repetitions[case]] == [4]
    extra = found.extra_info[case]
    assert (extra["tolerance"], extra["large"], extra["type"]) == (0.5, "int", "type")


ENDINGS = """
import os, time, pytest

def test_works_first(benchmark):
    benchmark(sum, range(9))

def test_lacks_a_fixture(benchmark, no_such_fixture):
    benchmark(sum, range(9))

@pytest.mark.skip(reason="needs a plugin")
def test_is_skipped(benchmark):
    benchmark(sum, range(9))

@pytest.mark.xfail(reason="known", run=False)
def test_is_expected_to_fail(benchmark):
    benchmark(sum, range(9))

@pytest.mark.benchmark
def test_is_only_marked():
    pass

@pytest.mark.benchmark(timer=lambda: 0.0)
def test_stands_still(benchmark):
    benchmark.pedantic(sum, (range(9),), rounds=3)

def test_leaves_pytest(benchmark):
    pytest.exit("enough")

def test_ends_the_interpreter(benchmark):
    os._exit(7)

def test_never_ends(benchmark):
    time.sleep(1e6)

def test_works_last(benchmark):
    benchmark(sum, range(9))
"""


@pytest.fixture(scope="module")
def endings(tmp_path_factory: pytest.TempPathFactory) -> ProcessRecord:
    """The record of the suite above in a dry run, in which a turn may take three seconds."""
    side = suite(tmp_path_factory.mktemp("endings"), {"test_a.py": ENDINGS})
    return dry_run(side, TimeLimits(turn_seconds=3.0))


def test_a_project_without_pytests_cache_stays_without(tmp_path: Path) -> None:
    """The folder that the run sets for the cache is no unknown option where pytest is strict."""
    ini = "[pytest]\naddopts = -p no:cacheprovider --strict-config -W error\n"
    source = "def test_a(benchmark):\n    benchmark(sum, range(9))\n"
    found = dry_run(suite(tmp_path, {"../pytest.ini": ini, "test_a.py": source}))
    assert found.outcomes == {"bench/test_a.py::test_a": PASSED}, found.output


@pytest.mark.parametrize(
    ("name", "outcome", "reason"),
    [
        ("lacks_a_fixture", "failed", "fixture 'no_such_fixture' not found"),
        ("is_skipped", "skipped", "needs a plugin"),
        ("is_expected_to_fail", "skipped", "marked xfail"),
        ("leaves_pytest", "failed", "Exit: enough"),
        ("ends_the_interpreter", "failed", "ended its process with status 7"),
        ("never_ends", "failed", "it had not ended after 3 s, and was stopped"),
    ],
)
def test_a_test_that_does_not_work_says_why(name: str, outcome: str, reason: str, endings: ProcessRecord) -> None:
    """The reason is the error itself, or how the test ended the process."""
    found = endings.outcomes[f"bench/test_a.py::test_{name}"]
    assert found.status == outcome
    assert reason in found.reason


@pytest.mark.parametrize("name", ["works_first", "works_last"])
def test_a_test_that_ends_its_process_does_not_end_the_others(name: str, endings: ProcessRecord) -> None:
    """Those before and after it run in processes without it."""
    case = f"bench/test_a.py::test_{name}"
    assert endings.outcomes[case] == PASSED
    assert case in endings.repetitions


def test_a_time_of_zero_is_not_recorded(endings: ProcessRecord) -> None:
    """The timer of the suite stands still."""
    case = "bench/test_a.py::test_stands_still"
    assert endings.outcomes[case] == PASSED
    assert case not in endings.repetitions


DAEMON = """
import os, time, pytest

@pytest.fixture(scope="session")
def server():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            with open("daemon", "w") as file:
                file.write(str(os.getpid()))
            time.sleep(1e6)
        os._exit(0)
    os.wait()
    while not os.path.exists("daemon") or not open("daemon").read():
        time.sleep(0.001)

def test_a(benchmark, server):
    benchmark(sum, range(9))
"""


def test_a_daemon_of_the_suite_ends_with_its_process(tmp_path: Path) -> None:
    """The wait for the process does not last until the daemon ends, though the daemon holds the pipe."""
    side = suite(tmp_path, {"test_a.py": DAEMON})
    measured = dry_run(side)
    assert measured.outcomes == {"bench/test_a.py::test_a": PASSED}
    daemon = int((tmp_path / "daemon").read_text())
    until(lambda: is_gone(daemon))


def test_a_wait_ends_with_the_budget(tmp_path: Path) -> None:
    """The deadline ends a wait before the limits of the process do."""
    with pytest.raises(BudgetOver):
        dry_run(suite(tmp_path, {"test_a.py": FAILS_FIRST}), TimeLimits(deadline=time.monotonic()))


def test_a_suite_that_is_never_collected_is_broken(tmp_path: Path) -> None:
    """The reason is how pytest ended."""
    dies = dry_run(suite(tmp_path, {"conftest.py": "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n"}))
    assert dies.broken == {"": "pytest ended its process by SIGKILL before it had collected the tests"}


def test_many_tests_with_long_names_are_run(tmp_path: Path) -> None:
    """The names exceed an environment variable, and one has a line feed in it."""
    source = (
        "import pytest\n"
        'NAMES = ["a\\nb\\x1b[31m", *(str(number) * 100 for number in range(1000, 1600))]\n'
        '@pytest.mark.parametrize("name", NAMES, ids=NAMES)\n'
        "def test_a(benchmark, name):\n    pass\n"
    )
    ini = "[pytest]\ndisable_test_id_escaping_and_forfeit_all_rights_to_community_support = True\n"
    side = suite(tmp_path, {"../pytest.ini": ini, "test_a.py": source})
    names = ["a\nb\x1b[31m", *(str(number) * 100 for number in range(1000, 1600))]
    with SuiteProcess(side, only=[f"bench/test_a.py::test_a[{name}]" for name in names]) as process:
        assert process.next_turn() == f"bench/test_a.py::test_a[{names[0]}]"
        assert process.turn() == f"bench/test_a.py::test_a[{names[1]}]"


def test_a_missing_interpreter_is_named(tmp_path: Path) -> None:
    """No file stays open for the process that could not be started."""
    files = psutil.Process().num_fds()
    with pytest.raises(ValueError, match=r"a process of head cannot be started: .*no-python.*expected"):
        SuiteProcess(Side("head", tmp_path, str(tmp_path / "no-python"), "bench"))
    assert psutil.Process().num_fds() == files


def test_a_record_is_read_as_far_as_it_was_written(tmp_path: Path) -> None:
    """A torn last line, and lines of another form, are passed over."""
    file, output = tmp_path / "record.jsonl", tmp_path / "output.txt"
    file.write_text(
        '["collected", "a"]\n["began", "a"]\n["outcome", "a", "passed", ""]\n["outcome", "a", "rerun", ""]\n'
        '["rounds", "a", [[1.0, 0], [NaN, 1], [-1.0, 2], [0.0, 3], [Infinity, 4], [7], "x"], 7]\n'
        '{}\n[]\nno JSON\n["ended", "a"'
    )
    output.write_text("x" * 9999)
    found = read_record(file, output, -11)
    assert found.repetitions == {"a": [[Round(1.0, 0)]]}
    assert found.outcomes == {"a": Outcome("failed", "ended its process by SIGSEGV")}
    assert len(found.output) < 9999


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="reads the environment of processes by /proc")
def test_other_variables_of_pytest_are_not_inherited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that marks a worker of another pytest would keep pytest-benchmark from measuring."""
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw0")
    monkeypatch.setenv("CODSPEED_ENV", "1")
    with SuiteProcess(suite(tmp_path, {"test_a.py": FAILS_FIRST})) as process:
        variables = psutil.Process(process.pid).environ()
    assert not {"PYTEST_XDIST_WORKER", "PYTEST_CURRENT_TEST", "CODSPEED_ENV"} & set(variables)
