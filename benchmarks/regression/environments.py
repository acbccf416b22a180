"""Kept environments: each has the dependencies of a revision, and not the project itself."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from filelock import FileLock

from benchmarks.regression.installing import failure
from benchmarks.regression.origins import local_folder
from benchmarks.regression.requirements import extras_for_tests, requirements_for_tests
from benchmarks.regression.revisions import Revision
from rnnimpl.cache import check_private, private_folder
from rnnimpl.interface import Unavailable

Choice = Literal["auto", "shared", "own"]

DEPENDENCIES = ("pyproject.toml", "constraints.txt", "requirements*.txt", "setup.py", "setup.cfg", "*.lock")
"""The files that name the dependencies of a revision."""
_TOOLS = ("pytest", "pytest-benchmark")
_LAYOUT = "2"
"""The layout of an environment. 1: it has the project, too. 2: it does not."""
_LIST_SECONDS = 120


def import_paths(folder: Path) -> tuple[Path, ...]:
    """The folders of a revision's packages: `src`, where it has one, and its top."""
    return (*([folder / "src"] if (folder / "src").is_dir() else []), folder)


def dependency_key(folder: Path, project: Path | None = None, install: Sequence[str] = ()) -> str:
    """A name that two revisions share when they have the same dependencies.

    `project` is the folder that pip installs, where that is not the revision's top; `install` are further requirements.
    """
    digest = hashlib.sha256(f"{_LAYOUT} {sys.version} {sys.base_prefix} {list(install)}".encode())
    for where in dict.fromkeys((folder, project or folder)):
        for path in sorted(path for pattern in DEPENDENCIES for path in where.glob(pattern) if path.is_file()):
            digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:24]


def differences(base: Mapping[str, str], head: Mapping[str, str]) -> str:
    """A sentence on the packages, {name: version}, in which two environments differ: they may cause a slowdown."""
    changed = [name for name in sorted({*base, *head}) if base.get(name) != head.get(name)]
    if not changed:
        return "both environments hold the same packages"
    versions = (f"{name} {base.get(name, 'none')} and {head.get(name, 'none')}" for name in changed)
    return f"packages of base and head that differ: {', '.join(versions)}"


def packages_of(python: str) -> dict[str, str]:
    """{name: version} of the packages of an environment. Raises ValueError where its pip cannot list them."""
    command = [python, "-P", "-m", "pip", "list", "--format=json", "--disable-pip-version-check"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    try:
        done = subprocess.run(  # noqa: S603  # an environment's own
            command,
            env=environment,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_LIST_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ValueError(f"the packages of {python} cannot be listed: {error}") from None
    if done.returncode != 0:
        raise ValueError(f"the packages of {python} cannot be listed: {done.stderr.strip()[-400:]}")
    return {entry["name"]: entry["version"] for entry in json.loads(done.stdout)}


def environment_of(
    revision: Revision, project: Path | None, say: Callable[[str], None], install: Sequence[str] = ()
) -> tuple[str, list[str]]:
    """The interpreter of an environment with the dependencies of a revision, and the paths of its own projects.

    The environment is built unless it is kept already. The paths, from the top of the revision, are those of projects
    that each revision has to install from its own files. `project` is the folder that pip installs, None where there is
    none; `install` are further requirements. Raises ValueError where the environment cannot be built or kept.
    """
    kept = kept_folder()
    folder = kept / dependency_key(revision.folder, project, install)
    python = folder / "bin" / "python"
    ready = folder / "ready.json"
    with FileLock(f"{folder}.lock"):
        if ready.exists() and python.exists():
            _refuse_what_others_can_write(folder)
            say(f"{revision.label} runs in {folder}, built before")
        else:
            say(f"{revision.label} gets an environment of its own: {folder}")
            _build(revision, project, folder, python, say, install)
            local = _uninstall_local(revision, folder, python)
            ready.touch(mode=0o600)
            ready.write_text(json.dumps(local), encoding="utf-8")
        paths: list[str] = json.loads(ready.read_text(encoding="utf-8"))
    return str(python), paths


def kept_folder() -> Path:
    """The folder of kept environments, in the user's cache.

    Raises ValueError where it cannot be made, and where others can write into it: what they wrote would be run.
    """
    try:
        return private_folder("rnnbench/environments")
    except Unavailable as error:
        raise ValueError(f"environments are kept in the user's cache: {error}; or use --environment shared") from None


def _refuse_what_others_can_write(folder: Path) -> None:
    try:
        check_private(folder)
    except Unavailable as error:
        raise ValueError(f"{error}; or use --environment shared") from None
    for entry in _below(folder):
        # A link is judged by its own owner: an environment links to its Python.
        found = entry.stat(follow_symlinks=False)
        others = not entry.is_symlink() and found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        if found.st_uid != os.geteuid() or others:
            raise ValueError(
                f"{entry.path} belongs to another user or can be written by others: what is in {folder} is not run; "
                "remove that folder, which is built again then, or use --environment shared"
            )


def _below(folder: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            yield entry
            if entry.is_dir(follow_symlinks=False):
                yield from _below(Path(entry.path))


def _build(
    revision: Revision,
    project: Path | None,
    folder: Path,
    python: Path,
    say: Callable[[str], None],
    install: Sequence[str],
) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    why = failure([sys.executable, "-P", "-m", "venv", str(folder)], folder.parent)
    if why:
        raise ValueError(
            f"the environment of {revision.label} cannot be made by `{sys.executable} -m venv`: {_last(why)}; install "
            "what it needs (python3-venv on Debian and Ubuntu), or use --environment shared"
        )
    common = [str(python), "-P", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    common += ["--constraint", "constraints.txt"] if (revision.folder / "constraints.txt").is_file() else []
    wanted = [*install, *_TOOLS]
    if project is None:
        file = revision.folder / "requirements.txt"
        why = failure(
            [*common, *(["--requirement", "requirements.txt"] if file.is_file() else []), *wanted], file.parent
        )
    else:
        where = os.path.relpath(project, revision.folder)
        where = where if where == "." else f"./{where}"
        extras, groups = extras_for_tests(project), requirements_for_tests(project)
        with_extras = f"{where}[{','.join(extras)}]" if extras else where
        why = failure([*common, with_extras, *groups, *wanted], revision.folder)
        if why and (extras or groups):
            say(f"what {revision.label} names for its tests cannot be installed, and is left out: {_last(why)}")
            why = failure([*common, where, *wanted], revision.folder)
    if why:
        raise ValueError(
            f"the environment of {revision.label} cannot be built: {why}; mend that, or use --environment shared"
        )


def _last(text: str) -> str:
    return text.strip().splitlines()[-1]


def _uninstall_local(revision: Revision, folder: Path, python: Path) -> list[str]:
    """Uninstall the projects of the revision's own files, whose code is not kept; their paths from its top."""
    top = Path(os.path.realpath(revision.folder))
    installed = importlib.metadata.distributions(path=[str(each) for each in folder.glob("lib/python*/site-packages")])
    local = {
        str(each.metadata["Name"]): os.path.relpath(where, top)
        for each in installed
        if (where := local_folder(each)) is not None and where.is_relative_to(top)
    }
    why = local and failure([str(python), "-P", "-m", "pip", "uninstall", "--quiet", "--yes", *local], folder)
    if why:
        raise ValueError(f"{', '.join(local)} cannot be uninstalled from {folder}: {why}")
    return sorted(local.values())
