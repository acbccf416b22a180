"""A small project of eight commits, and a stand-in for the processes that measure them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from typer.testing import CliRunner

from benchmarks.__main__ import app
from benchmarks.history.plan import TrackPlan, digest
from benchmarks.history.track import track
from benchmarks.regression.processes.control import ControlTimes
from benchmarks.regression.processes.outcomes import PASSED
from benchmarks.regression.processes.process_record import ProcessRecord
from benchmarks.regression.processes.pytest_command import Side
from tests.synthetic_history import CASE
from tests.synthetic_records import record, rounds


def git(folder: Path, *words: str) -> str:
    """The answer of git, which has an identity for commits."""
    identity = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.com")
    command = ["git", *identity, *words]  # the git that is on the path
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def eight_commits(folder: Path) -> Path:
    """Make a project of eight commits in a new folder; its one benchmark calls `work`."""
    (folder / "speed").mkdir(parents=True)
    suite = "from work import work\n\ndef test_work(benchmark):\n    benchmark(work)\n"
    (folder / "speed" / "test_work.py").write_text(suite)
    git(folder, "init", "--quiet", "--initial-branch=main")
    for number in range(8):
        (folder / "work.py").write_text(f"def work():\n    return {number}\n")
        git(folder, "add", ".")
        git(folder, "commit", "--quiet", "-m", f"change {number}")
    return folder


def invoke(*words: str) -> tuple[int, str]:
    """The exit status of a verb and its output."""
    runner = CliRunner(env={"COLUMNS": "200", "GITHUB_STEP_SUMMARY": "job.md"})
    result = runner.invoke(app, list(words), catch_exceptions=False)
    return result.exit_code, " ".join(result.output.split())


class Suite:
    """A stand-in for the suite's processes: 1 s up to `slow_from`, then 1.3 s, times the session effect of the group.

    It is interrupted after `most` groups, and revision `broken` cannot run it. `dry_runs` and `ran` are the places of
    the revisions that ran.
    """

    def __init__(self, top: Path, slow_from: int = 99, most: int = 999, broken: int | None = None) -> None:
        self.order = git(top, "rev-list", "--reverse", "HEAD").split()
        self.slow_from, self.most, self.broken = slow_from, most, broken
        self.dry_runs: list[int] = []
        self.ran: list[list[int]] = []
        self.numbers: list[int] = []

    def place(self, side: Side) -> int:
        """The place of the side's revision, whose own files it has."""
        number = next(place for place, revision in enumerate(self.order) if revision.startswith(side.name))
        assert (side.folder / "work.py").read_text().endswith(f"return {number}\n")
        return number

    def dry_run(self, side: Side) -> ProcessRecord:
        """A dry run of the side."""
        self.dry_runs.append(self.place(side))
        if self.dry_runs[-1] == self.broken:
            return ProcessRecord(broken={"speed": "no such module"}, status=2)
        return ProcessRecord(outcomes={CASE: PASSED})

    def measure(
        self, sides: Sequence[Side], cases: Sequence[str], *, number: int
    ) -> tuple[list[ProcessRecord], list[list[ControlTimes]]]:
        """A group, with a repetition that warms up and one that counts."""
        if len(self.ran) >= self.most:
            raise KeyboardInterrupt
        assert cases == [CASE]
        self.ran.append([self.place(side) for side in sides])
        self.numbers.append(number)
        found = []
        for place in self.ran[-1]:
            seconds = (1.3 if place >= self.slow_from else 1.0) * (1 + 0.003 * ((place * 7 + len(self.ran) * 3) % 5))
            repetitions = [rounds([99.0]), rounds([seconds * (1 + 0.3 * (len(self.ran) % 3))] * 3)]
            found.append(record({CASE: PASSED}, repetitions={CASE: repetitions}))
        return found, [[ControlTimes(1.0, 1.0)]] * len(sides)


def planned(
    top: Path, suite: Suite, count: int = 3, packages: Mapping[str, str] | None = None, only: Sequence[int] = ()
) -> TrackPlan:
    """A plan of this many processes for all revisions, or for some."""
    return TrackPlan(
        top=top,
        revisions=tuple(suite.order[place] for place in only or range(len(suite.order))),
        suite="speed",
        processes=count,
        folder=top / "results" / "history",
        machine="machine",
        packages=packages or {"torch": "2.12"},
        system={"kernel": "6.1"},
        suite_digest=digest(top / "speed"),
    )


def tracked(plan: TrackPlan, suite: Suite) -> int:
    """Measure the plan, and return how many processes were recorded."""
    ticks: Iterator[float] = iter(range(10_000))
    return track(plan, lambda _: None, dry_run=suite.dry_run, measure=suite.measure, clock=lambda: next(ticks))
