"""Files of a history and of suites in old revisions: no link is followed, nothing of the user's is changed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from benchmarks.history import folder as histories
from benchmarks.history.plan import digest
from benchmarks.store import StoreError
from tests.precious_files import content
from tests.synthetic_history import process
from tests.verbs_in_a_place import MEASURING, git, measured, refused, run

pytestmark = pytest.mark.usefixtures("place")


@pytest.mark.parametrize("link", ["history", "history/machine", "history/machine/processes.jsonl"])
def test_a_history_is_added_to_through_no_link(link: str, pictures: Path) -> None:
    """Only the history's folder itself, which the user names, may be a link."""
    Path(link).parent.mkdir(parents=True, exist_ok=True)
    target = pictures / "target"
    if link.endswith("jsonl"):
        target.write_text("")
    else:
        target.mkdir()
    Path(link).symlink_to(target)
    before = content(pictures)
    if link == "history":
        histories.append(Path("history"), "machine", process(0, 1.0))
        assert (target / "machine" / "processes.jsonl").is_file()
        return
    with pytest.raises(StoreError, match=f"{link} is a link"):
        histories.append(Path("history"), "machine", process(0, 1.0))
    assert content(pictures) == before


@pytest.mark.usefixtures("project_in_git")
@pytest.mark.parametrize("link", ["history/machine", "history/machine/processes.jsonl"])
def test_track_does_not_measure_for_a_link(link: str, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`track` refuses before measuring what it could not add to the history."""
    for each in MEASURING:
        monkeypatch.setattr(f"benchmarks.{each}", measured)
    monkeypatch.setattr("benchmarks.machine.describe_machine", lambda: {"key": "machine", "system": {}})
    (pictures / "processes.jsonl").write_text("")
    Path(link).parent.mkdir(parents=True)
    Path(link).symlink_to(pictures / "processes.jsonl" if link.endswith("jsonl") else pictures)
    assert f"{link} is a link" in refused("track", "--suite", "bench/suite", "--history", "history")


@pytest.mark.usefixtures("project_in_git")
def test_a_file_that_is_no_history_is_not_added_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file without a record of a process is no history."""
    monkeypatch.setattr("benchmarks.machine.describe_machine", lambda: {"key": "machine", "system": {}})
    Path("history/machine").mkdir(parents=True)
    Path("history/machine/processes.jsonl").write_text("mine\n")
    said = refused("track", "--suite", "bench/suite", "--history", "history")
    assert "holds no record of a process" in said


@pytest.mark.parametrize("link", ["bench", "bench/suite"])
@pytest.mark.usefixtures("project_in_git")
def test_track_follows_no_link_out_of_an_old_revision(link: str, pictures: Path) -> None:
    """The user's folder behind it stays, no worktree is left, and nothing is recorded."""
    (pictures / "suite").mkdir()
    (pictures / "suite" / "thesis.txt").write_text("years of work")
    shutil.rmtree(link)
    Path(link).parent.mkdir(exist_ok=True)
    Path(link).symlink_to(pictures)
    git("add", "-A")
    git("commit", "--quiet", "-m", "link")
    Path(link).unlink()
    git("checkout", "--quiet", "HEAD~1", "--", ".")
    git("commit", "--quiet", "-m", "folder")
    kept = content(pictures)
    result = run("track", "--rev", "HEAD~1", "--suite", "bench/suite", "--history", "../history", "--processes", "1")
    assert result.exit_code == 2
    assert "bench/suite leads out of" in result.output
    assert content(pictures) == kept
    assert len(git("worktree", "list").splitlines()) == 1
    assert list(Path("../history").rglob("*")) == []


@pytest.mark.parametrize("suite", [".", "bench/.."])
@pytest.mark.usefixtures("project_in_git")
def test_the_whole_checkout_is_no_suite(suite: str) -> None:
    """The whole checkout would replace the code that is to be measured."""
    assert "the whole checkout" in refused("track", "--suite", suite)


@pytest.mark.usefixtures("project_in_git")
def test_a_suite_has_its_digest_whatever_lies_in_it() -> None:
    """Named pipes and links that lead nowhere are no part of it, and are not waited for."""
    before = digest(Path("bench/suite"))
    os.mkfifo("bench/suite/pipe.py")
    Path("bench/suite/dangling.py").symlink_to("none.py")
    Path("bench/suite/folder.py").mkdir()
    assert digest(Path("bench/suite")) == before
    assert "which is no regular file" in refused("track", "--suite", "bench/suite/pipe.py")
