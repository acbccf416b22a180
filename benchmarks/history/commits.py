"""The commits of a history: those of a range, their order, their subjects, and their files in a folder."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from benchmarks.files.scratch import scratch_folder
from benchmarks.regression.environments.revisions import git, remove_worktrees, resolve, worktree


def commits_in_range(top: Path, span: str) -> list[str]:
    """The commits of a range A..B along first parents, oldest first.

    Raises ValueError where the range has another form, names a revision that git does not know, or is empty.
    """
    start, dots, end = span.partition("..")
    if not (start and dots and end) or end.startswith("."):
        raise ValueError(f"range is {span!r}; expected A..B, two revisions: the commits after A up to B")
    first, last = resolve(top, start), resolve(top, end)
    found = git(top, "rev-list", "--first-parent", "--reverse", f"{first}..{last}").split()
    if not found:
        remedy = f"try {end}..{start}" if first != last else "give an earlier one to begin with, as in HEAD~20..HEAD"
        raise ValueError(f"range {span} holds no commit: {end} is {start} or comes before it; {remedy}")
    return found


def in_order(top: Path, revisions: Iterable[str]) -> list[str]:
    """The revisions that the checkout has, sorted: parents before children, and otherwise by date."""
    wanted = dict.fromkeys(revisions)
    if not wanted:
        return []
    asked = "".join(f"{revision}^{{commit}}\n" for revision in wanted)
    answers = git(top, "cat-file", "--batch-check=%(objectname) %(objecttype)", given=asked).splitlines()
    there = [name for name, answer in zip(wanted, answers, strict=True) if answer.endswith(" commit")]
    if not there:
        return []
    listed = git(top, "rev-list", "--date-order", "--reverse", "--stdin", given="\n".join(there)).split()
    return [revision for revision in listed if revision in wanted]


def subjects_between(top: Path, before: str, after: str) -> list[str]:
    """`abc1234 subject` of each commit that `after` has and `before` has not, newest first."""
    return git(top, "log", "--no-show-signature", "--format=%h %s", f"{before}..{after}").splitlines()


@contextlib.contextmanager
def checked_out(top: Path, commit: str) -> Iterator[Path]:
    """The files of a commit in a temporary folder: a git worktree, which is removed at the end."""
    with scratch_folder("revision") as scratch:
        try:
            yield worktree(top, commit, commit, scratch / "files").folder
        finally:
            remove_worktrees(scratch)
