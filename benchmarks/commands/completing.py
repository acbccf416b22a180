"""What a shell offers for the value of an argument or option, once completion is installed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

MOST_FOLDERS = 1000
"""The most folders that are looked at for runs."""


def sweeps(incomplete: str) -> list[str]:
    """The names of sweeps."""
    from benchmarks.sweeps import sweep_names

    return _beginning(incomplete, sweep_names())


def implementations(incomplete: str) -> list[str]:
    """The names of implementations, after those that are typed already with commas between."""
    from rnnimpl.registry import names

    before, comma, last = incomplete.rpartition(",")
    return [f"{before}{comma}{name}" for name in _beginning(last, names())]


def run_folders(incomplete: str) -> list[str]:
    """The run folders in `results`, and in the folder that is typed already."""
    from benchmarks.store import RUN_FILE

    typed, slash, _ = incomplete.rpartition("/")
    places = dict.fromkeys((Path(typed or slash or "results"), Path("results")))
    folders = [folder for place in places if place.is_dir() for folder in sorted(place.iterdir())[:MOST_FOLDERS]]
    return _beginning(incomplete, (str(folder) for folder in folders if (folder / RUN_FILE).is_file()))


def tables(incomplete: str) -> list[str]:
    """The names of tables."""
    from benchmarks.reporting.tables import TABLES

    return _beginning(incomplete, TABLES)


def _beginning(incomplete: str, words: Iterable[str]) -> list[str]:
    return [word for word in words if word.startswith(incomplete)]
