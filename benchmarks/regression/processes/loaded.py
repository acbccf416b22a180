"""The modules that a dry run of a suite (every test once, unmeasured) loaded, with their files, or did not find."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class Loaded:
    """The code that a process loaded."""

    modules: Mapping[str, tuple[Path, ...]] = dataclasses.field(default_factory=dict)
    """{module: its files}."""
    missing: Mapping[str, tuple[Path, ...]] = dataclasses.field(default_factory=dict)
    """{module that was not found: the folders that were searched}."""
    libraries: tuple[Path, ...] = ()
    """The shared libraries that are mapped."""
    read: tuple[Path, ...] = ()
    """The files of Python code that were opened and are no module's, as by runpy, exec or a loader of the suite's."""
    path: tuple[Path, ...] = ()
    """`sys.path`."""
    standard: tuple[Path, ...] = ()
    """The folders of Python's own library."""
    prefixes: tuple[Path, ...] = ()
    """The folders of the environment."""

    def merged(self, later: Loaded) -> Loaded:
        """The code of one process together with that of a later one, which ran other tests of the same suite."""
        return Loaded(
            modules=_joined(self.modules, later.modules),
            missing=_joined(self.missing, later.missing),
            libraries=_once(self.libraries, later.libraries),
            read=_once(self.read, later.read),
            path=_once(self.path, later.path),
            standard=_once(self.standard, later.standard),
            prefixes=_once(self.prefixes, later.prefixes),
        )


def read_loaded(folder: Path) -> Loaded | None:
    """The record that the plugin `rnnbench_origins` wrote in a folder; None where the process ended before that."""
    try:
        content = json.loads((folder / "loaded.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return Loaded(
        modules={name: _paths(files) for name, files in content["modules"].items()},
        missing={name: _paths(folders) for name, folders in content["missing"].items()},
        libraries=_paths(content["libraries"]),
        read=_paths(content["read"]),
        path=_paths(content["path"]),
        standard=_paths(content["standard"]),
        prefixes=_paths(content["prefixes"]),
    )


def _joined(
    first: Mapping[str, tuple[Path, ...]], second: Mapping[str, tuple[Path, ...]]
) -> dict[str, tuple[Path, ...]]:
    return {name: _once(first.get(name, ()), second.get(name, ())) for name in (*first, *second)}


def _once(*paths: tuple[Path, ...]) -> tuple[Path, ...]:
    return tuple(dict.fromkeys(path for each in paths for path in each))


def _paths(names: list[str]) -> tuple[Path, ...]:
    return tuple(map(Path, names))
