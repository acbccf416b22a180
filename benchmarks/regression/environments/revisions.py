"""Two revisions of a project as folders: git worktrees, which are removed after the run, or the checkout itself."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks.files import copy_across, remove, scratch_folder, write
from benchmarks.files.scratch import abandoned

HOOK_VARIABLES = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY")
"""The variables that git sets for a hook: they name the checkout of the hook, and would redirect git in a worktree."""
_NO_USER_PROGRAMS = ("-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false")
"""The options by which git runs no hook and no monitor of the user in a worktree."""
_REPOSITORY = ".repository"
"""The ending of the file that names the repository of the worktree beside it."""
GIT_SECONDS = 600
"""The time limit of git, which may wait for a network or a lock."""


@dataclasses.dataclass(frozen=True)
class Revision:
    """The files of one revision."""

    name: str
    """The user's name for the revision."""
    commit: str
    """The commit in full."""
    dirty: bool
    """Whether the files have uncommitted changes."""
    folder: Path
    """The top of the files."""
    empty_submodules: tuple[str, ...] = ()
    """The paths of submodules whose files the checkout does not have."""

    @property
    def label(self) -> str:
        """Name and commit for the user: `main (a1b2c3d4e)`."""
        changes = " with uncommitted changes" if self.dirty else ""
        return f"{self.name} ({self.commit[:9]}{changes})"


def top_of_checkout(folder: Path) -> Path:
    """The top of the git checkout that has the folder. Raises ValueError where none has it."""
    try:
        return Path(git(folder, "rev-parse", "--show-toplevel"))
    except ValueError as error:
        raise ValueError(f"{folder.resolve()} is not in a git checkout ({error}); run this inside of one") from None


@contextlib.contextmanager
def check_out(top: Path, base: str | None, head: str | None) -> Iterator[tuple[Revision, Revision]]:
    """Base and head as folders; without a name, head is the checkout itself, with its uncommitted changes.

    Without a name, base is the same revision as head. The worktrees are removed at the end and after an exception.
    Raises ValueError when git knows no such revision.
    """
    base = head if base is None else base
    commits = {name: resolve(top, name) for name in (base or "HEAD", head or "HEAD")}
    with scratch_folder("revisions") as scratch:

        def files_of(name: str | None, side: str) -> Revision:
            if name is not None:
                return worktree(top, name, commits[name], scratch / side)
            dirty = bool(git(top, "status", "--porcelain"))
            return Revision("the checkout", commits["HEAD"], dirty, top)

        try:
            yield files_of(base, "base"), files_of(head, "head")
        finally:
            remove_worktrees(scratch)


def worktree(top: Path, name: str, commit: str, folder: Path) -> Revision:
    """The files of a commit in a new folder, as a git worktree; the caller removes it by `remove_worktrees`.

    Submodules are filled from those of the checkout that have the commit.
    """
    # The note lies beside the folder: code that runs in the folder cannot remove it.
    repository = (top / git(top, "rev-parse", "--git-common-dir")).resolve()
    write(folder.parent, f"{folder.name}{_REPOSITORY}", os.fsencode(repository))
    git(top, "worktree", "add", "--quiet", "--detach", str(folder), commit)
    empty = _fill_submodules(top, commit, folder)
    return Revision(name, commit, dirty=False, folder=folder, empty_submodules=tuple(empty))


def copy_of_checkout(top: Path, revision: Revision, folder: Path) -> Revision:
    """A new worktree with the checkout's tracked and new files, and without those that git ignores."""
    worktree(top, revision.name, revision.commit, folder)
    changed = git_files(top, "diff", "--name-only", "-z", "--no-renames", "--no-ext-diff", revision.commit)
    new = git_files(top, "ls-files", "-z", "--others", "--exclude-standard")
    for name in sorted(changed):
        # All changed files are removed before any is copied: a folder may have become a file, and either a link. A path
        # that contains others comes first, so that no link is followed.
        _remove(folder / name)
    for name in (*changed, *new):
        if (top / name).is_symlink() or (top / name).exists():
            # The `.git` of a submodule, or of another repository within, belongs to the checkout.
            copy_across(top, folder, name.rstrip("/"), left_out=("__pycache__", ".git"))
    return dataclasses.replace(revision, folder=folder)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _fill_submodules(source: Path, commit: str, folder: Path) -> list[str]:
    """Write the files of a commit's submodules into a folder, as far as the checkout `source` has them.

    Returns the paths of those that it has not, and that stay empty.
    """
    empty = []
    for entry in git_files(source, "ls-tree", "-r", "-z", commit):
        described, _, name = entry.partition("\t")
        mode, _, of_module = described.split(" ")
        if mode == "160000":
            within = _fill_submodule(source / name, of_module, folder / name)
            empty += [name] if within is None else [f"{name}/{each}" for each in within]
    return empty


