"""The revisions of `regress`: their commits, their files, and the answers of git."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from benchmarks.regression.environments.revisions import (
    HOOK_VARIABLES,
    Revision,
    check_out,
    copy_of_checkout,
    remove_worktrees,
    resolve,
    top_of_checkout,
    worktree,
)
from benchmarks.regression.environments.revisions import (
    git as ask_git,
)


def git(folder: Path, *words: str) -> str:
    """The answer of git, which has an identity for commits."""
    identity = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.com")
    command = ["git", *identity, *words]  # the git that is on the path
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of two commits, whose one file has the commit's number."""
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
    """They lie in folders of their own, and the checkout's files do not count."""
    (project / "work.py").write_text("3")
    with check_out(project, "HEAD~1", "HEAD") as (base, head):
        assert [(each.folder / "work.py").read_text() for each in (base, head)] == ["1", "2"]
        assert (base.name, base.commit, base.dirty) == ("HEAD~1", git(project, "rev-parse", "HEAD~1"), False)
        assert (head.name, head.commit, head.dirty) == ("HEAD", git(project, "rev-parse", "HEAD"), False)
        assert project not in (base.folder, head.folder)


@pytest.mark.parametrize("changed", [False, True])
def test_without_a_name_head_is_the_checkout_itself(project: Path, changed: bool) -> None:
    """Its label says whether it has uncommitted changes."""
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
    """A tag names its commit; a tree, an option and a missing name are refused."""
    git(project, "tag", "--annotate", "-m", "a tag", "v1", "HEAD~1")
    assert resolve(project, "v1") == git(project, "rev-parse", "HEAD~1")
    for name in ("HEAD^{tree}", "--all", "nowhere", ""):
        with pytest.raises(ValueError, match="which git does not know"):
            resolve(project, name)


def test_git_answers_for_the_given_folder(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables of a hook, which name another checkout, have no effect."""
    for name in HOOK_VARIABLES:
        monkeypatch.setenv(name, "nowhere")
    assert top_of_checkout(project) == project
    assert resolve(project, "HEAD~1")


def test_a_missing_git_is_refused(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The refusal is a sentence."""
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ValueError, match="git does not run"):
        top_of_checkout(project)


def test_no_hook_runs_in_a_worktree(project: Path, tmp_path: Path) -> None:
    """The program that watches files does not run either."""
    for name in ("post-checkout", "watch"):
        hook = project / ".git" / "hooks" / name
        hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran-{name}\nexit 2\n")
        hook.chmod(0o700)
    git(project, "config", "core.fsmonitor", str(project / ".git/hooks/watch"))
    (tmp_path / "ran-watch").unlink(missing_ok=True)
    with check_out(project, "HEAD~1", "HEAD") as (base, _):
        assert (base.folder / "work.py").read_text() == "1"
    assert not list(tmp_path.glob("ran-*"))


def test_a_worktree_without_its_git_file_is_removed_from_gits_list(project: Path, tmp_path: Path) -> None:
    """Code that runs in it may remove the file, or replace the folder by a link, which is not followed."""
    for name in ("emptied", "linked"):
        worktree(project, "HEAD", resolve(project, "HEAD"), tmp_path / name)
        (tmp_path / name / ".git").unlink()
    kept = tmp_path / "kept"
    (tmp_path / "linked").rename(kept)
    (tmp_path / "linked").symlink_to(kept)
    remove_worktrees(tmp_path)
    assert not (tmp_path / "emptied").exists()
    assert (kept / "work.py").exists()
    assert str(tmp_path / "emptied") not in git(project, "worktree", "list")


def test_a_copy_of_the_checkout_is_what_would_be_committed(project: Path, tmp_path: Path) -> None:
    """It has changed and new files and links, a file where a folder was, and no removed or ignored file.

    A dangling link is left out.
    """
    for name in ("gone.py", "folder/file.py", "file"):
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text("3")
    git(project, "add", ".")
    git(project, "commit", "--quiet", "-m", "3")
    (project / "gone.py").unlink()
    (project / "folder/file.py").unlink()
    (project / "folder").rmdir()
    (project / "folder").write_text("now a file")
    (project / "file").unlink()
    (project / "file").mkdir()
    (project / "file/inner.py").write_text("now in a folder")
    (project / "work.py").write_text("changed")
    (project / "link").symlink_to("work.py")
    (project / "dangling").symlink_to("/nowhere")
    (project / ".gitignore").write_text("ignored.so\n")
    (project / "ignored.so").touch()
    revision = Revision("the checkout", resolve(project, "HEAD"), dirty=True, folder=project)
    made = copy_of_checkout(project, revision, tmp_path / "copy")
    assert made == Revision("the checkout", revision.commit, dirty=True, folder=tmp_path / "copy")
    found = {path.name for path in (tmp_path / "copy").iterdir()}
    assert found == {".git", ".gitignore", "file", "folder", "link", "work.py"}
    assert (made.folder / "work.py").read_text() == "changed"
    assert (made.folder / "folder").read_text() == "now a file"
    assert (made.folder / "file/inner.py").read_text() == "now in a folder"
    assert (made.folder / "link").resolve() == made.folder / "work.py"
    (project / "dangling").unlink()
    assert git(made.folder, "status", "--porcelain") == git(project, "status", "--porcelain")


def test_a_submodule_without_its_commit_is_named(project: Path, tmp_path: Path) -> None:
    """The checkout has no such submodule, so that its folder stays empty in a worktree."""
    commit = git(project, "rev-parse", "HEAD")
    git(project, "update-index", "--add", "--cacheinfo", f"160000,{commit},vendor/grammar")
    git(project, "commit", "--quiet", "-m", "with a submodule")
    made = worktree(project, "HEAD", resolve(project, "HEAD"), tmp_path / "made")
    assert made.empty_submodules == ("vendor/grammar",)
    assert worktree(project, "HEAD~1", commit, tmp_path / "before").empty_submodules == ()
    remove_worktrees(tmp_path)


def test_git_that_does_not_end_is_stopped(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may wait for a network or a lock."""
    monkeypatch.setattr("benchmarks.regression.environments.revisions.GIT_SECONDS", 0.2)
    git(project, "config", "alias.waits", "!sleep 5")
    with pytest.raises(ValueError, match=r"git waits in .*project did not end within 0.2 s"):
        ask_git(project, "waits")
