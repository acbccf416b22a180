"""Campaigns of tiny workloads, measured for real by the command line, in a checkout of this project."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.runs.campaign import Campaign, open_campaign
from benchmarks.runs.loading import load_runs
from tests.own_code_projects import git

ROOT = Path(__file__).parent.parent
IMPLEMENTATIONS = ("numpy_loop", "numpy_hoisted")
SWEEP = """
name = "tiny"
target_interval = 0.9
stop_interval = 0.9
budget = "{budget}"

[[grid]]
mode = {modes}
T = 3
B = {batches}
I = 4
H = 5
threads = 1
device = "cpu"
"""


def write_sweep(
    folder: Path, *, batches: tuple[int, ...] = (1, 2), modes: tuple[str, ...] = ("inference",), budget: str = "60s"
) -> Path:
    """The file of a sweep with a workload for each mode and batch size."""
    file = folder / "tiny.toml"
    file.write_text(SWEEP.format(budget=budget, batches=list(batches), modes=json.dumps(modes)))
    return file


def checkout(tmp_path: Path) -> Path:
    """A git checkout of its own with this project's code as it stands here, committed or not."""
    place = tmp_path / "checkout"
    for package in ("benchmarks", "rnnimpl"):
        shutil.copytree(ROOT / package, place / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / ".gitignore", place)
    for words in (("init", "--quiet"), ("add", "."), ("commit", "--quiet", "-m", "as it stands")):
        git(place, *words)
    return place


def environment(tmp_path: Path) -> dict[str, str]:
    """The environment of the command line: the code of the test's checkout, temporary files of the test's own."""
    place = tmp_path / "checkout"
    if not place.exists():
        checkout(tmp_path)
    return os.environ | {"PYTHONPATH": str(place), "TMPDIR": str(tmp_path), "COLUMNS": "200"}


def command(*words: str, tmp_path: Path, status: int = 0) -> subprocess.CompletedProcess[str]:
    """Run `python -m benchmarks sweep` in the test's folder, and expect it to end with a status."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "sweep", *words],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=560,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done


def chosen() -> list[str]:
    """The options that choose the implementations."""
    return [word for name in IMPLEMENTATIONS for word in ("--impl", name)]


def assert_measured_once(folder: Path) -> Campaign:
    """Every case of every part has times, and none counts twice in a round, on whatever nodes."""
    campaign = open_campaign(folder)
    expected = {
        (part.kind, f"{name}/{each.id}")
        for part in campaign.parts
        for each in part.workloads
        for name in IMPLEMENTATIONS
    }
    measured = []
    for run in load_runs(folder):
        # Nodes with other peaks, as a busy machine may give them, are shown as machines of their own: zen (n1).
        kind = run.machine.partition(" ")[0]
        measured += [(kind, case.id, each.round) for case, pooled in run.cases.items() for each, _ in pooled.visits]
    assert {(kind, case) for kind, case, _ in measured} == expected
    assert len(measured) == len(set(measured))
    return campaign
