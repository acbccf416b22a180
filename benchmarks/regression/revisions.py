"""Two revisions of a project as folders: git worktrees that go when the run ends, or the checkout as it stands."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks.files import lay, remove, scratch_folder, write
from benchmarks.files.scratch import abandoned

_OF_A_HOOK = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY")
"""What git tells a hook of where it is: of the checkout that the hook runs in, not of a worktree."""
_NO_PROGRAMS_OF_THE_USER = ("-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false")
"""A worktree that is made here is nobody's checkout: no hook runs, and none can fail."""
_REPOSITORY = ".repository"
"""How the name of a file ends in which is noted whose worktree the folder beside it is."""
GIT_SECONDS = 600
"""Git is stopped when it takes longer: it waits for a network or a lock that does not come."""


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
    """The files of a commit in a new folder, as a git worktree; the caller removes it by `remove_worktrees`.

    Submodules are filled from those of the checkout that have the commit.
    """
    # Beside the folder: what happens in it does not make git's entry of it untraceable.
    repository = (top / git(top, "rev-parse", "--git-common-dir")).resolve()
    write(folder.parent, f"{folder.name}{_REPOSITORY}", os.fsencode(repository))
    git(top, "worktree", "add", "--quiet", "--detach", str(folder), commit)
    _fill_submodules(top, commit, folder)
    return Revision(name, commit, dirty=False, folder=folder)


def copy_of_checkout(top: Path, revision: Revision, folder: Path) -> Revision:
    """The checkout's tracked and new files in a new worktree, without what git ignores: as it would be committed."""
    worktree(top, revision.name, revision.commit, folder)
    changed = listed(top, "diff", "--name-only", "-z", "--no-renames", "--no-ext-diff", revision.commit)
    new = listed(top, "ls-files", "-z", "--others", "--exclude-standard")
    for name in sorted(changed):
        # All before any is copied: a folder may have become a file, a file a folder, and either a link. What contains
        # others comes first, so that no link is left to be followed.
        _remove(folder / name)
    for name in (*changed, *new):
        if (top / name).is_symlink() or (top / name).exists():
            # Of a submodule, and of a repository that is not one, git's own files belong to the checkout.
            lay(top, folder, name.rstrip("/"), left_out=("__pycache__", ".git"))
    return dataclasses.replace(revision, folder=folder)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _fill_submodules(source: Path, commit: str, folder: Path) -> None:
    """Put into the folder the files of a commit's submodules, as far as the checkout `source` has them."""
    for entry in listed(source, "ls-tree", "-r", "-z", commit):
        described, _, name = entry.partition("\t")
        mode, _, of_module = described.split(" ")
        if mode == "160000":
            _fill_submodule(source / name, of_module, folder / name)


def _fill_submodule(module: Path, commit: str, folder: Path) -> None:
    if not (module / ".git").exists() or folder.is_symlink():
        return
    index = folder.parent / f".{folder.name}.index"
    try:
        git(module, "read-tree", commit, index=index)
        git(module, "checkout-index", "--all", f"--prefix={folder}/", index=index)
        _fill_submodules(module, commit, folder)
    except ValueError:
        # The checkout's submodule lacks the commit: the folder stays empty, as git leaves it.
        return
    finally:
        remove(index.parent, index.name)


def remove_worktrees(scratch: Path) -> None:
    """Remove the worktrees that lie in a folder, with all that was written into them, there and in git's list."""
    for link in scratch.glob("*/.git"):
        # Twice: an interrupt may have left one that git was about to make, which it guards. Where that fails, the
        # repository is gone, and its list with it.
        with contextlib.suppress(ValueError):
            git(link.parent, "worktree", "remove", "--force", "--force", str(link.parent))
    for note in scratch.glob(f"*{_REPOSITORY}"):
        folder = note.with_suffix("")
        # What ran in it may have taken its `.git` away: git refuses to remove such a one, but not one that is gone.
        if folder.is_dir() and not folder.is_symlink():
            shutil.rmtree(folder, ignore_errors=True)
        repository = os.fsdecode(note.read_bytes())
        with contextlib.suppress(ValueError):
            git(scratch, f"--git-dir={repository}", "worktree", "remove", "--force", "--force", str(folder))


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


def worktrees(folder: Path) -> list[Path]:
    """All checkouts of the repository that a folder is in, with itself: the same project, of other commits."""
    lines = git(folder, "worktree", "list", "--porcelain").splitlines()
    return [Path(line.removeprefix("worktree ")) for line in lines if line.startswith("worktree ")]


def listed(folder: Path, *arguments: str) -> list[str]:
    """The entries of an answer of git that ends each by a zero byte, as git does by `-z`; names may hold any bytes."""
    return [os.fsdecode(entry) for entry in _answer(folder, arguments).split(b"\0") if entry]


def git(folder: Path, *arguments: str, given: str | None = None, index: Path | None = None) -> str:
    """What git answers to the arguments and to what it is given to read. Raises ValueError with its words if not."""
    # Whatever the locale is, commits speak UTF-8.
    return _answer(folder, arguments, given, index).decode(errors="replace").strip()


def _answer(folder: Path, arguments: Sequence[str], given: str | None = None, index: Path | None = None) -> bytes:
    environment = {name: value for name, value in os.environ.items() if name not in _OF_A_HOOK}
    # Nobody is there to type a password.
    environment |= {"GIT_TERMINAL_PROMPT": "0"} | ({} if index is None else {"GIT_INDEX_FILE": str(index)})
    try:
        done = subprocess.run(  # noqa: S603  # the arguments are this module's own
            ["git", "-C", str(folder), *_NO_PROGRAMS_OF_THE_USER, *arguments],  # noqa: S607  # the git on the path
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
