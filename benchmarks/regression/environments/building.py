"""The build of a revision by pip: installed into a folder of the run, its files copied beside the sources too."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from benchmarks.files import write
from benchmarks.regression.environments.installing import failure
from benchmarks.regression.environments.revisions import Revision
from benchmarks.regression.environments.sources import SOURCE_ROOTS, is_extension
from benchmarks.regression.environments.variants import AS_IT_IS, Variant, isolated


def run_steps(revision: Revision, python: str, steps: Sequence[Sequence[str]], variant: Variant) -> None:
    """Run the build steps of a suite in the revision's folder, which is a copy; `python` is the side's interpreter.

    A step that begins with `python` or `pip` runs in the environment of the side. Raises ValueError where one fails.
    """
    for words in steps:
        command = list(words)
        if command[0] in ("python", "python3"):
            command[:1] = [python]
        elif command[0] in ("pip", "pip3"):
            command[:1] = [python, isolated(variant), "-m", "pip"]
        why = failure(command, revision.folder, variables=variant.variables)
        if why:
            raise ValueError(f"the build step `{shlex.join(words)}` failed on {revision.label}: {why}; mend it")


def build(revision: Revision, python: str, projects: Sequence[str], folder: Path, variant: Variant = AS_IT_IS) -> None:
    """Build the projects, paths from the revision's top, and install them into a folder, without dependencies.

    The revision's folder is a copy that belongs to this run. Compiled and generated files are copied beside the sources
    in it, so that an import finds the whole build in either place. Raises ValueError where a build fails.
    """
    command = [python, isolated(variant), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--target", str(folder), *(str(revision.folder / project) for project in projects)]
    why = failure(command, revision.folder, variables=variant.variables)
    if why:
        raise ValueError(
            f"{revision.label} cannot be built: {why}; mend that, or use --environment shared if the suite needs no "
            "build"
        )
    for project in projects:
        for root in (revision.folder, revision.folder / project):
            for name in SOURCE_ROOTS:
                _copy_beside(folder, root / name, revision.folder)


def _copy_beside(built: Path, source: Path, top: Path) -> None:
    """Copy the built files of each package that has a folder in `source` into that folder."""
    if not _is_inside(source, top):
        return
    for entry in built.iterdir():
        if entry.is_dir() and entry.name != "bin" and (source / entry.name).is_dir():
            for file in entry.rglob("*"):
                if file.is_file() and file.suffix != ".pyc":
                    _copy(file, source / file.relative_to(built), top)
        elif is_extension(entry) and (source / f"{entry.name.partition('.')[0]}.py").is_file():
            _copy(entry, source / entry.name, top)


def _copy(file: Path, target: Path, top: Path) -> None:
    parent = Path(os.path.realpath(target.parent))
    # A link in an old revision may lead out of it, and a file may have the name of a built folder.
    if target.is_symlink() or target.is_dir() or not _is_inside(parent, top):
        return
    if all(above.is_dir() or not above.exists() for above in (parent, *parent.parents)):
        real = Path(os.path.realpath(top))
        write(real, str(parent.relative_to(real) / target.name), file.read_bytes())


def _is_inside(path: Path, top: Path) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(top))
