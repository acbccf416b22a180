"""The packages that an environment has, and in words those in which two differ."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from packaging.requirements import InvalidRequirement, Requirement

from benchmarks.regression.environments.installing import output_of
from benchmarks.regression.environments.sources import normalized

PYTHON = "python"
"""The name of the interpreter among the packages."""
_LIST_SECONDS = 120
_LISTING = """
import importlib.metadata, json, platform
names = [(each.metadata["Name"], each.version) for each in importlib.metadata.distributions()]
print(json.dumps([platform.python_version(), names]))
"""


class PackageDifference(NamedTuple):
    """A package that two environments have in different versions; a version is empty where one has none."""

    name: str
    base: str
    head: str
    asked_for: bool
    """Whether a requirement of the user names it; else it came along as a dependency."""


def installed_packages() -> dict[str, str]:
    """{name: version} of Python and of every package of this process, but those installed from a folder."""
    found = {PYTHON: platform.python_version()}
    for distribution in importlib.metadata.distributions():
        origin = json.loads(distribution.read_text("direct_url.json") or "{}")
        if "dir_info" not in origin and distribution.metadata["Name"]:
            found.setdefault(distribution.metadata["Name"].lower().replace("_", "-"), distribution.version)
    return dict(sorted(found.items()))


def packages_of(python: str) -> dict[str, str]:
    """{name: version} of Python and of the packages of an environment, by its interpreter.

    Raises ValueError where it cannot list them.
    """
    if python == sys.executable:
        names = [(each.metadata["Name"], each.version) for each in importlib.metadata.distributions()]
        return _by_name(platform.python_version(), names)
    try:
        said = output_of([python, "-I", "-c", _LISTING], seconds=_LIST_SECONDS)
    except ValueError as error:
        raise ValueError(f"the packages of {python} cannot be listed: {error}") from None
    return _by_name(*json.loads(said))


def _by_name(python: str, packages: Iterable[tuple[str | None, str]]) -> dict[str, str]:
    found = {PYTHON: python}
    for name, version in packages:
        if name:
            # Of two of a name, the first on the path is imported.
            found.setdefault(normalized(name), version)
    return dict(sorted(found.items()))


def package_differences(
    base: Mapping[str, str], head: Mapping[str, str], requirements: Sequence[str] = ()
) -> list[PackageDifference]:
    """The packages, {name: version}, in which two environments differ: first those that the requirements name."""
    wanted = names_of(requirements)
    found = [
        PackageDifference(name, base.get(name, ""), head.get(name, ""), asked_for=normalized(name) in wanted)
        for name in sorted({*base, *head})
        if base.get(name) != head.get(name)
    ]
    return sorted(found, key=lambda each: not each.asked_for)


def differences(base: Mapping[str, str], head: Mapping[str, str], requirements: Sequence[str] = ()) -> str:
    """A sentence on the packages, {name: version}, in which two environments differ: they may cause a slowdown."""
    found = package_differences(base, head, requirements)
    if not found:
        return "both environments hold the same packages"
    by_origin = [[each for each in found if each.asked_for is asked] for asked in (True, False)]
    asked, along = (
        ", ".join(f"{each.name} {each.base or 'none'} and {each.head or 'none'}" for each in part) for part in by_origin
    )
    if not asked:
        return f"packages of base and head that differ: {along}"
    return f"packages of base and head that differ: {asked}" + (f"; with them came {along}" if along else "")


def names_of(requirements: Sequence[str]) -> frozenset[str]:
    """The normalized names of the packages that requirements name; a path or a broken requirement names none."""
    found = set()
    for each in requirements:
        try:
            found.add(normalized(Requirement(each).name))
        except InvalidRequirement:
            continue
    return frozenset(found)
