"""The configuration of `regress` by a project: the table [tool.rnnbench.regress] of its pyproject.toml, or a file."""

from __future__ import annotations

import dataclasses
import shlex
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.regression.environments.requirements import Needs

TABLE = "tool.rnnbench.regress"


@dataclasses.dataclass(frozen=True)
class Configuration:
    """What a project says of its suite; None where it says nothing, and options of the command line come first."""

    suite: str | None = None
    """The path of the suite from the folder of the file."""
    tolerance: float | None = None
    """The slowdown that matters, as a share."""
    budget: str | None = None
    """The time of a comparison: 90s, 5m."""
    environment: str | None = None
    """The environments of both sides: auto, shared or own."""
    pytest: str = ""
    """Options for pytest on both sides, as a shell reads them."""
    install: tuple[str, ...] = ()
    """Requirements of the suite that the project does not name for its tests."""
    extras: tuple[str, ...] | None = None
    """The extras of the project that the suite needs."""
    groups: tuple[str, ...] | None = None
    """The dependency groups of the project that the suite needs."""
    build: tuple[str, ...] = ()
    """Commands that run in a copy of each revision before it is built."""
    first: tuple[str, ...] = ()
    """Parts of names of the cases that matter most, in order, with `*` for any text."""
    folder: Path = Path()
    """The folder of the file."""

    def needs(self, pytest: str | None = None, install: tuple[str, ...] = ()) -> Needs:
        """The needs of the suite; `pytest` and `install` are those of the command line.

        Raises ValueError for options that a shell could not read.
        """
        given = self.pytest if pytest is None else pytest
        return Needs(
            install=(*self.install, *install),
            extras=self.extras,
            groups=self.groups,
            build=tuple(_words("build", step) for step in self.build),
            options=_words("--pytest" if pytest is not None else "pytest", given),
        )


def configuration_for(here: Path, file: Path | None = None) -> Configuration:
    """The configuration for a folder: that of a file, or of the git checkout that has the folder; raises as below."""
    tops = (folder for folder in (here, *here.parents) if (folder / ".git").exists())
    return read_configuration(next(tops, here), file)


def read_configuration(top: Path, file: Path | None = None) -> Configuration:
    """The configuration in a file, or in pyproject.toml at the top of a checkout; nothing where neither has it.

    A file holds the same keys at its top. Raises ValueError for a file that cannot be read or is no TOML, and for an
    unknown key or a value of another form.
    """
    path = top / "pyproject.toml" if file is None else file
    if file is None and not path.is_file():
        return Configuration(folder=top)
    try:
        table: Any = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"--config is {path}, which cannot be read: {error.strerror}; expected a TOML file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{path} is no TOML: {error}; mend it") from None
    if file is None:
        for name in TABLE.split("."):
            table = table.get(name, {}) if isinstance(table, dict) else {}
    where = f"[{TABLE}] of {path}" if file is None else str(path)
    if not isinstance(table, dict):
        raise ValueError(f"{where} is {table!r}; expected a table")
    return Configuration(**_checked(table, where), folder=path.parent)


def _checked(table: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The values of a table under the names of the fields. Raises ValueError for any that is not expected."""
    forms = {field.name: str(field.type) for field in dataclasses.fields(Configuration) if field.name != "folder"}
    found: dict[str, Any] = {}
    for key, value in table.items():
        form = forms.get(key)
        if form is None:
            raise ValueError(f"{where} has the key {key!r}; expected some of {', '.join(forms)}")
        if form.startswith("tuple"):
            if not (isinstance(value, list) and all(isinstance(each, str) for each in value)):
                raise ValueError(f"{where}: {key} is {value!r}; expected a list of texts")
            found[key] = tuple(value)
        elif form.startswith("float"):
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ValueError(f"{where}: {key} is {value!r}; expected a number")
            found[key] = float(value)
        else:
            if not isinstance(value, str):
                raise ValueError(f"{where}: {key} is {value!r}; expected a text")
            found[key] = value
    return found


def _words(name: str, text: str) -> tuple[str, ...]:
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        raise ValueError(
            f"{name} is {text!r}: {error}; expected words as a shell reads them: '--slow -m fast'"
        ) from None
    if name == "build" and not words:
        raise ValueError("build has an empty command; expected one such as 'python setup.py build_ext --inplace'")
    return words
