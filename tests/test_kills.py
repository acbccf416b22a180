"""Kill a sweep, or one of its workers, at random moments: nothing that was written is lost, and it can go on.

A few kills in an ordinary test run; `python -m pytest tests/test_kills.py --kills 20` makes 20 of each.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from benchmarks.runs.pooling import pool
from benchmarks.store import open_run
from benchmarks.trial import Trial

pytestmark = pytest.mark.kills

IMPLEMENTATIONS = ("numpy_loop", "numpy_hoisted", "again=numpy_loop")
SWEEP = """
name = "kills"
target_interval = 0.9
stop_interval = 0.9
budget = "20s"

[[grid]]
T = 8
B = [1, 4]
I = 8
H = 8
threads = 1
device = "cpu"
"""
CASES = 2 * 2 * len(IMPLEMENTATIONS)


def command(folder: Path, tmp_path: Path) -> list[str]:
    """The sweep on its first start, and with --resume from then on."""
    start = [sys.executable, "-m", "benchmarks", "sweep"]
    if (folder / "run.json").exists():
        return [*start, "--resume", str(folder)]
    file = tmp_path / "kills.toml"
    file.write_text(SWEEP)
    chosen = [word for name in IMPLEMENTATIONS for word in ("--impl", name)]
    return [*start, str(file), *chosen, "--out", str(folder)]


def launch(folder: Path, tmp_path: Path) -> subprocess.Popen[bytes]:
    """Start the sweep as a person would, with a lock of its own."""
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    with (tmp_path / "output.txt").open("ab") as log:
        # In a session of its own, so that a signal to its group reaches nobody else; and with SIGINT as a terminal
        # gives it, which a test run in the background does not have.
        return subprocess.Popen(
            command(folder, tmp_path),
            stdout=log,
            stderr=log,
            env=environment,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )


def written(folder: Path) -> list[bytes]:
    """The whole lines of trials so far."""
    path = folder / "trials.jsonl"
    return (
        [line for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")] if path.exists() else []
    )


def settle(folder: Path, tmp_path: Path) -> list[Trial]:
    """Let the sweep go on to its end, as often as its budget asks for on a busy machine; its trials."""
    for _ in range(10):
        sweep = launch(folder, tmp_path)
        assert sweep.wait(timeout=300) == 0, (tmp_path / "output.txt").read_text()
        if json.loads((folder / "run.json").read_text())["finished_at"]:
            break
    return open_run(folder).trials()


def living_workers(sweep: psutil.Process) -> list[psutil.Process]:
    """The processes of workers that are there: each worker, and the supervisor between it and the sweep."""
    found = []
    for child in sweep.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if "benchmarks.measuring.processes.worker" in " ".join(child.cmdline()):
                found.append(child)
    return found


def assert_whole(trials: list[Trial]) -> None:
    """Every case is there, none was measured twice in a round, and none failed but for a kill."""
    assert len({trial.case.id for trial in trials}) == CASES
    assert max(Counter((trial.case.id, trial.round) for trial in trials).values()) == 1


def test_a_sweep_that_is_killed_loses_nothing_that_was_written(
    tmp_path: Path, kills: int, record_property: Callable[[str, object], None]
) -> None:
    """SIGKILL to the parent: trials on disk stay, no worker outlives it, and --resume completes the run."""
    folder = tmp_path / "run"
    generator = random.Random(1)
    kept: list[bytes] = []
    landed = 0
    for _ in range(kills):
        sweep = launch(folder, tmp_path)
        children: list[psutil.Process] = []
        deadline = time.monotonic() + generator.uniform(0.5, 5.0)
        while time.monotonic() < deadline and sweep.poll() is None:
            children = psutil.Process(sweep.pid).children(recursive=True) or children
            time.sleep(0.02)
        landed += sweep.poll() is None
        sweep.send_signal(signal.SIGKILL)
        sweep.wait()
        _, alive = psutil.wait_procs(children, timeout=10)
        assert alive == [], "a worker outlived the sweep that started it"
        now = written(folder)
        assert now[: len(kept)] == kept, "a trial that was on disk has gone"
        kept = now
    record_property("kills that landed", landed)
    trials = settle(folder, tmp_path)
    assert written(folder)[: len(kept)] == kept
    assert_whole(trials)
    assert {trial.status for trial in trials} <= {"measured"}


def test_a_worker_that_is_killed_costs_its_own_trial_and_no_other(
    tmp_path: Path, kills: int, request: pytest.FixtureRequest
) -> None:
    """SIGKILL to workers: their trials say so, they are replaced, and every case has a time in the end."""
    folder = tmp_path / "run"
    generator = random.Random(2)
    sweep = launch(folder, tmp_path)
    request.addfinalizer(sweep.kill)
    parent = psutil.Process(sweep.pid)
    landed = 0
    while landed < kills and sweep.poll() is None:
        time.sleep(generator.uniform(0.1, 0.6))
        workers = living_workers(parent)
        if workers and written(folder):
            generator.choice(workers).kill()
            landed += 1
    assert sweep.wait(timeout=300) == 0, (tmp_path / "output.txt").read_text()
    assert landed > 0
    trials = settle(folder, tmp_path)
    assert_whole(trials)
    crashed = [trial for trial in trials if trial.status == "crashed"]
    assert all("signal 9" in str(trial.reason) for trial in crashed), {trial.reason for trial in crashed}
    assert len(crashed) <= landed, [
        (trial.case.id, trial.round, trial.started_at, trial.finished_at) for trial in crashed
    ]
    assert {trial.status for trial in trials} <= {"measured", "crashed"}
    assert all(case.measured for case in pool(trials, 0.9).values()), "a kill left a case without a time"


def test_ctrl_c_leaves_a_run_that_goes_on(tmp_path: Path) -> None:
    """SIGINT to the whole group, as a terminal sends it: exit status 130, no worker left, and --resume completes it."""
    folder = tmp_path / "run"
    sweep = launch(folder, tmp_path)
    while len(written(folder)) < 4:
        assert sweep.poll() is None
        time.sleep(0.02)
    children = psutil.Process(sweep.pid).children(recursive=True)
    os.killpg(sweep.pid, signal.SIGINT)
    assert sweep.wait(timeout=60) == 130
    _, alive = psutil.wait_procs(children, timeout=10)
    assert alive == []
    output = (tmp_path / "output.txt").read_text()
    assert "--resume" in output
    assert "Traceback" not in output
    kept = written(folder)
    assert json.loads((folder / "run.json").read_text())["finished_at"] is None
    assert_whole(settle(folder, tmp_path))
    assert written(folder)[: len(kept)] == kept
