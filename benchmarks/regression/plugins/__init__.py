"""Pytest plugins that run in the environment of the project under test; each process gets copies of them."""

from pathlib import Path

TURNS, OPTIONS, CONVENTIONS, ORIGINS = (
    Path(__file__).parent / f"rnnbench_{name}.py" for name in ("turns", "options", "conventions", "origins")
)
"""The plugins' files. `ORIGINS` is for the dry run alone: it writes `loaded.json` beside the copy that runs."""
