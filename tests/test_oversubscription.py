"""On an oversubscribed machine `fused_cpu` is slower, but does not fall behind.

`pytest -m oversubscribed -s` prints by how much; it takes two minutes, and keeps every core busy all the while.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.runs.frames import load_run

pytestmark = pytest.mark.oversubscribed

WORKLOADS = (
    "--seq-len",
    "128",
    "--batch",
    "1,16",
    "--hidden",
    "64,256",
    "--layers",
    "1",
    "--mode",
    "inference,training",
)
PLACE = ("--device", "cpu", "--dtype", "float32", "--threads", "2", "--budget", "120s")


@pytest.fixture
def _busy_processes() -> Iterator[None]:
    """Twice as many processes as cores that compute all the time."""
    processes = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2 * len(os.sched_getaffinity(0)))
    ]
    yield
    for process in processes:
        process.kill()
        process.wait()


@pytest.mark.usefixtures("_busy_processes")
def test_two_threads_among_busy_processes_keep_up_with_nn_rnn(tmp_path: Path) -> None:
    """Every workload takes less than ten times as long as `nn_rnn` in turns with it."""
    implementations = ("--impl", "fused_cpu", "--impl", "nn_rnn")
    command = [sys.executable, "-m", "benchmarks", "sweep", *implementations, *WORKLOADS, *PLACE, "--out", "run"]
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    environment["PYTHONPATH"] = str(Path(__file__).parent.parent)
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (tmp_path / "run" / "trials.jsonl").exists(), done.stderr
    cases = load_run(tmp_path / "run").set_index(["workload", "implementation"])
    fused = cases.xs("fused_cpu", level="implementation")
    for workload, row in fused.iterrows():
        print(f"{workload}: {row['speedup']:.2f} times as fast as nn_rnn; others took {row['elsewhere_share']:.0%}")
    assert not fused.empty
    assert (fused["speedup"] > 0.1).all(), fused["speedup"]
