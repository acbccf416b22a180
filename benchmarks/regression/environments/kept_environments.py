"""Kept environments: each has the dependencies of a revision, and not the project itself."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import shutil
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

from filelock import FileLock

from benchmarks.files import scratch_folder, write
from benchmarks.regression.environments.installed import names_of
from benchmarks.regression.environments.installing import failure
from benchmarks.regression.environments.origins import local_folder
from benchmarks.regression.environments.requirements import NOTHING_ELSE, Needs, extras_of, requirements_of
from benchmarks.regression.environments.revisions import Revision
from benchmarks.regression.environments.sources import read_text
from benchmarks.regression.environments.variants import AS_IT_IS, Variant, isolated
from rnnimpl.cache import check_private, private_folder
from rnnimpl.interface import Unavailable

Choice = Literal["auto", "shared", "own"]

DEPENDENCIES = ("pyproject.toml", "constraints.txt", "requirements*.txt", "setup.py", "setup.cfg", "*.lock")
"""The files that name the dependencies of a revision."""
_TOOLS = ("pytest", "pytest-benchmark")
_LAYOUT = "2"
"""The layout of an environment. 1: it has the project, too. 2: it does not."""


def import_paths(folder: Path) -> tuple[Path, ...]:
    """The folders of a revision's packages: `src`, where it has one, and its top."""
    return (*([folder / "src"] if (folder / "src").is_dir() else []), folder)


def dependency_key(
    folder: Path, project: Path | None = None, needs: Needs = NOTHING_ELSE, variant: Variant = AS_IT_IS
) -> str:
    """A name that two revisions share when they have the same dependencies.

    `project` is the folder that pip installs, where that is not the revision's top.
    """
    digest = hashlib.sha256(f"{_LAYOUT} {sys.version} {sys.base_prefix} {list(needs.install)}".encode())
    if (needs.extras, needs.groups, variant) != (None, None, AS_IT_IS):
        digest.update(f"{needs.extras} {needs.groups} {variant}".encode())
    for where in dict.fromkeys((folder, project or folder)):
        for path in sorted(path for pattern in DEPENDENCIES for path in where.glob(pattern) if path.is_file()):
            digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:24]


def environment_of(
    revision: Revision,
    project: Path | None,
    say: Callable[[str], None],
    needs: Needs = NOTHING_ELSE,
    variant: Variant = AS_IT_IS,
) -> tuple[str, list[str]]:
    """The interpreter of an environment with the dependencies of a revision, and the paths of its own projects.

    The environment is built unless it is kept already. The paths, from the top of the revision, are those of projects
    that each revision has to install from its own files. `project` is the folder that pip installs, None where there is
    none. Raises ValueError where the environment cannot be built or kept.
    """
    kept = kept_folder()
    folder = kept / dependency_key(revision.folder, project, needs, variant)
    python = folder / "bin" / "python"
    ready = folder / "ready.json"
    with FileLock(f"{folder}.lock"):
        if ready.exists() and python.exists():
            _refuse_what_others_can_write(folder)
            say(f"{revision.label}{variant.label} runs in {folder}, built before")
        else:
            say(f"{revision.label}{variant.label} gets an environment of its own: {folder}")
            _build(revision, project, folder, python, say, needs, variant)
            local = _uninstall_local(revision, folder, python, variant)
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
    needs: Needs,
    variant: Variant,
) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    made_by = variant.python or sys.executable
    why = failure([made_by, isolated(variant), "-m", "venv", str(folder)], folder.parent)
    if why:
        raise ValueError(
            f"the environment of {revision.label} cannot be made by `{made_by} -m venv`: {_last(why)}; install "
            "what it needs (python3-venv on Debian and Ubuntu), or use --environment shared"
        )
    with scratch_folder("constraints") as scratch:
        common = [str(python), isolated(variant), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        # A wheel that was built under other variables is not what this side is to have.
        common += ["--no-cache-dir"] if variant.variables else []
        common += _constraints(revision, variant, scratch, say)
        why = _install(common, revision, project, say, needs, variant)
    if why:
        remedy = "give other requirements" if variant.requirements else "mend that, or use --environment shared"
        raise ValueError(f"the environment of {revision.label}{variant.label} cannot be built: {why}; {remedy}")


def _install(
    common: Sequence[str],
    revision: Revision,
    project: Path | None,
    say: Callable[[str], None],
    needs: Needs,
    variant: Variant,
) -> str:
    """Install the dependencies of a revision and the needs of its suite by pip; why it failed, or an empty text."""
    wanted = [*variant.requirements, *needs.install, *_TOOLS]

    def install(folder: Path, *words: str) -> str:
        return failure([*common, *words, *wanted], folder, variables=variant.variables)

    if project is None:
        file = revision.folder / "requirements.txt"
        return install(file.parent, *(["--requirement", "requirements.txt"] if file.is_file() else []))
    where = os.path.relpath(project, revision.folder)
    where = where if where == "." else f"./{where}"
    extras, groups = extras_of(project, needs.extras), requirements_of(project, needs.groups)
    why = install(revision.folder, f"{where}[{','.join(extras)}]" if extras else where, *groups)
    is_guess = needs.extras is None and needs.groups is None
    if why and is_guess and (extras or groups):
        say(f"what {revision.label} names for its tests cannot be installed, and is left out: {_last(why)}")
        why = install(revision.folder, where)
    return why


def _constraints(revision: Revision, variant: Variant, scratch: Path, say: Callable[[str], None]) -> list[str]:
    """The words by which pip keeps to a revision's constraints; a variant's requirements stand in front of them."""
    file = revision.folder / "constraints.txt"
    if not file.is_file():
        return []
    wanted = names_of(variant.requirements)
    lines = read_text(file).splitlines()
    kept = [line for line in lines if not wanted & names_of([line.partition("#")[0].partition(" --")[0].strip()])]
    if len(kept) == len(lines):
        return ["--constraint", "constraints.txt"]
    say(f"constraints.txt does not hold for {', '.join(variant.requirements)}")
    write(scratch, "constraints.txt", "\n".join([*kept, ""]))
    return ["--constraint", str(scratch / "constraints.txt")]


def _last(text: str) -> str:
    return text.strip().splitlines()[-1]


def _uninstall_local(revision: Revision, folder: Path, python: Path, variant: Variant) -> list[str]:
    """Uninstall the projects of the revision's own files, whose code is not kept; their paths from its top."""
    top = Path(os.path.realpath(revision.folder))
    installed = importlib.metadata.distributions(path=[str(each) for each in folder.glob("lib/python*/site-packages")])
    local = {
        str(each.metadata["Name"]): os.path.relpath(where, top)
        for each in installed
        if (where := local_folder(each)) is not None and where.is_relative_to(top)
    }
    why = local and failure(
        [str(python), isolated(variant), "-m", "pip", "uninstall", "--quiet", "--yes", *local], folder
    )
    if why:
        raise ValueError(f"{', '.join(local)} cannot be uninstalled from {folder}: {why}")
    return sorted(local.values())
