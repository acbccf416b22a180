"""The revisions that `regress` sets against each other: which commits, whose files, and what git is asked."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from benchmarks.regression.revisions import _OF_A_HOOK as TOLD_TO_HOOKS
from benchmarks.regression.revisions import Revision, check_out, resolve, top_of_checkout


def git(folder: Path, *words: str) -> str:
    """What git says, run as somebody."""
    identity = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.com")
    command = ["git", *identity, *words]  # the git that is on the path
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two commits, in whose one file their number stands."""
    folder = tmp_path / "project"
    folder.mkdir()
    git(folder, "init", "--quiet")
    for number in ("1", "2"):
        (folder / "work.py").write_text(number)
        git(folder, "add", ".")
        git(folder, "commit", "--quiet", "-m", number)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return folder


def test_each_side_has_the_files_of_its_commit(project: Path) -> None:
    """In folders of their own, whatever the checkout holds."""
    (project / "work.py").write_text("3")
    with check_out(project, "HEAD~1", "HEAD") as (base, head):
        assert [(each.folder / "work.py").read_text() for each in (base, head)] == ["1", "2"]
        assert (base.name, base.commit, base.dirty) == ("HEAD~1", git(project, "rev-parse", "HEAD~1"), False)
        assert (head.name, head.commit, head.dirty) == ("HEAD", git(project, "rev-parse", "HEAD"), False)
        assert project not in (base.folder, head.folder)


@pytest.mark.parametrize("changed", [False, True])
def test_where_no_head_is_named_it_is_the_checkout_itself(project: Path, changed: bool) -> None:
    """As it stands; whether it has uncommitted changes is told."""
    if changed:
        (project / "work.py").write_text("3")
    with check_out(project, "HEAD~1", None) as (base, head):
        assert (base.folder / "work.py").read_text() == "1"
        commit = git(project, "rev-parse", "HEAD")
        assert head == Revision("the checkout", commit, dirty=changed, folder=project)
    changes = " with uncommitted changes" if changed else ""
    assert head.label == f"the checkout ({commit[:9]}{changes})"
    assert (project / "work.py").exists()


def test_a_revision_is_a_commit(project: Path) -> None:
    """That which a tag is of; no folder of one, no option and nothing that is not there."""
    git(project, "tag", "--annotate", "-m", "a tag", "v1", "HEAD~1")
    assert resolve(project, "v1") == git(project, "rev-parse", "HEAD~1")
    for name in ("HEAD^{tree}", "--all", "nowhere", ""):
        with pytest.raises(ValueError, match="which git does not know"):
            resolve(project, name)


def test_git_answers_for_the_folder_that_is_asked_about(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in a hook, to which git tells where the checkout is that it belongs to."""
    for name in TOLD_TO_HOOKS:
        monkeypatch.setenv(name, "nowhere")
    assert top_of_checkout(project) == project
    assert resolve(project, "HEAD~1")


def test_git_that_is_not_there_is_told(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a sentence."""
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ValueError, match="git does not run"):
        top_of_checkout(project)
