"""Which worker a case gets, and when no other is tried."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.measuring.processes.lost import WorkerLost
from benchmarks.measuring.processes.pool import STARTS_TRIED, WorkerPool
from benchmarks.workload import Case, Workload

WORKLOAD = Workload(mode="inference", T=3, B=2, I=4, H=5)


class FakeWorker:
    """A worker that answers its first request as it is told, and counts how often one was started."""

    started = 0
    first_reply: Any = None

    def __init__(self, source: str, **_: Any) -> None:
        type(self).started += 1
        self.source = source
        self.ready = False
        self.alive = True

    def wait_ready(self, most_seconds: float) -> dict[str, Any]:
        """What `first_reply` is, raised or returned."""
        if isinstance(self.first_reply, Exception):
            self.alive = False
            raise self.first_reply
        self.ready = True
        return dict(self.first_reply)

    def kill(self) -> None:
        """Be gone."""
        self.alive = False


@pytest.fixture
def pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WorkerPool:
    """A pool of fake workers."""
    monkeypatch.setattr("benchmarks.measuring.processes.pool.Worker", FakeWorker)
    monkeypatch.setattr(FakeWorker, "started", 0)
    monkeypatch.setattr(FakeWorker, "first_reply", {"ready": True})
    return WorkerPool(tmp_path, compiled=tmp_path / "compiled")


def test_a_worker_is_started_once(pool: WorkerPool) -> None:
    """One worker serves every workload of its implementation."""
    case = Case("a", WORKLOAD)
    other = Case("a", Workload(mode="training", T=9, B=2, I=4, H=5))
    assert pool.get(case, "numpy_loop") is pool.get(other, "numpy_loop")
    assert FakeWorker.started == 1


def test_one_implementation_under_two_names_has_two_workers(pool: WorkerPool) -> None:
    """Another name, and another thread count, have a worker of their own."""
    workers = {id(pool.get(Case(name, WORKLOAD), "numpy_loop")) for name in ("a", "b")}
    workers.add(id(pool.get(Case("a", Workload(mode="inference", T=3, B=2, I=4, H=5, threads=2)), "numpy_loop")))
    assert len(workers) == 3


def test_a_dead_worker_is_replaced(pool: WorkerPool) -> None:
    """A new worker starts when the dead one is next needed."""
    first = pool.get(Case("a", WORKLOAD), "numpy_loop")
    first.kill()
    assert pool.get(Case("a", WORKLOAD), "numpy_loop") is not first


def test_a_reason_is_not_asked_for_twice(pool: WorkerPool) -> None:
    """A package that is not installed is not looked for again at the next workload."""
    FakeWorker.first_reply = {"status": "unavailable", "reason": "not installed"}
    for _ in range(3):
        with pytest.raises(WorkerLost, match="not installed"):
            pool.get(Case("a", WORKLOAD), "numpy_loop")
    assert FakeWorker.started == 1


def test_a_worker_that_is_lost_at_its_start_is_tried_a_few_times(pool: WorkerPool) -> None:
    """After a few losses at its start it is given up."""
    FakeWorker.first_reply = WorkerLost("crashed", "died of signal 9")
    for _ in range(STARTS_TRIED + 3):
        with pytest.raises(WorkerLost, match="signal 9"):
            pool.get(Case("a", WORKLOAD), "numpy_loop")
    assert FakeWorker.started == STARTS_TRIED


def test_a_start_that_the_budget_ended_is_not_held_against_the_implementation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A start that the budget ended does not count as a loss."""
    monkeypatch.setattr("benchmarks.measuring.processes.pool.Worker", FakeWorker)
    monkeypatch.setattr(FakeWorker, "started", 0)
    monkeypatch.setattr(FakeWorker, "first_reply", WorkerLost("timeout", "start was not done in time"))
    pool = WorkerPool(tmp_path, compiled=tmp_path / "compiled", most_start_seconds=lambda: 60.0)
    for _ in range(STARTS_TRIED + 3):
        with pytest.raises(WorkerLost, match="the budget had ended") as lost:
            pool.get(Case("a", WORKLOAD), "numpy_loop")
        assert lost.value.from_outside
    assert FakeWorker.started == STARTS_TRIED + 3


def test_a_process_that_cannot_be_started_is_a_reason(pool: WorkerPool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error is raised when the worker is needed, not when it is started ahead."""

    def refused(*_: Any, **__: Any) -> None:
        raise WorkerLost("failed", "its process could not be started: no memory", from_outside=True)

    monkeypatch.setattr("benchmarks.measuring.processes.pool.Worker", refused)
    case = Case("a", WORKLOAD)
    pool.start(case, "numpy_loop")
    with pytest.raises(WorkerLost, match="could not be started"):
        pool.get(case, "numpy_loop")
    monkeypatch.setattr("benchmarks.measuring.processes.pool.Worker", FakeWorker)
    assert pool.get(case, "numpy_loop").ready
