"""Visits that something outside ends: tried again, given up, and counted against nobody."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.runs.pooling import pool
from benchmarks.store import Run, StoreError, open_run
from tests.small_sweeps import measure, new_run, small_sweep

FAULTY = "tests.faulty_implementations"


@pytest.fixture(autouse=True)
def one_visit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Visit each workload once, however noisy the machine is that the tests run on."""
    monkeypatch.setattr("benchmarks.measuring.sweeping.runner.MAX_VISITS", 1)


@pytest.fixture
def killed_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], dict[str, str]]:
    """Names an implementation that is killed at some of its visits, beside one that is not, and allows five visits."""
    monkeypatch.setattr("benchmarks.measuring.sweeping.runner.MAX_VISITS", 5)
    monkeypatch.setattr("benchmarks.measuring.sweeping.runner.LEAST_VISITS", 3)
    monkeypatch.setenv("VISITS_MADE", str(tmp_path / "made"))

    def killed(visits: str) -> dict[str, str]:
        monkeypatch.setenv("VISITS_KILLED", visits)
        return {"mine": f"{FAULTY}:KilledAtVisits", "other": "numpy_loop"}

    return killed


def statuses(run: Run, name: str) -> list[tuple[int, str]]:
    """Round and status of the trials of an implementation."""
    return [(trial.round, trial.status) for trial in open_run(run.folder).trials() if trial.case.implementation == name]


def test_a_case_whose_worker_was_killed_is_tried_again(
    tmp_path: Path, killed_at: Callable[[str], dict[str, str]]
) -> None:
    """The later visit is in turns with the others of the workload; the first trial says what was lost."""
    sweep = small_sweep().override(mode="inference")
    implementations = killed_at("0")
    run = new_run(tmp_path, sweep, implementations)
    assert measure(run, sweep, implementations, tmp_path)[0]
    assert statuses(run, "mine") == [(0, "crashed"), (1, "measured"), (2, "measured")]
    assert statuses(run, "other") == [(0, "measured"), (1, "measured"), (2, "measured")]
    assert "signal 9" in str(open_run(run.folder).trials()[0].lost)


def test_a_later_visit_that_is_killed_costs_no_earlier_one(
    tmp_path: Path, killed_at: Callable[[str], dict[str, str]]
) -> None:
    """Earlier times stay, and the case is visited again."""
    sweep = small_sweep().override(mode="inference")
    implementations = killed_at("1")
    run = new_run(tmp_path, sweep, implementations)
    measure(run, sweep, implementations, tmp_path)
    assert statuses(run, "mine") == [(0, "measured"), (1, "crashed"), (2, "measured")]
    pooled = {case.case.implementation: case for case in pool(open_run(run.folder).trials(), 0.99).values()}
    assert pooled["mine"].measured
    assert sum(len(blocks) for _, blocks in pooled["mine"].visits) == 12


def test_a_case_that_is_killed_again_and_again_is_given_up(
    tmp_path: Path, killed_at: Callable[[str], dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The losses of continued runs count together."""
    monkeypatch.setattr("benchmarks.measuring.sweeping.runner.LOSSES_TRIED", 2)
    sweep = small_sweep().override(mode="inference")
    implementations = killed_at("0 1 2 3 4 5 6 7")
    run = new_run(tmp_path, sweep, implementations)
    measure(run, sweep, implementations, tmp_path)
    assert statuses(run, "mine") == [(0, "crashed"), (1, "crashed")]
    measure(open_run(run.folder), sweep, implementations, tmp_path)
    assert len(statuses(run, "mine")) == 2


def test_a_continued_run_measures_again_what_was_killed(
    tmp_path: Path, killed_at: Callable[[str], dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A killed case is measured when the run goes on; a case that failed by itself is left alone."""
    sweep = small_sweep().override(mode="inference")
    implementations = killed_at("0") | {"dies": f"{FAULTY}:Dies"}
    run = new_run(tmp_path, sweep, implementations)
    monkeypatch.setattr("benchmarks.measuring.sweeping.runner.MAX_VISITS", 1)
    measure(run, sweep, implementations, tmp_path)
    assert statuses(run, "mine") == [(0, "crashed")]
    monkeypatch.setattr("benchmarks.measuring.sweeping.runner.MAX_VISITS", 2)
    measure(open_run(run.folder), sweep, implementations, tmp_path)
    assert statuses(run, "mine") == [(0, "crashed"), (1, "measured")]
    assert statuses(run, "dies") == [(0, "crashed")]


def test_a_hang_ends_with_the_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The budget ends a hang before the sweep's timeout, and the trial says that the visit was lost."""
    monkeypatch.setattr("benchmarks.measuring.visits.visit.BUDGET_GRACE_SECONDS", 0.5)
    sweep = small_sweep(budget_seconds=3.0, timeout_seconds=600.0).override(mode="inference")
    implementations = {"hangs": f"{FAULTY}:Hangs"}
    run = new_run(tmp_path, sweep, implementations)
    measure(run, sweep, implementations, tmp_path)
    (trial,) = open_run(run.folder).trials()
    assert trial.status == "timeout"
    assert "the budget had ended" in str(trial.reason)
    assert trial.lost == trial.reason


def test_an_implementation_that_removes_the_run_ends_it_with_a_sentence(tmp_path: Path) -> None:
    """The sweep ends, and makes no folder in place of the removed one."""
    sweep = small_sweep().override(mode="inference")
    implementations = {"numpy_loop": "numpy_loop", "removes": f"{FAULTY}:RemovesRunFolder"}
    run = new_run(tmp_path, sweep, implementations)
    with pytest.raises(StoreError, match=r"cannot write .*its folder is gone"):
        measure(run, sweep, implementations, tmp_path)
    assert not run.folder.exists()
