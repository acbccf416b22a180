"""Reports of made-up trials, and their sections."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.reporting.report import build_report
from benchmarks.trial import Trial
from tests.synthetic_runs import run_of, typed


def report(folder: Path, trials: list[Trial], **fields: Any) -> str:
    """The report of a run of these trials."""
    run_of(folder, trials, **fields)
    return typed(build_report(folder).read_text(encoding="utf-8"))


def section(text: str, title: str) -> str:
    """The text under a heading of the second level."""
    return text.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0].strip()
