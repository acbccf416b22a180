"""The requirements of a project's tests and benchmarks: its extras and dependency groups of the usual names."""

from __future__ import annotations

from configparser import ConfigParser
from configparser import Error as ConfigError
from pathlib import Path
from typing import Any

from benchmarks.regression.sources import normalized, read_text, toml

FOR_TESTS = ("test", "tests", "testing", "bench", "benchmark", "benchmarks")
"""The names of extras and groups that a suite may need."""
_OTHERWISE = ("dev",)
"""The names that count where a project has none of `FOR_TESTS`: they hold more than a suite needs."""


def extras_for_tests(project: Path) -> list[str]:
    """The extras for tests that pyproject.toml and setup.cfg in a project's folder name."""
    tables = (toml(project / "pyproject.toml").get("project"), {"optional-dependencies": _setup_cfg_extras(project)})
    names = [
        name for table in tables if isinstance(table, dict) for name in _dictionary(table.get("optional-dependencies"))
    ]
    return _usual(names)


def requirements_for_tests(project: Path) -> list[str]:
    """The requirements in the dependency groups for tests, of pyproject.toml or of PDM, in a project's folder."""
    settings = toml(project / "pyproject.toml")
    of_pdm = _dictionary(_dictionary(settings.get("tool")).get("pdm")).get("dev-dependencies")
    groups = _dictionary(of_pdm) | _dictionary(settings.get("dependency-groups"))
    return list(dict.fromkeys(each for name in _usual(list(groups)) for each in _group(groups, name, ())))


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
