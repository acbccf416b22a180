"""Where each revision runs: this interpreter's environment for both, or one built for what the revision depends on."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import venv
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from filelock import FileLock

from benchmarks.regression.revisions import Revision
from benchmarks.regression.session import Side

Choice = Literal["auto", "shared", "own"]

DEPENDENCIES = ("pyproject.toml", "constraints.txt", "requirements*.txt", "setup.py", "setup.cfg", "*.lock")
"""The files that settle what a revision depends on."""
_TOOLS = ("pytest", "pytest-benchmark")


def sides(base: Revision, head: Revision, suite: str, choice: Choice, say: Callable[[str], None]) -> tuple[Side, Side]:
    """Both revisions ready to be measured. Raises ValueError when an environment cannot be built.

    `auto` shares this interpreter's environment when the dependency files of both are the same, byte by byte, and
    builds one for each otherwise. Environments are kept, by what they were built from. In either case the revision's
    own files come first on the path.
    """
    same = dependency_key(base.folder) == dependency_key(head.folder)
    if choice == "shared" or (choice == "auto" and same):
        say(f"both run in the environment of {sys.executable}, each with its own files first on the path")
        pythons = [sys.executable, sys.executable]
    else:
        pythons = [_environment(revision, say) for revision in (base, head)]
        say(differences(*(_packages(python) for python in pythons)))
    made = [
        Side(name, revision.folder, python, suite, import_paths=import_paths(revision.folder))
        for name, revision, python in zip(("base", "head"), (base, head), pythons, strict=True)
    ]
    return made[0], made[1]


def import_paths(folder: Path) -> tuple[Path, ...]:
    """Where the revision's packages are: `src`, if it is laid out so, and its top."""
    return (*([folder / "src"] if (folder / "src").is_dir() else []), folder)


def dependency_key(folder: Path) -> str:
    """A name that two revisions share when they depend on the same."""
    digest = hashlib.sha256(sys.version.encode())
    for path in sorted(path for pattern in DEPENDENCIES for path in folder.glob(pattern)):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:24]


def differences(base: Mapping[str, str], head: Mapping[str, str]) -> str:
    """Which packages, {name: version}, the two environments do not share: they may be what became slower."""
    changed = [name for name in sorted({*base, *head}) if base.get(name) != head.get(name)]
    if not changed:
        return "both environments hold the same packages"
    told = (f"{name} {base.get(name, 'none')} and {head.get(name, 'none')}" for name in changed)
    return f"packages of base and head that differ: {', '.join(told)}"


def _packages(python: str) -> dict[str, str]:
    """{name: version} of what an environment holds, as pip lists it."""
    command = [python, "-m", "pip", "list", "--format=json", "--disable-pip-version-check"]
    done = subprocess.run(  # noqa: S603  # an environment's own
        command, capture_output=True, encoding="utf-8", errors="replace", check=False
    )
    if done.returncode != 0:
        raise ValueError(f"the packages of {python} cannot be listed: {done.stderr.strip()[-400:]}")
    return {entry["name"]: entry["version"] for entry in json.loads(done.stdout)}


def _environment(revision: Revision, say: Callable[[str], None]) -> str:
    """The interpreter of an environment with the revision's dependencies, built unless it is there already."""
    cache = os.environ.get("XDG_CACHE_HOME", "")
    kept = (Path(cache) if cache else Path.home() / ".cache") / "rnnbench" / "environments"
    folder = kept / dependency_key(revision.folder)
    python = folder / "bin" / "python"
    ready = folder / "ready"
    kept.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if ready.exists():
            say(f"{revision.label} runs in {folder}, built before")
            return str(python)
        say(f"{revision.label} gets an environment of its own: {folder}")
        venv.create(folder, with_pip=True, clear=True)
        constraints = ["--constraint", "constraints.txt"] if (revision.folder / "constraints.txt").exists() else []
        failure = _failure(
            [str(python), "-m", "pip", "install", "--quiet", *constraints, ".", *_TOOLS], revision.folder
        )
        if failure:
            raise ValueError(f"the environment of {revision.label} cannot be built: {failure[-400:]}")
        ready.touch()
    return str(python)


def _failure(command: list[str], folder: Path) -> str:
    """Run the command there, and say why it failed; empty when it did not. What it started ends with this process."""
    with subprocess.Popen(  # noqa: S603  # pip, of an environment that was made here
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            _, said = process.communicate()
        except BaseException:
            # pip builds in processes of its own.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    return (said.strip() or f"pip ended with {process.returncode}") if process.returncode else ""
