"""A worker process from outside: how each way of dying is told, and that it is idle when it is not asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from benchmarks.measuring.checking import read_results
from benchmarks.measuring.expectations import Expectations
from benchmarks.measuring.process import Worker, WorkerLost
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


def test_a_case_is_prepared_sampled_and_finished(workers: list[Worker], tmp_path: Path, results: str) -> None:
    """The three requests that make a trial; what the implementation prints is no reply."""
    worker = start(workers, tmp_path, f"{FAULTY}:Sound")
    prepared = worker.ask(prepare(results), 60)
    expected = Expectations(seed=1).get(WORKLOAD)
    assert expected.expectation.outside(expected.expectation.errors(read_results(Path(results)))) == []
    assert prepared["describe"]["library"].startswith("numpy")
    assert worker.ask({"do": "warm_up"}, 60)["calls_per_sample"] >= 1
    block = worker.ask({"do": "block", "checked": {"place": 0.5, "feature": 3, "seed": 2}}, 60)
    assert 1 <= len(block["seconds"]) <= 8
    assert all(seconds > 0 for seconds in block["seconds"])
    assert block["began"] < block["ended"]
    worker.ask({"do": "results", "rows": [1], "steps": 3, "weights": False, "results": results}, 60)
    assert read_results(Path(results))["y"].shape == (3, 1, 5)
    assert "peak_bytes" in worker.ask({"do": "finish"}, 60)


def test_an_idle_worker_is_suspended(workers: list[Worker], tmp_path: Path) -> None:
    """It cannot spin on a core while another is measured."""
    worker = start(workers, tmp_path, "numpy_loop")
    assert psutil.Process(worker.pid).status() == psutil.STATUS_STOPPED


@pytest.mark.parametrize(
    ("fault", "status", "reason"),
    [
        ("RaisesAtBuild", "failed", "RuntimeError: no such kernel"),
        ("Missing", "unavailable", "the library is not installed: install it"),
        ("Picky", "unsupported", "hidden_size must be a multiple of 128"),
        ("ExhaustsMemory", "out_of_memory", "Unable to allocate"),
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
    ],
)
def test_a_worker_that_is_lost_is_told_with_its_reason(
    workers: list[Worker],
    tmp_path: Path,
    results: str,
    fault: str,
    timeout_seconds: float,
    status: str,
    reason: str,
) -> None:
    """Whether it hung, died or left."""
    worker = start(workers, tmp_path, f"{FAULTY}:{fault}")
    with pytest.raises(WorkerLost) as lost:
        worker.ask(prepare(results), timeout_seconds)
    assert lost.value.status == status
    assert reason in lost.value.reason
    assert not worker.alive


def test_a_worker_that_was_killed_is_told_when_it_is_next_asked(workers: list[Worker], tmp_path: Path) -> None:
    """SIGKILL from outside leaves no message; the parent finds out."""
    worker = start(workers, tmp_path, "numpy_loop")
    psutil.Process(worker.pid).kill()
    with pytest.raises(WorkerLost, match="signal 9"):
        worker.ask({"do": "block"}, 60)


def test_a_worker_dies_before_memory_runs_out(
    workers: list[Worker], tmp_path: Path, results: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it works, the free memory is watched."""
    worker = start(workers, tmp_path, f"{FAULTY}:Hangs")
    monkeypatch.setattr("benchmarks.measuring.process.LEAST_FREE_SHARE", 2.0)
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
