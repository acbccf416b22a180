"""A pytest plugin for the dry run: it records the file of each loaded module, and the modules that were not found.

It runs in the environment of the project under test, so it imports nothing but the standard library and pytest. Beside
this file it writes `loaded.json`, again after each test that has loaded more:

    {"modules": {NAME: [FILE, ...]}, "missing": {NAME: [FOLDER that was searched, ...]},
     "libraries": [FILE of a shared library that is mapped, ...], "path": [sys.path],
     "read": [FILE of Python code that was opened and is no module's, ...],
     "standard": [FOLDER of Python's own library, ...], "prefixes": [FOLDER of the environment, ...]}

A namespace package has no file and no code of its own, so only its modules are recorded. Files are absolute, under the
names that the import system gave them, and links are not followed.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

import pytest

_HERE = Path(__file__).parent
_modules: dict[str, list[str]] = {}
_missing: dict[str, list[str]] = {}
_raw: set[tuple[str, str]] = set()
_read: dict[str, None] = {}
_written = (-1, -1, -1)


class _NotFound:
    """The last finder of the import system, which records the modules that no other finder has found."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, _target: object = None) -> None:
        _missing.setdefault(name, [str(Path(folder).absolute()) for folder in path or ()])


sys.meta_path.append(_NotFound)


def _note_read(event: str, arguments: tuple[object, ...]) -> None:
    """Record a file of code that is opened: what runs by runpy, exec or a loader of its own is no module."""
    if event != "open" or not isinstance(arguments[0], str) or not arguments[0].endswith((".py", ".pyc")):
        return
    try:
        # A relative name has to be resolved before a test changes the current folder.
        file = str(Path(arguments[0]).absolute())
        _read.setdefault(importlib.util.source_from_cache(file) if file.endswith("c") else file)
    except (OSError, ValueError):
        return


sys.addaudithook(_note_read)


def _note_modules() -> None:
    for name, module in list(sys.modules.items()):
        try:
            # getattr would make lazy modules load more than the suite does.
            file = object.__getattribute__(module, "__dict__").get("__file__")
        except AttributeError:
            continue
        if isinstance(file, str) and (name, file) not in _raw:
            # A relative name has to be resolved before a test changes the current folder.
            _raw.add((name, file))
            absolute = str(Path(file).absolute())
            if Path(absolute).parent != _HERE:
                _modules.setdefault(name, []).append(absolute)


def _libraries() -> list[str]:
    """The shared libraries that this process has mapped, where the operating system lists them."""
    try:
        maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return []
    paths = {line.split(maxsplit=5)[5] for line in maps.splitlines() if line.count("/")}
    return sorted(path for path in paths if path.startswith("/") and ".so" in path.rpartition("/")[2])


def _write() -> None:
    global _written
    _note_modules()
    counts = len(_raw), len(_missing), len(_read)
    if _written == counts:
        return
    _written = counts
    of_modules = {file for files in _modules.values() for file in files}
    standard = {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}
    content = {
        "modules": _modules,
        "missing": {name: folders for name, folders in _missing.items() if name not in sys.modules},
        "libraries": _libraries(),
        "read": [file for file in _read if file not in of_modules and Path(file).parent != _HERE],
        "path": [str(Path(entry).absolute()) for entry in sys.path],
        "standard": sorted(standard),
        "prefixes": sorted({sys.prefix, sys.base_prefix, sys.exec_prefix}),
    }
    part = _HERE / "loaded.json.part"
    part.write_text(json.dumps(content), encoding="utf-8")
    part.replace(_HERE / "loaded.json")


def pytest_collection_finish() -> None:
    """Record the modules that collecting the tests has loaded."""
    _write()


@pytest.hookimpl(trylast=True)
def pytest_runtest_logfinish() -> None:
    """Record the modules that a test has loaded, even if it unloads them later."""
    _write()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    """Record the modules that are loaded at the end, and the libraries that are mapped."""
    global _written
    _written = (-1, -1, -1)
    _write()
