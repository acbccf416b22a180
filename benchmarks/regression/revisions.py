"""Two revisions of a project as folders: git worktrees that go when the run ends, or the checkout as it stands."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.files.scratch import abandoned, scratch_folder

_OF_A_HOOK = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY")
"""What git tells a hook of where it is: of the checkout that the hook runs in, not of a worktree."""


@dataclasses.dataclass(frozen=True)
class Revision:
    """One side's files: what the user called it, the commit, whether uncommitted changes are in it, and the folder."""

    name: str
    commit: str
    dirty: bool
    folder: Path

    @property
    def label(self) -> str:
        """`main (a1b2c3d4e)`."""
        changes = " with uncommitted changes" if self.dirty else ""
        return f"{self.name} ({self.commit[:9]}{changes})"


def top_of_checkout(folder: Path) -> Path:
    """The top of the git checkout that the folder is in. Raises ValueError when it is in none."""
    try:
        return Path(git(folder, "rev-parse", "--show-toplevel"))
    except ValueError as error:
        raise ValueError(f"{folder.resolve()} is not in a git checkout ({error}); run this inside of one") from None


@contextlib.contextmanager
def check_out(top: Path, base: str, head: str | None) -> Iterator[tuple[Revision, Revision]]:
    """Base and head as folders; head is the checkout itself, with its uncommitted changes, where none is named.

    The worktrees are removed at the end, however it comes. Raises ValueError when git knows no such revision.
    """
    commits = {name: resolve(top, name) for name in (base, head or "HEAD")}
    with scratch_folder("revisions") as scratch:
        try:
            old = worktree(top, base, commits[base], scratch / "base")
            if head is not None:
                yield old, worktree(top, head, commits[head], scratch / "head")
            else:
                dirty = bool(git(top, "status", "--porcelain"))
                yield old, Revision("the checkout", commits["HEAD"], dirty, top)
        finally:
            remove_worktrees(scratch)


def worktree(top: Path, name: str, commit: str, folder: Path) -> Revision:
    """The files of a commit in a new folder, as a git worktree; the caller removes it by `remove_worktrees`."""
    git(top, "worktree", "add", "--quiet", "--detach", str(folder), commit)
    return Revision(name, commit, dirty=False, folder=folder)


def remove_worktrees(scratch: Path) -> None:
    """Remove the worktrees that lie in a folder, with all that was written into them, there and in git's list."""
    for link in scratch.glob("*/.git"):
        # Twice: an interrupt may have left one that git was about to make, which it guards. Where that fails, the
        # repository is gone, and its list with it.
        with contextlib.suppress(ValueError):
            git(link.parent, "worktree", "remove", "--force", "--force", str(link.parent))


def remove_abandoned(say: Callable[[str], None]) -> None:
    """Remove the folders and worktrees of runs that were killed: of this user's, in whichever repository."""
    for folder in abandoned():
        say(f"removing {folder}, left by a run that was killed")
        remove_worktrees(folder)


def resolve(top: Path, name: str) -> str:
    """The commit, in full, that a revision names. Raises ValueError when git knows none."""
    try:
        return git(top, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    except ValueError:
        raise ValueError(
            f"revision is {name!r}, which git does not know in {top}; expected a commit, branch or tag that is "
            "here (fetch it first?)"
        ) from None


def git(folder: Path, *arguments: str, given: str | None = None) -> str:
    """What git answers to the arguments and to what it is given to read. Raises ValueError with its words if not."""
    try:
        done = subprocess.run(  # noqa: S603  # the arguments are this module's own
            ["git", "-C", str(folder), *arguments],  # noqa: S607  # the git that is on the path
            input=given,
            env={name: value for name, value in os.environ.items() if name not in _OF_A_HOOK},
            capture_output=True,
            # Whatever the locale is, commits speak UTF-8.
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    except OSError as error:
        raise ValueError(f"git does not run: {error}") from None
    if done.returncode != 0:
        raise ValueError((done.stderr.strip().splitlines() or [f"git {arguments[0]} failed"])[-1])
    return done.stdout.strip()
