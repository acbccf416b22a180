"""A sweep from a TOML file, and durations as people write them.

    name = "my-lengths"          # the file's name when left out
    summary = "what it is for"
    base = "quick"               # start from a preset or published origin: its grids, budget and target
    budget = "5m"                # also a number of seconds
    target_interval = 0.03       # noisy above: half the 95 % interval of the median, as a share of it
    stop_interval = 0.01         # visited again, while the budget lasts, until it is this narrow
    timeout = "2m"               # for building, checking and warming up one case
    deadlines = ["50us", "1ms"]  # the share of a stream's calls that are later is reported

    [[grid]]                     # added to the base's grids; each axis a value or a list
    T = [16, 64, 256]
    H = 512
    mode = "training"

    [override]                   # replaces an axis in every grid
    cell = "lstm"

The axes are those of `Grid`: mode, T, B, I, H, L, bidirectional, cell, bias, dtype, precision, device,
threads, processes, caches, signal, denormals, lengths. One that is left out has the value that `Grid` names.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.quoting import quoted
from benchmarks.reading import read_whole
from benchmarks.sweeps.grid import LONGEST_SECONDS, Grid, Sweep, check_key

DEFAULT_BUDGET_SECONDS = 600.0
"""The budget of a file that names neither a budget nor a base."""

LARGEST_FILE = 2**20
"""Bytes of a sweep file: a device or a data file named by mistake is not read into memory."""

_KEYS = (
    "name",
    "summary",
    "base",
    "budget",
    "target_interval",
    "stop_interval",
    "timeout",
    "deadlines",
    "grid",
    "override",
)
_OTHER_NAMES = {
    "grids": "grid",
    "preset": "base",
    "time": "budget",
    "budget_seconds": "budget",
    "timeout_seconds": "timeout",
    "axes": "override",
}
_DURATION = re.compile(r"(?:(?P<h>\d+(?:\.\d+)?)h)?(?:(?P<m>\d+(?:\.\d+)?)m)?(?:(?P<s>\d+(?:\.\d+)?)s)?", re.ASCII)
_DEADLINE = re.compile(r"(?P<number>\d+(?:\.\d+)?) ?(?P<unit>us|µs|ms|s)", re.ASCII)
_UNITS = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0}
_NUMBER = re.compile(r"\d+(?:\.\d+)?", re.ASCII)


def parse_duration(text: str, what: str = "--budget") -> float:
    """Seconds of `5m`, `90s`, `1h30m`; `what` names the option or key in the error.

    Raises ValueError, showing the form, for anything else, for a number without a unit and for no time at all.
    """
    plain = text.strip()
    expected = "expected a time like 90s, 5m or 1h30m"
    matched = _DURATION.fullmatch(plain)
    if _NUMBER.fullmatch(plain) and float(plain) > 0:
        raise ValueError(
            f"{what} is {quoted(text)}, a number without a unit; {expected}: "
            f"did you mean {plain[:20]}s or {plain[:20]}m?"
        )
    if matched is None or not plain:
        raise ValueError(f"{what} is {quoted(text)}; {expected}")
    hours, minutes, seconds = (float(matched[unit] or 0) for unit in "hms")
    total = 3600 * hours + 60 * minutes + seconds
    if not 0 < total <= LONGEST_SECONDS:
        raise ValueError(
            f"{what} is {quoted(text)}; {expected}, more than 0s and at most {LONGEST_SECONDS / 3600:.0f}h"
        )
    return total


def read_sweep_file(path: Path, named: Callable[[str], Sweep]) -> Sweep:
    """The sweep that a TOML file defines; `named` gives the sweep that `base` names.

    Raises ValueError, naming the file and what is wrong in it.
    """
    try:
        content = read_whole(path, LARGEST_FILE).decode("utf-8-sig")
    except OSError as error:
        raise ValueError(f"sweep file {path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"sweep file {path} is no UTF-8 text: {error}") from error
    except ValueError as error:
        raise ValueError(f"sweep file {path}: {error}; expected a few lines of TOML") from error
    try:
        return _from_document(tomllib.loads(content), path.stem, named)
    except RecursionError as error:
        raise ValueError(
            f"sweep file {path}: its tables or lists are nested too deeply; expected a list at most"
        ) from error
    except ValueError as error:  # TOMLDecodeError is one
        raise ValueError(f"sweep file {path}: {error}") from error


def _from_document(document: dict[str, Any], stem: str, named: Callable[[str], Sweep]) -> Sweep:
    for key in document:
        check_key(key, _KEYS, "key", _OTHER_NAMES)
    base = named(_text(document, "base")) if "base" in document else None
    own = _tables(document)
    grids = (*(base.grids if base else ()), *own)
    if not grids:
        raise ValueError("there is neither a [[grid]] table nor a base; expected one of them, such as base = 'quick'")
    sweep = Sweep(
        name=_text(document, "name", re.sub(r"[^A-Za-z0-9._-]+", "-", stem).lstrip(".-") or "sweep"),
        summary=_text(document, "summary", base.summary if base else ""),
        grids=grids,
        budget_seconds=_seconds(document, "budget", base.budget_seconds if base else DEFAULT_BUDGET_SECONDS),
        target_interval=document.get("target_interval", base.target_interval if base else Sweep.target_interval),
        stop_interval=document.get("stop_interval", base.stop_interval if base else Sweep.stop_interval),
        timeout_seconds=_seconds(document, "timeout", base.timeout_seconds if base else Sweep.timeout_seconds),
        deadlines_seconds=_deadlines(document, base.deadlines_seconds if base else Sweep.deadlines_seconds),
    )
    override = document.get("override", {})
    if not isinstance(override, dict):
        raise ValueError(f"override is {quoted(override)}; expected a table: a line [override], below it axes")
    return sweep.override(**override)


def _deadlines(document: dict[str, Any], otherwise: tuple[float, ...]) -> tuple[float, ...]:
    """The seconds of the deadlines, in ascending order."""
    if "deadlines" not in document:
        return otherwise
    given = document["deadlines"]
    texts = given if isinstance(given, list) else [given]
    found = [_DEADLINE.fullmatch(text) if isinstance(text, str) else None for text in texts]
    seconds = {float(each["number"]) * _UNITS[each["unit"]] for each in found if each is not None}
    if not seconds or None in found:
        raise ValueError(f"deadlines is {quoted(given)}; expected times with a unit, such as '50us' or ['1ms', '10ms']")
    return tuple(sorted(seconds))


def _tables(document: dict[str, Any]) -> tuple[Grid, ...]:
    tables = document.get("grid", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise ValueError(f"grid is {quoted(tables)}; expected tables: a line [[grid]] with two brackets, below it axes")
    return tuple(Grid.from_mapping(table) for table in tables)


def _text(document: dict[str, Any], key: str, otherwise: str = "") -> str:
    value = document.get(key, otherwise)
    if not isinstance(value, str):
        raise ValueError(f"{key} is {quoted(value)}; expected text in quotes")
    return value


def _seconds(document: dict[str, Any], key: str, otherwise: float) -> float:
    """The seconds of a duration under a key: text as people write it, or a number of seconds."""
    value = document.get(key, otherwise)
    if isinstance(value, str):
        return parse_duration(value, key)
    if type(value) not in (int, float):
        raise ValueError(f"{key} is {quoted(value)}; expected a duration such as '5m' or a number of seconds")
    if not 0 < value <= LONGEST_SECONDS:  # before it becomes a float, which a number of 400 digits cannot
        raise ValueError(f"{key} is {quoted(value)}; expected more than 0 and at most {LONGEST_SECONDS:.0f} seconds")
    return float(value)