def _fill_submodule(module: Path, commit: str, folder: Path) -> list[str] | None:
    """Write the files of one submodule; the paths of those in it that stay empty, or None where it does so itself."""
    if not (module / ".git").exists() or folder.is_symlink():
        return None
    index = folder.parent / f".{folder.name}.index"
    try:
        git(module, "read-tree", commit, index=index)
        git(module, "checkout-index", "--all", f"--prefix={folder}/", index=index)
        return _fill_submodules(module, commit, folder)
    except ValueError:
        # The submodule of the checkout lacks the commit: the folder stays empty, as git leaves it.
        return None
    finally:
        remove(index.parent, index.name)


def remove_worktrees(scratch: Path) -> None:
    """Remove the worktrees in a folder, with all files in them, from the disk and from git's list."""
    for link in scratch.glob("*/.git"):
        # The second --force removes a locked worktree, which an interrupt of `git worktree add` leaves. Git fails where
        # the repository is gone, and its list with it.
        with contextlib.suppress(ValueError):
            git(link.parent, "worktree", "remove", "--force", "--force", str(link.parent))
    for note in scratch.glob(f"*{_REPOSITORY}"):
        folder = note.with_suffix("")
        # Git does not remove a worktree whose `.git` was removed, but drops one whose folder is gone from its list.
        if folder.is_dir() and not folder.is_symlink():
            shutil.rmtree(folder, ignore_errors=True)
        repository = os.fsdecode(note.read_bytes())
        with contextlib.suppress(ValueError):
            git(scratch, f"--git-dir={repository}", "worktree", "remove", "--force", "--force", str(folder))


def remove_abandoned(say: Callable[[str], None]) -> None:
    """Remove the folders and worktrees that killed runs of this user left, in any repository."""
    for folder in abandoned():
        say(f"removing {folder}, left by a run that was killed")
        remove_worktrees(folder)


def resolve(top: Path, name: str) -> str:
    """The commit in full that a revision names. Raises ValueError where git knows none."""
    try:
        return git(top, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    except ValueError:
        raise ValueError(
            f"revision is {name!r}, which git does not know in {top}; expected a commit, branch or tag that is "
            "here (fetch it first?)"
        ) from None


def worktrees(folder: Path) -> list[Path]:
    """All checkouts of the repository that has the folder, with the folder's own."""
    lines = git(folder, "worktree", "list", "--porcelain").splitlines()
    return [Path(line.removeprefix("worktree ")) for line in lines if line.startswith("worktree ")]


def git_files(folder: Path, *arguments: str) -> list[str]:
    """The entries of git's output with `-z`, which ends each with a zero byte; names may hold any bytes."""
    return [os.fsdecode(entry) for entry in _answer(folder, arguments).split(b"\0") if entry]


def git(folder: Path, *arguments: str, given: str | None = None, index: Path | None = None) -> str:
    """The output of git, which reads the text `given`. Raises ValueError with its last message where it fails."""
    # The text of commits is UTF-8 in any locale.
    return _answer(folder, arguments, given, index).decode(errors="replace").strip()


def _answer(folder: Path, arguments: Sequence[str], given: str | None = None, index: Path | None = None) -> bytes:
    environment = {name: value for name, value in os.environ.items() if name not in HOOK_VARIABLES}
    # A prompt for a password would wait for ever.
    environment |= {"GIT_TERMINAL_PROMPT": "0"} | ({} if index is None else {"GIT_INDEX_FILE": str(index)})
    try:
        done = subprocess.run(  # noqa: S603  # arguments of this module
            ["git", "-C", str(folder), *_NO_USER_PROGRAMS, *arguments],  # noqa: S607  # the git on the path
            input=(given or "").encode(),
            env=environment,
            capture_output=True,
            timeout=GIT_SECONDS,
            check=False,
        )
    except OSError as error:
        raise ValueError(f"git does not run: {error}") from None
    except subprocess.TimeoutExpired:
        raise ValueError(f"git {arguments[0]} in {folder} did not end within {GIT_SECONDS} s") from None
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise ValueError((said or [f"git {arguments[0]} failed"])[-1])
    return done.stdout
