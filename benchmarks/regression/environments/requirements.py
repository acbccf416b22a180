"""The needs of a suite: what is installed for it, and the extras and dependency groups of a project for its tests."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from configparser import ConfigParser
from configparser import Error as ConfigError
from pathlib import Path
from typing import Any

from benchmarks.regression.environments.sources import normalized, read_text, toml

FOR_TESTS = ("test", "tests", "testing", "bench", "benchmark", "benchmarks")
"""The names of extras and groups that a suite may need."""
_OTHERWISE = ("dev",)
"""The names that count where a project has none of `FOR_TESTS`: they hold more than a suite needs."""


@dataclasses.dataclass(frozen=True)
class Needs:
    """The needs of a suite beside the project and its dependencies."""

    install: tuple[str, ...] = ()
    """Requirements that pip installs into the environments of the revisions."""
    extras: tuple[str, ...] | None = None
    """The extras of the project; those of the usual names if None."""
    groups: tuple[str, ...] | None = None
    """The dependency groups of the project; those of the usual names if None."""
    build: tuple[tuple[str, ...], ...] = ()
    """The commands that run in a copy of each revision before it is built, each as its words."""
    options: tuple[str, ...] = ()
    """Further words for pytest."""


NOTHING_ELSE = Needs()
"""A suite that needs the project, its dependencies and what it names for its tests."""


def extras_of(project: Path, chosen: Sequence[str] | None) -> list[str]:
    """The extras to install. Raises ValueError for a chosen one that the project does not have."""
    return extras_for_tests(project) if chosen is None else _known(chosen, _extras(project), "extra", project)


def requirements_of(project: Path, chosen: Sequence[str] | None) -> list[str]:
    """The requirements of the groups to install. Raises ValueError for a chosen group that the project has not."""
    if chosen is None:
        return requirements_for_tests(project)
    groups = _groups(project)
    names = _known(chosen, list(groups), "group", project)
    return list(dict.fromkeys(each for name in names for each in _group(groups, name, ())))


def _known(chosen: Sequence[str], known: Sequence[str], kind: str, project: Path) -> list[str]:
    names = {normalized(name): name for name in known}
    for each in chosen:
        if normalized(each) not in names:
            has = f"has {', '.join(known)}" if known else "has none"
            raise ValueError(
                f"{kind}s of [tool.rnnbench.regress] name {each}, and the project in {project} {has}; expected one "
                "that it has"
            )
    return [names[normalized(each)] for each in chosen]


def extras_for_tests(project: Path) -> list[str]:
    """The extras for tests that pyproject.toml and setup.cfg in a project's folder name."""
    return _usual(_extras(project))


def _extras(project: Path) -> list[str]:
    tables = (toml(project / "pyproject.toml").get("project"), {"optional-dependencies": _setup_cfg_extras(project)})
    return [
        name for table in tables if isinstance(table, dict) for name in _dictionary(table.get("optional-dependencies"))
    ]


def requirements_for_tests(project: Path) -> list[str]:
    """The requirements in the dependency groups for tests, of pyproject.toml or of PDM, in a project's folder."""
    groups = _groups(project)
    return list(dict.fromkeys(each for name in _usual(list(groups)) for each in _group(groups, name, ())))


def _groups(project: Path) -> dict[str, Any]:
    """The dependency groups of a project, with those of PDM's older form."""
    settings = toml(project / "pyproject.toml")
    of_pdm = _dictionary(_dictionary(settings.get("tool")).get("pdm")).get("dev-dependencies")
    return _dictionary(of_pdm) | _dictionary(settings.get("dependency-groups"))


def _group(groups: dict[str, Any], name: str, within: tuple[str, ...]) -> list[str]:
    """The requirements of a group and of the groups that it includes; `within` are the groups that include it."""
    key = next((key for key in groups if normalized(key) == normalized(name)), None)
    if key is None or key in within or not isinstance(groups[key], list):
        return []
    found = []
    for entry in groups[key]:
        if isinstance(entry, str):
            found.append(entry)
        elif isinstance(entry, dict) and isinstance(entry.get("include-group"), str):
            found += _group(groups, entry["include-group"], (*within, key))
    return found


def _usual(names: list[str]) -> list[str]:
    found = [name for name in names if normalized(name) in FOR_TESTS]
    return found or [name for name in names if normalized(name) in _OTHERWISE]


def _setup_cfg_extras(project: Path) -> dict[str, str]:
    parser = ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(read_text(project / "setup.cfg"))
    except ConfigError:
        return {}
    return dict(parser["options.extras_require"]) if parser.has_section("options.extras_require") else {}


def _dictionary(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
