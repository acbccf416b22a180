"""How pytest is started on one revision: the plugins, the command line and the environment of the process."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.measuring.environment import worker_environment
from benchmarks.regression.plugins import CONVENTIONS, OPTIONS, TURNS

PLUGINS = (TURNS, OPTIONS, CONVENTIONS)
"""The plugins of every process; each is copied to it, since it runs in the environment of the revision."""
_INHERITED = ("PYTEST_ADDOPTS", "PYTEST_PLUGINS")
"""The variables by which a user configures pytest; others of such names belong to a pytest that runs this program."""


@dataclasses.dataclass(frozen=True)
class Side:
    """One revision as it is measured."""

    name: str
    folder: Path
    """The top of the revision's files."""
    python: str
    """The interpreter."""
    suite: str
    """The path of the suite from the top."""
    import_paths: tuple[Path, ...] = ()
    """The folders before those of PYTHONPATH."""
    variables: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Further environment variables."""
    options: tuple[str, ...] = ()
    """Further words for pytest."""
    inherits_python_path: bool = True
    """Whether PYTHONPATH of this process is in force: it belongs to the environment of this process."""


def command_line(side: Side, scratch: Path, repetitions: int, plugins: Sequence[Path] = PLUGINS) -> list[str]:
    """The words that run the suite `repetitions` times in one process; files go to the folder `scratch`.

    The options of the project come first. Later ones take back those that would spoil a measurement.
    """
    words = [side.python, "-m", "pytest", "--keep-duplicates", *[side.suite] * repetitions, "--rootdir=."]
    words += ["--continue-on-collection-errors"]
    for plugin in (*(each.stem for each in plugins), "benchmark"):
        words += ["-p", plugin]
    # Every test runs, and all in one process.
    words += ["-m", "", "-k", "", "--maxfail=0"]
    # The caches of pytest and pytest-benchmark stay out of the user's checkout, and those of the two sides apart.
    words += ["-o", f"cache_dir={scratch / 'cache'}", f"--basetemp={scratch / 'tmp'}"]
    words += [f"--benchmark-storage=file://{scratch / 'kept'}"]
    words += side.options
    return [
        *words,
        *("--benchmark-enable", "--benchmark-only", "--benchmark-quiet", f"--benchmark-timer={TURNS.stem}.timer"),
    ]


def environment(side: Side, scratch: Path, layout: int) -> dict[str, str]:
    """The environment variables of the process; processes with the same `layout` hash strings alike."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if (not name.startswith("PYTEST_") or name in _INHERITED) and name != "CODSPEED_ENV"
    }
    paths = [*map(str, side.import_paths), str(scratch)]
    paths += [inherited["PYTHONPATH"]] if side.inherits_python_path and inherited.get("PYTHONPATH") else []
    return {
        **worker_environment(1, inherited),
        "PYTHONHASHSEED": str(layout),
        "PYTHONPATH": os.pathsep.join(paths),
        **side.variables,
    }
