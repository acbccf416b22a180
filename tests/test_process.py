"""A worker process from outside: how each way of dying is told, and that it is idle when it is not asked."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from benchmarks.measuring.checking.call_checking import read_results
from benchmarks.measuring.checking.expectations import Expectations
from benchmarks.measuring.processes.lost import WorkerLost
from benchmarks.measuring.processes.process import Worker
from benchmarks.workload import Workload

WORKLOAD = Workload(mode="inference", T=3, B=2, I=4, H=5)
FAULTY = "tests.faulty_implementations"


@pytest.fixture
def results(tmp_path: Path) -> str:
    """The file for a worker's results."""
    return str(tmp_path / "results.npz")


@pytest.fixture
def workers() -> Iterator[list[Worker]]:
    """Workers that are ended with the test."""
    started: list[Worker] = []
    yield started
    for worker in started:
        worker.kill()


def start(workers: list[Worker], tmp_path: Path, source: str) -> Worker:
    """A worker that is ready."""
    worker = Worker(source, threads=1, precision="ieee", device="cpu", log=tmp_path / "worker.log")
    workers.append(worker)
    assert worker.wait_ready() == {"ready": True}
    return worker


def prepare(results: str) -> dict[str, object]:
    """The request that builds the workload and makes the first call."""
    return {"do": "prepare", "workload": WORKLOAD.id, "seed": 1, "steps": WORKLOAD.T, "results": results}


BLOCK = {"do": "block", "checked": {"place": 0.5, "feature": 3, "seed": 2}}


def build(worker: Worker, results: str) -> None:
    """Have the case built and warmed up, so that blocks can be taken."""
    worker.ask(prepare(results), 60)
    worker.ask({"do": "warm_up"}, 60)


def test_a_case_is_prepared_sampled_and_finished(workers: list[Worker], tmp_path: Path, results: str) -> None:
    """The three requests that make a trial; what the implementation prints is no reply."""
    worker = start(workers, tmp_path, f"{FAULTY}:Sound")
    prepared = worker.ask(prepare(results), 60)
    expected = Expectations(seed=1).get(WORKLOAD)
    assert expected.expectation.outside(expected.expectation.errors(read_results(Path(results), 1000))) == []
    assert prepared["describe"]["library"].startswith("numpy")
    assert worker.ask({"do": "warm_up"}, 60)["calls_per_sample"] >= 1
    block = worker.ask(BLOCK, 60)
    assert 1 <= len(block["seconds"]) <= 8
    assert all(seconds > 0 for seconds in block["seconds"])
    assert block["began"] < block["ended"]
    worker.ask({"do": "results", "rows": [1], "steps": 3, "weights": False, "results": results}, 60)
    assert read_results(Path(results), 1000)["y"].shape == (3, 1, 5)
    assert "peak_bytes" in worker.ask({"do": "finish"}, 60)


