"""The commits of a history: ranges, their order, and their subjects."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from benchmarks.history.commits import commits_in_range, in_order, subjects_between
from tests.tracked_project import git


def test_subjects_of_commits_are_read_in_any_locale(project: Path) -> None:
    """Git writes UTF-8 in any locale."""
    before = git(project, "rev-parse", "HEAD")
    git(project, "commit", "--quiet", "--allow-empty", "-m", "caf\N{LATIN SMALL LETTER E WITH ACUTE}")
    reading = f"from benchmarks.history.commits import *; print(ascii(subjects_between(Path(), '{before}', 'HEAD')))"
    variables = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONPATH": str(Path(__file__).parent.parent)}
    command = [sys.executable, "-c", reading]
    done = subprocess.run(command, cwd=project, env=os.environ | variables, check=True, capture_output=True, text=True)
    assert r"caf\xe9" in done.stdout


def test_a_range_is_the_commits_after_a_up_to_b_in_order(project: Path) -> None:
    """They are the first parents, oldest first: a merged branch is not measured commit by commit."""
    order = git(project, "rev-list", "--reverse", "HEAD").split()
    assert commits_in_range(project, "HEAD~3..HEAD") == order[-3:]
    git(project, "switch", "--quiet", "-c", "aside", "HEAD~1")
    git(project, "commit", "--quiet", "--allow-empty", "-m", "aside")
    git(project, "switch", "--quiet", "main")
    git(project, "merge", "--quiet", "--no-ff", "-m", "merge", "aside")
    assert commits_in_range(project, f"{order[-2]}..main") == [order[-1], git(project, "rev-parse", "main")]


def test_commits_are_put_in_order_and_others_left_out(project: Path) -> None:
    """Missing commits and other objects are left out."""
    order = git(project, "rev-list", "--reverse", "HEAD").split()
    tree = git(project, "rev-parse", "HEAD^{tree}")
    assert in_order(project, [*reversed(order), tree, "0" * 40]) == order
    assert in_order(project, order[3:5]) == order[3:5]
    assert in_order(project, ["0" * 40]) == in_order(project, []) == []


def test_the_commits_between_two_are_listed_newest_first(project: Path) -> None:
    """They have abbreviated names and subjects."""
    order = git(project, "rev-list", "--reverse", "HEAD").split()
    subjects = subjects_between(project, order[4], order[6])
    assert [line.split(" ", 1)[1] for line in subjects] == ["change 6", "change 5"]
    assert order[6].startswith(subjects[0].split()[0])
