"""The dry run of a suite: the budget that it takes, and the modules that its processes loaded."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from benchmarks.regression.dry_run import DryRuns
from benchmarks.regression.environments.preparing import Preparation
from benchmarks.regression.environments.requirements import Needs
from benchmarks.regression.environments.revisions import Revision
from benchmarks.regression.processes.loaded import Loaded
from benchmarks.regression.processes.outcomes import PASSED, Outcome
from benchmarks.regression.processes.process_record import ProcessRecord
from benchmarks.regression.processes.pytest_command import Side
from benchmarks.regression.processes.suite_process import BudgetOver, TimeLimits
from tests.own_code_projects import project

RAN = ProcessRecord(outcomes={"a": PASSED}, loaded=None)


class Clock:
    """A clock that each dry run moves on by the next of these durations."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: list[float]):
        self.now, self.seconds, self.limits = 100.0, seconds, list[TimeLimits]()
        monkeypatch.setattr("time.monotonic", lambda: self.now)
        monkeypatch.setattr("benchmarks.regression.dry_run.dry_run", self.dry_run)

    def dry_run(self, _: Side, limits: TimeLimits) -> ProcessRecord:
        """A dry run that takes the next duration."""
        self.limits.append(limits)
        self.now += self.seconds.pop(0)
        if self.now >= limits.deadline:
            raise BudgetOver("bench/test_it.py::test_a")
        return RAN


def sides(folder: Path) -> tuple[Side, Side]:
    """Base and head, which both have the suite."""
    return Side("base", folder, "python", "."), Side("head", folder, "python", ".")


def test_only_the_last_run_of_each_side_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Dry runs before a build, and the build, are not part of the budget; each may take all that is left of it."""
    clock = Clock(monkeypatch, [3.0, 4.0, 5.0, 6.0])
    base, head = sides(tmp_path)
    runs = DryRuns(60.0)
    for side in (base, head):
        runs.run(side)
    clock.now += 1000.0
    for side in (base, head):
        runs.run(side)
    assert runs.seconds == 11.0
    assert [each.deadline for each in clock.limits] == [160.0, 160.0, 1167.0, 1167.0]


def test_a_budget_that_ends_in_a_dry_run_is_refused_with_the_case(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Both dry runs share the budget."""
    Clock(monkeypatch, [50.0, 20.0])
    base, head = sides(tmp_path)
    runs = DryRuns(60.0)
    runs.run(base)
    with pytest.raises(ValueError, match=r"--budget is 60s, .* dry run of .* head, in bench/test_it.py::"):
        runs.run(head)


def test_the_modules_of_all_processes_of_a_dry_run_count() -> None:
    """After a test that ended its process, the others run in a second one."""
    one = Loaded({"m": (Path("m.py"),)}, {"x": (Path("f"),)}, (Path("a.so"),), (Path("p"),))
    two = Loaded({"m": (Path("n.py"),), "k": (Path("k.py"),)}, {}, (), (Path("p"), Path("q")))
    merged = dataclasses.replace(RAN, loaded=one).merged(dataclasses.replace(RAN, loaded=two))
    assert merged.loaded == Loaded(
        {"m": (Path("m.py"), Path("n.py")), "k": (Path("k.py"),)},
        {"x": (Path("f"),)},
        (Path("a.so"),),
        (Path("p"), Path("q")),
    )


def test_a_process_that_wrote_no_modules_is_not_passed_over() -> None:
    """Where its tests passed, their code is unknown; where none passed, the modules of the other process count."""
    wrote = dataclasses.replace(RAN, loaded=Loaded({"m": (Path("m.py"),)}))
    ended = dataclasses.replace(RAN, outcomes={"b": Outcome("failed", "it ended its process")})
    assert RAN.merged(wrote).loaded is None
    assert wrote.merged(RAN).loaded is None
    assert ended.merged(wrote).loaded == wrote.loaded
    assert wrote.merged(ended).loaded == wrote.loaded


def test_options_for_pytest_are_in_force_in_every_dry_run_and_after(tmp_path: Path) -> None:
    """Dry runs and prepared sides have the options."""
    top = project(tmp_path / "project", {"pkg.py": "revision = REVISION\n", "bench/test_it.py": ""})
    run: list[Side] = []

    def dry_run(side: Side) -> ProcessRecord:
        run.append(side)
        return dataclasses.replace(RAN, loaded=Loaded())

    revision = Revision("HEAD", "HEAD", dirty=False, folder=top)
    needs = Needs(options=("--run-slow",))
    preparation = Preparation(top, "bench", tmp_path, dry_run=dry_run, say=lambda _: None, needs=needs)
    ready = preparation.pair(revision, revision, "auto")
    assert [side.options for side in (*run, *(each.side for each in ready))] == [("--run-slow",)] * 4
