"""Jobs run a copy of the code at one commit: neither what is changed nor what is committed later is in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.cluster.code_copy import check_own_code, checked_commit, copy_code, said_of_uncommitted, uncommitted
from benchmarks.machine.software import commit
from benchmarks.store import StoreError
from tests.own_code_projects import git


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of three commits."""
    place = tmp_path / "project"
    place.mkdir()
    git(place, "init", "--quiet")
    for number in range(3):
        (place / "code.py").write_text(f"number = {number}\n")
        git(place, "add", ".")
        git(place, "commit", "--quiet", "-m", f"{number}")
    return place


@pytest.mark.parametrize(("history", "commits"), [(False, 1), (True, 3)])
def test_a_copy_is_of_the_commit(project: Path, tmp_path: Path, history: bool, commits: int) -> None:
    revision = checked_commit(project)
    (project / "code.py").write_text("number = 'changed'\n")
    copy = copy_code(tmp_path / "copy", revision, history=history, project=project)
    git(project, "commit", "--quiet", "-a", "-m", "later")
    assert (copy / "code.py").read_text() == "number = 2\n"
    assert commit(copy) == {"revision": revision, "dirty": False}
    assert len(git(copy, "rev-list", "HEAD").split()) == commits


def test_what_is_not_committed_is_named(project: Path) -> None:
    assert uncommitted(project) == []
    (project / "code.py").write_text("changed")
    (project / "mine.py").touch()
    assert said_of_uncommitted(uncommitted(project)).endswith("code.py, mine.py")


def test_code_outside_of_git_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is no git checkout"):
        checked_commit(tmp_path)


def test_own_code_has_to_be_in_the_copy(project: Path, tmp_path: Path) -> None:
    """An installed module and a name of the registry need not be."""
    (project / "mine.py").touch()
    copy = copy_code(tmp_path / "copy", checked_commit(project), history=False, project=project)
    check_own_code({"a": "numpy_loop", "b": "code:Rnn", "c": "elsewhere:Rnn"}, copy, project)
    with pytest.raises(StoreError, match=re.escape(f"mine is in {project} and not in the commit")):
        check_own_code({"a": "mine:Rnn"}, copy, project)