def test_what_is_done_meanwhile_knows_when_the_worker_times(
    workers: list[Worker], tmp_path: Path, results: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock moves also then, but less often. It is handed what the worker says that it compiles."""
    monkeypatch.setattr("benchmarks.measuring.processes.process.POLL_SECONDS", 0.0001)
    worker = start(workers, tmp_path, "numpy_loop")
    seen: list[tuple[bool, str]] = []

    def meanwhile(*, timed: bool = False, note: str = "") -> None:
        seen.append((timed, note))

    worker.meanwhile = meanwhile
    (tmp_path / "worker.compiling").write_text("compiling\x1b[31m kernels")
    build(worker, results)
    assert set(seen) == {(False, "compiling [31m kernels")}
    seen.clear()
    worker.ask(BLOCK, 60.0)
    assert set(seen) == {(True, "")}
    worker.kill()
    assert not (tmp_path / "worker.compiling").exists()


def test_an_idle_worker_is_suspended(workers: list[Worker], tmp_path: Path) -> None:
    """An idle worker cannot spin on a core while another is measured."""
    worker = start(workers, tmp_path, "numpy_loop")
    assert psutil.Process(worker.pid).status() == psutil.STATUS_STOPPED


@pytest.mark.parametrize(
    ("fault", "status", "reason"),
    [
        ("RaisesAtBuild", "failed", "RuntimeError: no such kernel"),
        ("Missing", "unavailable", "the library is not installed: install it"),
        ("Picky", "unsupported", "hidden_size must be a multiple of 128"),
        ("ExhaustsMemory", "out_of_memory", "Unable to allocate"),
        ("DescribesItselfByAList", "failed", "describe {'path': ['fast']}"),
    ],
)
def test_what_an_implementation_raises_is_the_reply(
    workers: list[Worker], tmp_path: Path, results: str, fault: str, status: str, reason: str
) -> None:
    """The worker lives on and says what happened."""
    worker = start(workers, tmp_path, f"{FAULTY}:{fault}")
    reply = worker.ask(prepare(results), 60)
    assert reply["status"] == status
    assert reason in reply["reason"]
    assert worker.alive


@pytest.mark.parametrize(
    ("fault", "timeout_seconds", "status", "reason"),
    [
        ("Hangs", 1.0, "timeout", "not done in time"),
        ("Dies", 60.0, "crashed", "died of signal 11"),
        ("Exits", 60.0, "crashed", "exit status 7; last printed: licence expired"),
        ("WritesStrayLine", 60.0, "crashed", "'warning: deprecated"),
        ("WritesWithoutEnd", 60.0, "crashed", "came in place of an answer"),
        ("ClosesEverything", 60.0, "crashed", "its connection to the sweep was closed or replaced from within"),
        ("KillsSupervisor", 60.0, "crashed", "the process that watches over it died of signal 9"),
    ],
)
def test_a_worker_that_is_lost_is_reported_with_its_reason(
    workers: list[Worker],
    tmp_path: Path,
    results: str,
    fault: str,
    timeout_seconds: float,
    status: str,
    reason: str,
) -> None:
    """Hanging, dying and leaving each have a status and a reason."""
    worker = start(workers, tmp_path, f"{FAULTY}:{fault}")
    with pytest.raises(WorkerLost) as lost:
        worker.ask(prepare(results), timeout_seconds)
    assert lost.value.status == status
    assert reason in lost.value.reason
    assert not worker.alive


def test_a_worker_that_was_killed_is_reported_when_it_is_next_asked(workers: list[Worker], tmp_path: Path) -> None:
    """SIGKILL from outside leaves no message; the parent finds out, and that the worker may have had no part in it."""
    worker = start(workers, tmp_path, "numpy_loop")
    psutil.Process(worker.pid).kill()
    with pytest.raises(WorkerLost, match="signal 9") as lost:
        worker.ask(BLOCK, 60)
    assert lost.value.from_outside


def test_a_worker_that_dies_of_its_own_fault_has_itself_to_blame(
    workers: list[Worker], tmp_path: Path, results: str
) -> None:
    """A segmentation fault is not from outside."""
    worker = start(workers, tmp_path, f"{FAULTY}:Dies")
    with pytest.raises(WorkerLost) as lost:
        worker.ask(prepare(results), 60)
    assert not lost.value.from_outside


def test_a_suspension_of_the_machine_does_not_make_a_worker_late(
    workers: list[Worker], tmp_path: Path, results: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An hour passes between two looks at the clock: the worker still has its time, and it is known how long it was."""
    worker = start(workers, tmp_path, "numpy_loop")
    clock = itertools.chain([0.0], itertools.count(3600.0, 1e-3))
    monkeypatch.setattr("benchmarks.measuring.processes.watch.now", lambda: next(clock))
    assert "setup_seconds" in worker.ask(prepare(results), 60)
    assert worker.suspended_seconds == pytest.approx(3600, abs=1)


def test_a_worker_that_was_stopped_from_outside_is_reported_so(
    workers: list[Worker], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stopped worker has not hung."""
    worker = start(workers, tmp_path, "numpy_loop")
    monkeypatch.setattr("benchmarks.measuring.processes.process_tree.ProcessTree.resume", lambda _: None)
    with pytest.raises(WorkerLost, match="was stopped by something else") as lost:
        worker.ask(BLOCK, 0.1)
    assert (lost.value.status, lost.value.from_outside) == ("timeout", True)


def test_standard_input_is_empty(workers: list[Worker], tmp_path: Path, results: str) -> None:
    """An implementation that asks for something reads the end at once, and no request."""
    worker = start(workers, tmp_path, f"{FAULTY}:ReadsStandardInput")
    assert "setup_seconds" in worker.ask(prepare(results), 60)


def test_a_child_that_goes_on_with_the_program_answers_nothing(
    workers: list[Worker], tmp_path: Path, results: str
) -> None:
    """The worker alone has the connection."""
    worker = start(workers, tmp_path, f"{FAULTY}:ForksAndGoesOn")
    build(worker, results)
    assert worker.ask(BLOCK, 60)["seconds"]


def helpers_of(worker: Worker) -> list[psutil.Process]:
    """The processes that a worker has started, wherever they forked to."""
    parents = psutil.Process(worker.pid).parents()
    return [process for process in parents[0].children(recursive=True) if process.pid != worker.pid]


def test_what_a_worker_starts_stands_in_others_turns_and_ends_with_it(
    workers: list[Worker], tmp_path: Path, results: str
) -> None:
    """A child, and a daemon with a session of its own: counted, suspended with the worker, and killed with it."""
    worker = start(workers, tmp_path, f"{FAULTY}:StartsHelpers")
    worker.begin_visit()
    build(worker, results)
    helpers = helpers_of(worker)
    assert len(helpers) == 2
    assert worker.most_helpers == 2
    assert {helper.status() for helper in helpers} == {psutil.STATUS_STOPPED}
    worker.ask(BLOCK, 60)
    assert worker.unsuspended_seconds == 0
    worker.kill()
    assert not any(helper.is_running() for helper in helpers)


def test_helpers_work_in_their_workers_turn(workers: list[Worker], tmp_path: Path, results: str) -> None:
    """Helpers run in their worker's turn, and their core time counts as the worker's."""
    worker = start(workers, tmp_path, f"{FAULTY}:StartsHelpers")
    build(worker, results)
    before = sum(sum(helper.cpu_times()[:2]) for helper in helpers_of(worker))
    ours_before = worker.read_interference().ours
    for _ in range(200):
        worker.ask(BLOCK, 60)
        worked = sum(sum(helper.cpu_times()[:2]) for helper in helpers_of(worker)) - before
        # In ticks of the clock; the worker's own work is in it as well.
        if worked:
            break
    assert worked > 0
    of_worker = sum(psutil.Process(worker.pid).cpu_times()[:2])
    assert worker.read_interference().ours - ours_before >= worked
    assert worker.processes.cpu_seconds() > of_worker + before


def test_helpers_that_go_on_by_themselves_are_reported(workers: list[Worker], tmp_path: Path, results: str) -> None:
    """Somebody wakes one in another's turn: the core time that it uses is known at the next request."""
    worker = start(workers, tmp_path, f"{FAULTY}:StartsHelpers")
    build(worker, results)
    worker.begin_visit()
    woken = helpers_of(worker)[0]
    before = sum(woken.cpu_times()[:2])
    woken.resume()
    deadline = time.monotonic() + 60
    while sum(woken.cpu_times()[:2]) < before + 0.1 and time.monotonic() < deadline:
        pass
    worker.ask(BLOCK, 60)
    assert worker.unsuspended_seconds >= 0.09


def test_what_a_worker_has_started_ends_when_the_worker_is_killed(
    workers: list[Worker], tmp_path: Path, results: str
) -> None:
    """Helpers end with a worker that somebody kills."""
    worker = start(workers, tmp_path, f"{FAULTY}:StartsHelpers")
    build(worker, results)
    helpers = helpers_of(worker)
    psutil.Process(worker.pid).kill()
    _, alive = psutil.wait_procs(helpers, timeout=10)
    assert alive == []


def test_what_a_worker_has_started_ends_when_the_sweep_is_killed(tmp_path: Path, results: str) -> None:
    """SIGKILL to the process that started the worker, which can put nothing in order."""
    program = f"""
import pathlib, sys
from benchmarks.measuring.processes.process import Worker
log = pathlib.Path({str(tmp_path / "worker.log")!r})
worker = Worker("{FAULTY}:StartsHelpers", threads=1, precision="ieee", device="cpu", log=log)
worker.wait_ready()
worker.ask({prepare(results)!r}, 60)
print(flush=True)
sys.stdin.read()
"""
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=pipe, stdout=pipe, cwd=Path(__file__).parent.parent
    ) as sweep:
        assert sweep.stdout is not None
        assert sweep.stdout.readline() == b"\n"
        started = psutil.Process(sweep.pid).children(recursive=True)
        sweep.kill()
    assert len(started) == 4
    _, alive = psutil.wait_procs(started, timeout=10)
    assert alive == []


def test_a_log_that_cannot_be_written_is_a_reason(tmp_path: Path) -> None:
    """A folder that is gone, a link to another's file and a pipe without a reader: no traceback and no wait."""
    (tmp_path / "link").symlink_to(tmp_path / "theirs")
    os.mkfifo(tmp_path / "pipe")
    for log in (tmp_path / "gone" / "worker.log", tmp_path / "link", tmp_path / "pipe"):
        with pytest.raises(WorkerLost, match="could not be started") as lost:
            Worker("numpy_loop", threads=1, precision="ieee", device="cpu", log=log)
        assert lost.value.status == "failed"
    assert not (tmp_path / "theirs").exists()


def test_a_worker_dies_before_memory_runs_out(
    workers: list[Worker], tmp_path: Path, results: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Free memory is watched while a worker works."""
    worker = start(workers, tmp_path, f"{FAULTY}:Hangs")
    monkeypatch.setattr("benchmarks.measuring.processes.process.LEAST_FREE_SHARE", 2.0)
    with pytest.raises(WorkerLost) as lost:
        worker.ask(prepare(results), 60)
    assert lost.value.status == "out_of_memory"


def test_an_implementation_that_cannot_be_loaded_says_why(workers: list[Worker], tmp_path: Path) -> None:
    """The first reply already has the reason."""
    worker = Worker("nn_rrn", threads=1, precision="ieee", device="cpu", log=tmp_path / "worker.log")
    workers.append(worker)
    reply = worker.wait_ready()
    assert reply["status"] == "failed"
    assert "did you mean nn_rnn" in reply["reason"]


def test_a_cpu_worker_has_as_many_cores_as_threads(workers: list[Worker], tmp_path: Path) -> None:
    """Engines that count cores rather than variables get the same number."""
    worker = start(workers, tmp_path, "numpy_loop")
    assert len(psutil.Process(worker.pid).cpu_affinity()) == 1
