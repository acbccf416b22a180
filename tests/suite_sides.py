"""Sides of a comparison whose suite is made on the spot."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.regression.processes.pytest_command import Side


def suite(folder: Path, files: dict[str, str]) -> Side:
    """A side whose suite is the folder `bench` with these files; a name `../x` puts a file above it."""
    (folder / "bench").mkdir()
    for name, text in files.items():
        (folder / "bench" / name).write_text(text)
    return Side("head", folder, sys.executable, "bench")
