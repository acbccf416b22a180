"""The variants of a comparison: what a side has installed and set, beside its revision."""

from __future__ import annotations

import dataclasses
import re
import shlex
import shutil
from collections.abc import Mapping, Sequence

from packaging.requirements import InvalidRequirement, Requirement

from benchmarks.regression.environments.installing import output_of

_OURS = ("PYTHONPATH", "PYTHONHOME", "PYTHONHASHSEED", "RNNBENCH_TURNS")
"""The variables that `regress` sets itself: by these a side runs its own code, and both hash alike."""
_OLDEST = (3, 9)
"""The oldest Python in which the plugins of `regress` run."""
_VERSION_SECONDS = 60


@dataclasses.dataclass(frozen=True)
class Variant:
    """What a side has beside its revision; the default has nothing."""

    requirements: tuple[str, ...] = ()
    """Requirements that pip installs, in front of the constraints of the revision."""
    python: str = ""
    """The path of the interpreter of which the environment is made; that of `regress` where it is empty."""
    python_version: str = ""
    """The version of that interpreter in full; empty where `python` is."""
    variables: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Environment variables, of builds and of the processes that are measured."""

    @property
    def label(self) -> str:
        """The variant in words, as they follow a revision; empty for the default."""
        words = [*self.requirements, *([self.python] if self.python else [])]
        words += [f"{name}={shlex.quote(value)}" for name, value in self.variables.items()]
        return f" with {', '.join(words)}" if words else ""


AS_IT_IS = Variant()
"""A revision with the dependencies that it names, and nothing else."""


def variant(side: str, requirements: Sequence[str], python: str | None, variables: Sequence[str]) -> Variant:
    """The variant that the options of a side make: `--SIDE-with`, `--SIDE-python` and `--SIDE-env`.

    Raises ValueError, which names the option, for what is no requirement, no Python here, or no NAME=VALUE.
    """
    for each in requirements:
        try:
            Requirement(each)
        except InvalidRequirement as error:
            reason = str(error).splitlines()[0]
            raise ValueError(
                f"--{side}-with is {each!r}: {reason}; expected a requirement as pip takes it: 'onnxruntime==1.31.*'"
            ) from None
    path, version = ("", "") if python is None else interpreter(python, f"--{side}-python")
    set_by_user = dict(_assignment(each, f"--{side}-env") for each in variables)
    return Variant(tuple(requirements), path, version, set_by_user)


def isolated(variant: Variant) -> str:
    """The option by which a side's Python imports nothing from the current folder; old ones do not know -P."""
    return "-I" if variant.python else "-P"


def interpreter(name: str, option: str) -> tuple[str, str]:
    """The path of a Python, and its version in full: `name` is a version such as 3.13, a command, or a path.

    Raises ValueError, which names the option, where there is none, or where it is too old.
    """
    command = f"python{name}" if re.fullmatch(r"\d+(\.\d+)?t?", name) else name
    path = shutil.which(command)
    expected = "expected a version such as 3.13, whose python3.13 is on the PATH, or the path of an interpreter"
    if path is None:
        raise ValueError(f"{option} is {name!r}, and there is no {command} here; {expected}")
    asked = "import sys; print(sys.version_info[0], sys.version_info[1], sys.version)"
    try:
        major, minor, version = output_of([path, "-I", "-c", asked], seconds=_VERSION_SECONDS).split(maxsplit=2)
        is_too_old = (int(major), int(minor)) < _OLDEST
    except ValueError:
        raise ValueError(f"{option} is {name!r}, and {path} is no Python that runs; {expected}") from None
    if is_too_old:
        raise ValueError(f"{option} is {name!r}, which is Python {major}.{minor}; expected 3.9 or newer")
    return path, version.strip()


def _assignment(text: str, option: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) or "\0" in value:
        raise ValueError(f"{option} is {text!r}; expected NAME=VALUE, such as CC=clang")
    if name in _OURS:
        raise ValueError(f"{option} sets {name}, which regress sets for each process itself; expected another variable")
    return name, value
