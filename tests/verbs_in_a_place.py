"""Verbs called in a folder of a test's own, and what they are refused with."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from benchmarks.__main__ import app
from tests.precious_files import content

MEASURING = (
    *("measuring.sweeping.launch.measure_peaks", "profiling.profile.measure_peaks", "training.train.reference_losses"),
    *("regression.calibration.measuring.dry_run", "regression.regress.regress", "history.findings.find_history"),
    *("measuring.conditions.lock.open_lock_file", "regression.environments.revisions.worktree"),
)
"""The functions of `benchmarks` with which the verbs begin to measure or to compute."""


def run(*words: str) -> Result:
    """The result of a command line; a fault of this project is raised."""
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, list(words), catch_exceptions=False)


def refused(*words: str) -> str:
    """The message that refuses a command line, which has changed nothing."""
    before = content(Path.cwd().parent)
    result = run(*words)
    assert result.exit_code == 2, result.output
    after = content(Path.cwd().parent)
    assert {name: text for name, text in after.items() if not name.startswith("temporary/")} == before
    return " ".join(result.output.split())


def measured(*_: object, **__: object) -> Any:
    raise AssertionError("something was measured")


def git(*words: str) -> str:
    identity = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.com")
    command = ["git", *identity, *words]  # the git that is on the path
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
