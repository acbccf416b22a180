"""The first, unmeasured run of a suite: what of the budget it takes, and what several processes of it loaded."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from benchmarks.regression.first_run import FirstRuns
from benchmarks.regression.loaded import Loaded
from benchmarks.regression.preparing import Preparation
from benchmarks.regression.revisions import Revision
from benchmarks.regression.session import BudgetOver, Limits, Side
from benchmarks.regression.session_record import Measured
from tests.own_code_projects import project

RAN = Measured({}, {}, {"a": ("passed", "")}, {}, {}, 0, "", loaded=None)


class Clock:
    """A clock that the first runs move on, by so many seconds each."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: list[float]):
        self.now, self.seconds, self.limits = 100.0, seconds, list[Limits]()
        monkeypatch.setattr("time.monotonic", lambda: self.now)
        monkeypatch.setattr("benchmarks.regression.first_run.look", self.look)

    def look(self, _: Side, limits: Limits) -> Measured:
        """Take the next time."""
        self.limits.append(limits)
        self.now += self.seconds.pop(0)
        if self.now >= limits.deadline:
            raise BudgetOver("bench/test_it.py::test_a")
        return RAN


def sides(folder: Path) -> tuple[Side, Side]:
    """Base and head, which have the suite."""
    return Side("base", folder, "python", "."), Side("head", folder, "python", ".")


def test_only_the_last_run_of_each_side_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Those before a build, and the build, are no part of the budget; each has all of what is left of it."""
    clock = Clock(monkeypatch, [3.0, 4.0, 5.0, 6.0])
    base, head = sides(tmp_path)
    first = FirstRuns(60.0)
    for side in (base, head):
        first.look(side)
    clock.now += 1000.0
    for side in (base, head):
        first.look(side)
    assert first.seconds == 11.0
    assert [each.deadline for each in clock.limits] == [160.0, 160.0, 1167.0, 1167.0]


def test_a_budget_that_ends_in_the_first_run_is_told_with_the_case(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Both runs share it."""
    Clock(monkeypatch, [50.0, 20.0])
    base, head = sides(tmp_path)
    first = FirstRuns(60.0)
    first.look(base)
    with pytest.raises(
        ValueError, match=r"--budget is 60s, .* first, unmeasured run of .* head, in bench/test_it.py::"
    ):
        first.look(head)


def test_processes_of_one_run_tell_together_what_they_loaded() -> None:
    """After a test that ended its process the others run in a second one."""
    one = Loaded({"m": (Path("m.py"),)}, {"x": (Path("f"),)}, (Path("a.so"),), (Path("p"),))
    two = Loaded({"m": (Path("n.py"),), "k": (Path("k.py"),)}, {}, (), (Path("p"), Path("q")))
    merged = dataclasses.replace(RAN, loaded=one).merged(dataclasses.replace(RAN, loaded=two))
    assert merged.loaded == Loaded(
        {"m": (Path("m.py"), Path("n.py")), "k": (Path("k.py"),)},
        {"x": (Path("f"),)},
        (Path("a.so"),),
        (Path("p"), Path("q")),
    )


def test_a_process_that_did_not_tell_is_not_passed_over() -> None:
    """Where its tests passed, nobody knows of which code; where none did, the other process tells."""
    told = dataclasses.replace(RAN, loaded=Loaded({"m": (Path("m.py"),)}))
    ended = dataclasses.replace(RAN, outcomes={"b": ("failed", "it ended its process")})
    assert RAN.merged(told).loaded is None
    assert told.merged(RAN).loaded is None
    assert ended.merged(told).loaded == told.loaded
    assert told.merged(ended).loaded == told.loaded


def test_options_for_pytest_are_in_force_in_every_dry_run_and_after(tmp_path: Path) -> None:
    """A suite that is kept out of ordinary runs is there in the first run, too."""
    top = project(tmp_path / "project", {"pkg.py": "revision = REVISION\n", "bench/test_it.py": ""})
    looked: list[Side] = []

    def look(side: Side) -> Measured:
        looked.append(side)
        return dataclasses.replace(RAN, loaded=Loaded())

    revision = Revision("HEAD", "HEAD", dirty=False, folder=top)
    preparation = Preparation(top, "bench", tmp_path, look=look, say=lambda _: None, options=["--run-slow"])
    ready = preparation.pair(revision, revision, "auto")
    assert [side.options for side in (*looked, *(each.side for each in ready))] == [("--run-slow",)] * 4
