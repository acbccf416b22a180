"""One visit to one case, on a made-up worker: what is kept when the worker is lost before the visit is over."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks.measuring.checking.call_checking import SpotCheck
from benchmarks.measuring.measure import CheckedCall
from benchmarks.measuring.processes.interference import CoreSeconds
from benchmarks.measuring.processes.lost import BUDGET_GRACE_SECONDS, WorkerLost
from benchmarks.measuring.processes.process import Worker
from benchmarks.measuring.visits.visit import LEAST_BLOCKS_KEPT, Visit
from benchmarks.sweeps import load_sweep
from benchmarks.workload import Case, Workload

WORKLOAD = Workload(mode="inference", T=3, B=2, I=4, H=5)
SWEEP = load_sweep("default")
KILLED = WorkerLost("crashed", "died of signal 9 (Killed)", from_outside=True)
FAULT = WorkerLost("crashed", "died of signal 11 (Segmentation fault)")


class FakeWorker(Worker):
    """Answers with blocks of two samples, is lost at the block `lost_at`, and notes how long it was given."""

    def __init__(self, *, lost: WorkerLost | None = None, lost_at: int = 0, suspended_at: int | None = None) -> None:
        self.lost = lost
        self.lost_at = lost_at
        self.suspended_at = suspended_at
        self.blocks = 0
        self.pid = os.getpid()
        self.clock_offset = 0.0
        self.timeouts: list[float] = []
        self.suspended_seconds = 0.0

    most_helpers = 2
    unsuspended_seconds = 0.5

    def begin_visit(self) -> None:
        """There is nothing to forget."""

    def read_interference(self) -> CoreSeconds:
        return CoreSeconds(0.0, 0.0, 0.0)

    def ask(self, request: dict[str, Any], timeout_seconds: float) -> dict[str, Any]:
        self.timeouts.append(timeout_seconds)
        if request["do"] == "results":
            np.savez(request["results"])
            return {}
        if request["do"] != "block":
            return {"calls_per_sample": 1} if request["do"] == "prepare" else {"peak_bytes": 1}
        if self.lost is not None and self.blocks == self.lost_at:
            raise self.lost
        self.suspended_seconds = 3600.0 if self.blocks == self.suspended_at else 0.0
        self.blocks += 1
        began = time.perf_counter() + self.clock_offset
        samples = {"seconds": [1e-9, 2e-9], "backward_seconds": [0.0, 0.0]}
        return {**samples, "began": began, "ended": began + 1e-6, "untimed": 0.0, "calls": 2}


CHECK = SpotCheck(CheckedCall(place=0.5, feature=0, seed=1), (0,), 1, weights=False, values={}, limits={}, sizes={})
"""A check of a call without results."""


@pytest.fixture
def visited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Visit]:
    """Makes a visit of six blocks, or as many as there can be, of which the first call is not checked."""
    monkeypatch.setattr("benchmarks.measuring.checking.call_checking.prepare", lambda ask, *_: ask({"do": "prepare"}))
    expected: Any = SimpleNamespace(steps=3, seed=1)

    def visited(worker: FakeWorker, *, budget_left: float = 1e9) -> Visit:
        visit = Visit(Case("mine", WORKLOAD), "mine", 0, budget_left=lambda: budget_left)
        visit.prepare(worker, expected, SWEEP, tmp_path / "results.npz")
        for _ in range(6):
            if visit.goes_on:
                visit.take_block(CHECK)
        return visit

    return visited


def test_blocks_from_before_a_kill_are_kept_where_they_are_enough(visited: Callable[..., Visit]) -> None:
    """The trial has the blocks, and says that the visit was lost."""
    visit = visited(FakeWorker(lost=KILLED, lost_at=LEAST_BLOCKS_KEPT))
    assert not visit.ended
    assert not visit.goes_on
    visit.end("measured")
    trial = visit.trial()
    assert (trial.status, trial.blocks, trial.lost) == ("measured", (2,) * LEAST_BLOCKS_KEPT, KILLED.reason)


def test_a_visit_that_was_cut_short_is_held_against_the_clock(visited: Callable[..., Visit]) -> None:
    """Kept blocks are checked against the clock as others are."""
    worker = FakeWorker(lost=KILLED, lost_at=LEAST_BLOCKS_KEPT)
    worker.clock_offset = -100.0
    visit = visited(worker)
    visit.finish()
    assert (visit.status, visit.seconds) == ("wrong", [])


def test_a_visit_that_is_killed_early_has_no_times(visited: Callable[..., Visit]) -> None:
    """The trial has the status and the reason, and says that the visit was lost."""
    trial = visited(FakeWorker(lost=KILLED, lost_at=LEAST_BLOCKS_KEPT - 1)).trial()
    assert (trial.status, trial.seconds, trial.reason, trial.lost) == ("crashed", (), KILLED.reason, KILLED.reason)


def test_an_implementation_that_dies_by_itself_keeps_no_blocks(visited: Callable[..., Visit]) -> None:
    """Five blocks before a crash of its own are dropped."""
    trial = visited(FakeWorker(lost=FAULT, lost_at=5)).trial()
    assert (trial.status, trial.seconds, trial.reason, trial.lost) == ("crashed", (), FAULT.reason, None)


def test_a_block_in_which_the_machine_was_suspended_is_not_kept(visited: Callable[..., Visit]) -> None:
    """The trial says that a block is missing, since its samples may contain the suspension."""
    visit = visited(FakeWorker(suspended_at=2))
    visit.end("measured")
    trial = visit.trial()
    assert len(trial.blocks) == 5
    assert "suspended for 3600 s" in str(trial.lost)


def test_a_request_has_the_time_that_the_budget_leaves(visited: Callable[..., Visit]) -> None:
    """A request ends with the budget and its grace, where that is before the sweep's timeout."""
    early, late = FakeWorker(), FakeWorker()
    visited(early)
    assert set(early.timeouts) == {SWEEP.timeout_seconds}
    visited(late, budget_left=-5.0)
    assert set(late.timeouts) == {BUDGET_GRACE_SECONDS}


def test_a_request_that_the_budget_ended_is_not_held_against_the_implementation(visited: Callable[..., Visit]) -> None:
    """The reason says so, and the case can be tried again."""
    worker = FakeWorker(lost=WorkerLost("timeout", "block was not done in time"))
    trial = visited(worker, budget_left=0.0).trial()
    assert trial.status == "timeout"
    assert "the budget had ended" in str(trial.reason)
    assert trial.lost == trial.reason


def test_a_timeout_within_the_budget_is_the_implementations(visited: Callable[..., Visit]) -> None:
    """A timeout within the budget is a hang of the implementation."""
    trial = visited(FakeWorker(lost=WorkerLost("timeout", "block was not done in time"))).trial()
    assert (trial.status, trial.lost) == ("timeout", None)


def test_a_trial_says_which_processes_the_implementation_had(visited: Callable[..., Visit]) -> None:
    """Their number, and their core time while suspended, are in the trial."""
    visit = visited(FakeWorker())
    visit.end("measured")
    assert (visit.trial().helper_processes, visit.trial().unsuspended_seconds) == (2, 0.5)


def test_a_quantity_that_is_not_declared_is_an_error(visited: Callable[..., Visit]) -> None:
    """An undeclared quantity raises; a declared one is in the trial."""
    visit = visited(FakeWorker())
    with pytest.raises(TypeError, match=r"swap_bytes, turbo of a visit is undeclared"):
        visit.record(turbo=1, swap_bytes=2, peak_bytes=3)
    visit.record(peak_bytes=3)
    visit.end("measured")
    assert visit.trial().peak_bytes == 3
