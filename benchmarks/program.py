"""The name of this program: how a user starts it, from a checkout and from an installed wheel.

A wheel installs this package as `rnnbench`, since `benchmarks` is the name of a folder in many projects. Its building
writes `rnnbench` for the command, in this file as everywhere (`hatch_build.py`).
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

PACKAGE = __name__.partition(".")[0]
"""The name under which this package is imported."""
COMMAND = "python -m benchmarks"
"""What a user types before a verb."""
SCRIPT = "rnnbench"
"""The name of the script that an installation puts on the path."""
_TOP = Path(__file__).resolve().parent.parent


def command(*words: str) -> str:
    """The command line with these words, quoted for a shell."""
    return f"{COMMAND} {shlex.join(words)}"


def implementation_options(implementations: Mapping[str, str]) -> list[str]:
    """The options that name these implementations, {name in the run: source}."""
    return [
        word
        for name, source in implementations.items()
        for word in ("--impl", source if name == source else f"{name}={source}")
    ]


def started_as() -> str:
    """The command that this process was started by: the script, or `COMMAND`."""
    return SCRIPT if Path(sys.argv[0]).stem == SCRIPT else COMMAND


def is_checkout() -> bool:
    """Whether this package runs from a checkout of the project, with its suites, tests and results."""
    return (_TOP / "pyproject.toml").is_file()


def version() -> str:
    """The version of the installed project; of a checkout that is not installed, a word that says so."""
    import importlib.metadata

    try:
        return importlib.metadata.version(SCRIPT)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
