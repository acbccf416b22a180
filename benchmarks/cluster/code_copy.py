"""The copy of the code that the jobs of a campaign run: the checkout at one commit, taken at submission."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from benchmarks.machine.software import PROJECT, commit
from benchmarks.store import StoreError

CODE = "code"
"""The folder of the copy, within the campaign's."""
_GIT_SECONDS = 600
_MOST_NAMED = 5


def checked_commit(project: Path = PROJECT) -> str:
    """The commit that a copy would be of. Raises StoreError where the code is in no git checkout."""
    found = commit(project)
    if found is None:
        raise StoreError(
            f"{project} is no git checkout; expected one, since jobs run a copy of it at one commit: clone the project "
            "and install it by `pip install -e .`"
        )
    return str(found["revision"])


def uncommitted(project: Path = PROJECT) -> list[str]:
    """The files that differ from the commit or are not in it, and so not in the copy, with the mark that git has."""
    return _git(project, "status", "--porcelain").splitlines()


def copy_code(target: Path, revision: str, *, history: bool, project: Path = PROJECT) -> Path:
    """Make the copy in a new folder, a checkout of its own; with `history`, with all commits before it.

    Raises StoreError where git cannot.
    """
    if history:
        _git(target.parent, "clone", "--quiet", "--no-checkout", "--no-hardlinks", str(project), str(target))
    else:
        _git(target.parent, "init", "--quiet", str(target))
        _git(target, "fetch", "--quiet", "--depth", "1", f"file://{project}", f"{revision}:refs/rnnbench/{revision}")
    _git(target, "-c", "advice.detachedHead=false", "checkout", "--quiet", "--detach", revision)
    return target


def check_own_code(implementations: Mapping[str, str], copy: Path, here: Path) -> None:
    """Raise StoreError where an implementation's module is in the current folder and not in the copy."""
    for source in implementations.values():
        module, _, name = source.partition(":")
        path = Path(*module.split("."))
        files = (path.with_suffix(".py"), path / "__init__.py")
        if name and any((here / file).exists() for file in files) and not any((copy / file).exists() for file in files):
            raise StoreError(
                f"{module} is in {here} and not in the commit that jobs run; expected it there: add it and commit"
            )


def said_of_uncommitted(lines: list[str]) -> str:
    """The sentence on files that are not in the copy."""
    names = [line[3:] for line in lines]
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return f"jobs run the commit; not in it, or other there: {', '.join(names[:_MOST_NAMED])}{more}"


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603  # the arguments are this module's own
            ["git", "-C", str(folder), *arguments],  # noqa: S607  # the git that is on the path
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_GIT_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or str(error)
        raise StoreError(f"git {arguments[0]} in {folder} failed: {str(said).strip()[:300]}") from error
    return done.stdout
