"""`track`: groups of revisions around an anchor, failures, and continuing an interrupted command."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks.history import folder as histories
from benchmarks.history.track import track
from benchmarks.regression.processes.control import ControlTimes
from benchmarks.regression.processes.process_record import ProcessRecord
from benchmarks.regression.processes.pytest_command import Side
from tests.synthetic_history import CASE
from tests.tracked_project import Suite, git, invoke, planned, tracked


def test_the_anchor_is_in_every_group(project: Path) -> None:
    """A round has each other revision once, and neighbours are never in one group."""
    suite = Suite(project)
    assert tracked(planned(project, suite, count=2), suite) == 20
    assert suite.ran == [[0, 1, 4, 7], [0, 2, 5], [0, 3, 6]] * 2
    assert suite.numbers == [0, 0, 0, 1, 1, 1]
    assert git(project, "worktree", "list").count("\n") == 0


def test_a_later_revision_has_the_same_anchor(project: Path) -> None:
    """Other packages do not change the anchor; the repetition that warms up does not count."""
    first = Suite(project)
    tracked(planned(project, first, only=[2, 3]), first)
    later = Suite(project)
    tracked(planned(project, later, count=1, packages={"torch": "2.13"}, only=[6]), later)
    assert later.ran == [[2, 6]]
    read = histories.read(project / "results/history", "machine")[0]
    assert len({each.group for each in read[-2:]}) == 1
    assert max(each.cases[CASE].low_seconds for each in read) < 9


def test_another_anchor_stands_in_for_one_that_cannot_run(project: Path) -> None:
    """The failure is recorded once, with the reason, and the revision is not run again."""
    first = Suite(project)
    tracked(planned(project, first, only=[2, 3]), first)
    later = Suite(project, broken=2)
    plan = planned(project, later, count=1, packages={"torch": "2.13"}, only=[6])
    assert tracked(plan, later) == 3
    assert later.ran == [[3, 6]]
    assert tracked(dataclasses.replace(plan, processes=2), later) == 2
    assert later.dry_runs == [2, 3, 6, 3, 6]


def test_a_revision_that_cannot_run_needs_no_more_processes(project: Path) -> None:
    """The others of the range are measured as often as the plan says."""
    suite = Suite(project, broken=3)
    plan = planned(project, suite, count=2, only=[2, 3])
    assert tracked(plan, suite) == 3
    assert suite.ran == [[2], [2]]
    assert plan.missing() == {suite.order[2]: 0, suite.order[3]: 0}


def test_a_single_revision_is_measured_alone(project: Path) -> None:
    """There is no other revision to interleave it with."""
    suite = Suite(project)
    assert tracked(planned(project, suite, count=2, only=[4]), suite) == 2
    assert suite.ran == [[4], [4]]


def test_an_interrupted_track_is_continued(project: Path) -> None:
    """Recorded processes are kept and not measured again; with other packages all are measured."""
    first = Suite(project, most=2)
    with pytest.raises(KeyboardInterrupt):
        tracked(planned(project, first, count=1), first)
    assert git(project, "worktree", "list").count("\n") == 0
    second = Suite(project)
    assert tracked(planned(project, second, count=1), second) == 3
    assert second.ran == [[0, 3, 6]]
    assert second.numbers == [0]
    assert tracked(planned(project, second, count=1), second) == 0
    assert tracked(planned(project, second, count=2), second) == 10
    assert second.numbers == [0, 1, 1, 1]
    third = Suite(project)
    assert tracked(planned(project, third, count=1, packages={"torch": "2.13"}), third) == 10


def test_a_process_that_ended_early_is_not_recorded(project: Path) -> None:
    """The same command measures its revision again."""
    suite = Suite(project)
    plan = planned(project, suite, count=1, only=[0, 1])

    def killed(
        sides: Sequence[Side], cases: Sequence[str], *, number: int
    ) -> tuple[list[ProcessRecord], list[list[ControlTimes]]]:
        measured, controls = suite.measure(sides, cases, number=number)
        return [measured[0], ProcessRecord(status=-9)], controls

    said: list[str] = []
    assert track(plan, said.append, dry_run=suite.dry_run, measure=killed) == 1
    assert any("ended with -9 before it had measured" in each for each in said)
    assert tracked(plan, suite) == 2


def test_track_measures_a_range_from_the_command_line(project: Path) -> None:
    """Processes are real; a revision that cannot run the suite is recorded with the reason and not tried again."""
    (project / "work.py").write_text("import no_such_module\n")
    git(project, "commit", "--quiet", "-am", "broken")
    words = ("track", "--range", "HEAD~2..HEAD", "--suite", "speed", "--processes", "1", "--history", "kept")
    status, said = invoke(*words)
    assert status == 0, said
    assert "cannot run the suite" in said
    assert "2 processes added" in said
    (machine,) = histories.machines(project / "kept")
    works, broken = sorted(histories.read(project / "kept", machine)[0], key=lambda each: each.failure is not None)
    assert works.failure is None
    assert works.cases[CASE].rounds >= 9
    assert "python" in works.packages
    assert "no_such_module" in (broken.failure or "")
    assert "0 processes added" in invoke(*words)[1]
