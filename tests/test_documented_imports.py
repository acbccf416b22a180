"""Imports that the documentation shows work, and those that earlier documentation showed."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
EARLIER = (
    ("benchmarks.reporting.frames", "load_samples"),
    ("benchmarks.reporting.frames", "load_run"),
    *(("benchmarks.reporting.ratios", name) for name in ("ratios", "ratios_frame")),
    *(("benchmarks.reporting.setting_answers", name) for name in ("SettingAnswer", "answers_frame", "setting_answers")),
    ("benchmarks.profiling.report", "rewrite"),
    *(("benchmarks.machine.bounds", name) for name in ("LIMIT_NAMES", "bound", "share_of_attainable", "what_bounds")),
)


def documented() -> list[tuple[str, str]]:
    """(module, name) of each `from benchmarks... import ...` of the documentation."""
    found = []
    for page in PAGES:
        for module, names in re.findall(r"from (benchmarks[.\w]*) import ([\w, ]+)", page.read_text(encoding="utf-8")):
            found += [(module, name.strip()) for name in names.split(",")]
    return sorted(set(found))


@pytest.mark.parametrize(("module", "name"), [*documented(), *EARLIER])
def test_a_documented_import_works(module: str, name: str) -> None:
    assert getattr(importlib.import_module(module), name)


def test_the_documentation_shows_imports() -> None:
    assert ("benchmarks", "load_run") in documented()
