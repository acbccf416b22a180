"""The releases of a package and their dates, as pip and the index that pip asks know them."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
import urllib.request
from collections.abc import Callable, Mapping, Sequence

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion, Version

from benchmarks.regression.environments.installing import output_of

_ASK_SECONDS = 120
_PAGE = re.compile(r"^\* (https?://\S+)$", re.MULTILINE)
"""A line in which pip names a page that it asks for the files of a package."""
_AS_JSON = "application/vnd.pypi.simple.v1+json"
"""The form of a page that has the time of each upload (PEP 691 and 700)."""


@dataclasses.dataclass(frozen=True)
class Release:
    """A release of a package that this Python can install."""

    package: str
    version: str
    released: str = ""
    """The day on which its first file was uploaded, as 2026-11-30; empty where the index does not say."""

    @property
    def requirement(self) -> str:
        """The requirement that installs this release."""
        return f"{self.package}=={self.version}"


def releases_of(
    text: str, say: Callable[[str], None], *, ask: Callable[[list[str]], str] | None = None
) -> list[Release]:
    """The releases that a requirement such as `onnxruntime>=1.20,<1.30` allows, the oldest first.

    `say` is called where the dates are not known; `ask` runs pip with these words and returns what it prints. Raises
    ValueError for what is no requirement of a package by its name, and where pip knows no such release.
    """
    try:
        wanted = Requirement(text)
    except InvalidRequirement as error:
        raise ValueError(f"--releases is {text!r}: {str(error).splitlines()[0]}; {_EXPECTED}") from None
    if wanted.url or wanted.extras:
        raise ValueError(f"--releases is {text!r}, which names an address or extras; {_EXPECTED}")
    said = (ask or _ask_pip)(["index", "versions", wanted.name, "--verbose", "--verbose"])
    listed = re.search(r"^Available versions: (.*)$", said, re.MULTILINE)
    versions = [each for each in re.split(r",\s*", listed.group(1).strip()) if each] if listed else []
    allowed = sorted((each for each in versions if wanted.specifier.contains(each)), key=_order)
    if not allowed:
        known = f"; pip knows {', '.join(sorted(versions, key=_order)[-5:])}" if versions else ""
        raise ValueError(f"--releases is {text!r}, and pip finds no such release{known}; {_EXPECTED}")
    days = _days(said)
    if not days:
        say(f"the index of packages does not say when the releases of {wanted.name} came out")
    return [Release(wanted.name, each, days.get(each, "")) for each in allowed]


_EXPECTED = "expected a package with its versions, such as 'onnxruntime>=1.20,<1.30'"


def in_order_of_versions(versions: list[str]) -> list[str]:
    """The versions, the oldest first."""
    return sorted(versions, key=_order)


def _order(version: str) -> tuple[bool, Version | str]:
    try:
        return True, Version(version)
    except InvalidVersion:
        return False, version


def _ask_pip(words: list[str]) -> str:
    command = [sys.executable, "-P", "-m", "pip", *words, "--disable-pip-version-check"]
    try:
        return output_of(command, seconds=_ASK_SECONDS)
    except ValueError as error:
        raise ValueError(f"pip cannot name the releases: {error}") from None


def _days(said: str) -> Mapping[str, str]:
    """{version: the day of its first upload}, from the pages that pip asked; empty where they do not say."""
    found: dict[str, str] = {}
    for page in _PAGE.findall(said):
        request = urllib.request.Request(page, headers={"Accept": _AS_JSON})  # noqa: S310  # http or https alone
        try:
            with urllib.request.urlopen(request, timeout=_ASK_SECONDS) as answer:  # noqa: S310  # the same
                files = json.loads(answer.read())["files"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        for version, day in days_of_files(files).items():
            found[version] = min(day, found.get(version, day))
    return found


def days_of_files(files: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """{version: the day of its first upload} of the files on a page of an index; a file without a time has none."""
    found: dict[str, str] = {}
    for each in files:
        name, uploaded = str(each.get("filename", "")), str(each.get("upload-time") or "")
        parts = name.removesuffix(".tar.gz").removesuffix(".zip").split("-")
        # name-version-...whl and name-version.tar.gz; the name of an old source distribution may have dashes.
        version = parts[1] if name.endswith(".whl") and len(parts) > 1 else parts[-1]
        day = uploaded[:10]
        if re.fullmatch(r"\d{4}-\d\d-\d\d", day):
            found[version] = min(day, found.get(version, day))
    return found
