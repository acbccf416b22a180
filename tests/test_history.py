"""`track` and `history`: revisions of a small project in turns, resuming, a range, reports, wrong use."""

from __future__ import annotations

import csv
import dataclasses
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks.__main__ import app
from benchmarks.history import folder as histories
from benchmarks.history.commits import commits_in_range, in_order, subjects_between
from benchmarks.history.plan import TrackPlan, digest
from benchmarks.history.track import track
from benchmarks.regression.control import ControlTimes
from benchmarks.regression.outcomes import PASSED
from benchmarks.regression.process_record import ProcessRecord
from benchmarks.regression.pytest_command import Side
from benchmarks.store import StoreError
from tests.synthetic_history import CASE, process
from tests.synthetic_records import record, rounds


def git(folder: Path, *words: str) -> str:
    """Run git as somebody."""
    identity = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.com")
    command = ["git", *identity, *words]  # the git that is on the path
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in git, eight commits long, the current folder; its one benchmark calls `work`."""
    folder = tmp_path / "project"
    (folder / "speed").mkdir(parents=True)
    suite = "from work import work\n\ndef test_work(benchmark):\n    benchmark(work)\n"
    (folder / "speed" / "test_work.py").write_text(suite)
    git(folder, "init", "--quiet", "--initial-branch=main")
    for number in range(8):
        (folder / "work.py").write_text(f"def work():\n    return {number}\n")
        git(folder, "add", ".")
        git(folder, "commit", "--quiet", "-m", f"change {number}")
    monkeypatch.chdir(folder)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return folder


def test_what_commits_say_is_read_in_any_locale(project: Path) -> None:
    """Git speaks UTF-8, whatever the terminal's character set is."""
    before = git(project, "rev-parse", "HEAD")
    git(project, "commit", "--quiet", "--allow-empty", "-m", "caf\N{LATIN SMALL LETTER E WITH ACUTE}")
    reading = f"from benchmarks.history.commits import *; print(ascii(subjects_between(Path(), '{before}', 'HEAD')))"
    ours = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONPATH": str(Path(__file__).parent.parent)}
    command = [sys.executable, "-c", reading]
    done = subprocess.run(command, cwd=project, env=os.environ | ours, check=True, capture_output=True, text=True)
    assert r"caf\xe9" in done.stdout


def invoke(*words: str) -> tuple[int, str]:
    """Exit status and what was printed."""
    runner = CliRunner(env={"COLUMNS": "200", "GITHUB_STEP_SUMMARY": "job.md"})
    result = runner.invoke(app, list(words), catch_exceptions=False)
    return result.exit_code, " ".join(result.output.split())


class Suite:
    """Stands for the suite's processes: 1 s up to `slow_from`, then 1.3 s, times what each group's moment does.

    It is interrupted after `most` groups, and revision `broken` cannot run it.
    """

    def __init__(self, top: Path, slow_from: int = 99, most: int = 999, broken: int | None = None) -> None:
        self.order = git(top, "rev-list", "--reverse", "HEAD").split()
        self.slow_from, self.most, self.broken = slow_from, most, broken
        self.dry_runs: list[int] = []
        self.ran: list[list[int]] = []
        self.numbers: list[int] = []

    def place(self, side: Side) -> int:
        """Which revision it is; its own files are there."""
        number = next(place for place, revision in enumerate(self.order) if revision.startswith(side.name))
        assert (side.folder / "work.py").read_text().endswith(f"return {number}\n")
        return number

    def dry_run(self, side: Side) -> ProcessRecord:
        """What runs."""
        self.dry_runs.append(self.place(side))
        if self.dry_runs[-1] == self.broken:
            return ProcessRecord(broken={"speed": "no such module"}, status=2)
        return ProcessRecord(outcomes={CASE: PASSED})

    def measure(
        self, sides: Sequence[Side], cases: Sequence[str], *, number: int
    ) -> tuple[list[ProcessRecord], list[list[ControlTimes]]]:
        """A group: a warm-up pass and one that counts."""
        if len(self.ran) >= self.most:
            raise KeyboardInterrupt
        assert cases == [CASE]
        self.ran.append([self.place(side) for side in sides])
        self.numbers.append(number)
        found = []
        for place in self.ran[-1]:
            seconds = (1.3 if place >= self.slow_from else 1.0) * (1 + 0.003 * ((place * 7 + len(self.ran) * 3) % 5))
            passes = [rounds([99.0]), rounds([seconds * (1 + 0.3 * (len(self.ran) % 3))] * 3)]
            found.append(record({CASE: PASSED}, passes={CASE: passes}))
        return found, [[ControlTimes(1.0, 1.0)]] * len(sides)


def planned(
    top: Path, suite: Suite, count: int = 3, packages: Mapping[str, str] | None = None, only: Sequence[int] = ()
) -> TrackPlan:
    """All revisions, or only some, so many processes each."""
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
    """How many processes were recorded, with a clock that ticks."""
    ticks: Iterator[float] = iter(range(10_000))
    return track(plan, lambda _: None, dry_run=suite.dry_run, measure=suite.measure, clock=lambda: next(ticks))


def test_revisions_take_turns_with_the_anchor(project: Path) -> None:
    """The first is in every group; a round has all the others once, and neighbours are never in one group."""
    suite = Suite(project)
    assert tracked(planned(project, suite, count=2), suite) == 20
    assert suite.ran == [[0, 1, 4, 7], [0, 2, 5], [0, 3, 6]] * 2
    assert suite.numbers == [0, 0, 0, 1, 1, 1]
    assert git(project, "worktree", "list").count("\n") == 0


def test_a_later_revision_is_set_beside_the_same_anchor(project: Path) -> None:
    """Whatever the packages are by then; and the warm-up pass does not count."""
    first = Suite(project)
    tracked(planned(project, first, only=[2, 3]), first)
    later = Suite(project)
    tracked(planned(project, later, count=1, packages={"torch": "2.13"}, only=[6]), later)
    assert later.ran == [[2, 6]]
    read = histories.read(project / "results/history", "machine")[0]
    assert len({each.group for each in read[-2:]}) == 1
    assert max(each.cases[CASE].low_seconds for each in read) < 9


def test_another_anchor_stands_in_for_one_that_cannot_run(project: Path) -> None:
    """Which is recorded once, with the reason, and not looked at again."""
    first = Suite(project)
    tracked(planned(project, first, only=[2, 3]), first)
    later = Suite(project, broken=2)
    plan = planned(project, later, count=1, packages={"torch": "2.13"}, only=[6])
    assert tracked(plan, later) == 3
    assert later.ran == [[3, 6]]
    assert tracked(dataclasses.replace(plan, processes=2), later) == 2
    assert later.dry_runs == [2, 3, 6, 3, 6]


def test_a_revision_that_cannot_run_lacks_no_more_processes(project: Path) -> None:
    """The others of the range are measured as often as was asked for."""
    suite = Suite(project, broken=3)
    plan = planned(project, suite, count=2, only=[2, 3])
    assert tracked(plan, suite) == 3
    assert suite.ran == [[2], [2]]
    assert plan.missing() == {suite.order[2]: 0, suite.order[3]: 0}


def test_a_single_revision_is_measured_alone(project: Path) -> None:
    """There is nothing yet to set it beside."""
    suite = Suite(project)
    assert tracked(planned(project, suite, count=2, only=[4]), suite) == 2
    assert suite.ran == [[4], [4]]


def test_a_track_that_was_interrupted_goes_on(project: Path) -> None:
    """What was recorded is kept and not measured again; other packages are another measurement."""
    first = Suite(project, most=2)
    with pytest.raises(KeyboardInterrupt):
        tracked(planned(project, first, count=1), first)
    assert git(project, "worktree", "list").count("\n") == 0
    second = Suite(project)
    assert tracked(planned(project, second, count=1), second) == 3
    assert second.ran == [[0, 3, 6]]
    assert tracked(planned(project, second, count=1), second) == 0
    third = Suite(project)
    assert tracked(planned(project, third, count=1, packages={"torch": "2.13"}), third) == 10


def test_a_process_that_ended_early_is_not_recorded(project: Path) -> None:
    """Nor is its revision given up: the same command measures it again."""
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


def rows(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file by column."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_history_names_the_commits_of_a_step(project: Path) -> None:
    """In the report, the job's summary and the tables; and draws it."""
    suite = Suite(project, slow_from=4)
    tracked(planned(project, suite), suite)
    status, said = invoke("history", "--out", "out")
    assert status == 0, said
    assert "1 step in 1 case over 8 revisions" in said
    written = (project / "out" / "history.md").read_text()
    assert f"`{suite.order[4][:7]}` change 4" in written
    assert "change 3" not in written
    between = f"--base {suite.order[3][:10]} --head {suite.order[4][:10]}"
    assert f"`python -m benchmarks regress {between}`" in written
    assert (project / "job.md").read_text() == written
    (step,) = rows(project / "out" / "steps.csv")
    assert (step["last_before"], step["first_after"]) == (suite.order[3], suite.order[4])
    assert float(step["low"]) < 1.3 < float(step["high"])
    assert step["cause"] == "code"
    assert len(rows(project / "out" / "series.csv")) == 9 + 7 * 3
    assert (project / "out" / "history-machine.png").stat().st_size > 0


def test_history_without_steps_says_what_it_would_have_seen(project: Path) -> None:
    """So that silence is known for what it is."""
    suite = Suite(project)
    tracked(planned(project, suite), suite)
    status, said = invoke("history", "--out", "out")
    assert status == 0
    assert "No step in 1 case over 8 revisions" in said
    last = next(line for line in (project / "out" / "history.md").read_text().splitlines() if "`test_work`" in line)
    assert last.rstrip(" |").endswith("%")


def test_a_line_that_is_none_is_named_and_passed_over(project: Path) -> None:
    """By both verbs; a file of nothing else is no history."""
    suite = Suite(project)
    tracked(planned(project, suite, count=1), suite)
    kept = project / "results" / "history" / "machine" / "processes.jsonl"
    kept.write_text("spoilt\n" + kept.read_text())
    told = "line 1: not a process's record, passed over"
    said: list[str] = []
    track(planned(project, suite, count=1), said.append, dry_run=suite.dry_run, measure=suite.measure)
    assert told in said[0]
    status, shown = invoke("history", "--out", "out")
    assert (status, told in shown) == (0, True)
    assert told in (project / "out" / "history.md").read_text()
    kept.write_text("spoilt\n")
    status, shown = invoke("history", "--out", "out")
    assert (status, told in shown) == (2, True)


def test_each_machine_has_a_series_of_its_own(project: Path) -> None:
    """Another machine's times make no step."""
    suite = Suite(project)
    for revision in suite.order[:4]:
        histories.append(project / "results/history", "fast", process(0, 1.0, revision=revision))
    for revision in suite.order[4:]:
        histories.append(project / "results/history", "slow", process(0, 2.0, revision=revision))
    status, said = invoke("history", "--out", "out")
    assert status == 0
    assert said.count("No step in 1 case over 4 revisions") == 2
    taken = {(row["machine"], row["seconds"]) for row in rows(project / "out" / "series.csv")}
    assert taken == {("fast", "1.0"), ("slow", "2.0")}


def test_a_step_between_revisions_that_were_measured_alone_may_be_the_machines(project: Path) -> None:
    """It is told so, beside the step between the moments, which is the same one."""
    suite = Suite(project)
    for place, revision in enumerate(suite.order):
        for number in range(3):
            seconds = (1.3 if place >= 4 else 1.0) * (1 + 0.002 * number)
            one = process(place, seconds, revision=revision, group=f"{place}-{number}")
            histories.append(project / "results/history", "machine", one)
    assert invoke("history", "--out", "out")[0] == 0
    causes = [step["cause"] for step in rows(project / "out" / "steps.csv")]
    assert causes == ["code or machine", "machine"]


def test_commits_that_the_checkout_lacks_are_left_out_and_named(project: Path) -> None:
    """The rest is judged."""
    suite = Suite(project)
    tracked(planned(project, suite), suite)
    histories.append(project / "results/history", "machine", process(0xABCD, 9.0))
    assert invoke("history", "--out", "out")[0] == 0
    assert "left out, since this checkout has no such commits: 0000000000" in (project / "out/history.md").read_text()


def test_track_measures_a_range_from_the_command_line(project: Path) -> None:
    """In real processes; a revision that cannot run the suite is recorded with the reason and not tried again."""
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


def test_a_range_is_the_commits_after_a_up_to_b_in_order(project: Path) -> None:
    """Oldest first, along first parents: what a merge brought in is not measured commit by commit."""
    order = git(project, "rev-list", "--reverse", "HEAD").split()
    assert commits_in_range(project, "HEAD~3..HEAD") == order[-3:]
    git(project, "switch", "--quiet", "-c", "aside", "HEAD~1")
    git(project, "commit", "--quiet", "--allow-empty", "-m", "aside")
    git(project, "switch", "--quiet", "main")
    git(project, "merge", "--quiet", "--no-ff", "-m", "merge", "aside")
    assert commits_in_range(project, f"{order[-2]}..main") == [order[-1], git(project, "rev-parse", "main")]


def test_commits_are_put_in_order_and_others_left_out(project: Path) -> None:
    """What the checkout has not, and what is no commit."""
    order = git(project, "rev-list", "--reverse", "HEAD").split()
    tree = git(project, "rev-parse", "HEAD^{tree}")
    assert in_order(project, [*reversed(order), tree, "0" * 40]) == order
    assert in_order(project, order[3:5]) == order[3:5]
    assert in_order(project, ["0" * 40]) == in_order(project, []) == []


def test_the_commits_between_two_are_told_newest_first(project: Path) -> None:
    """By their abbreviated names and subjects."""
    order = git(project, "rev-list", "--reverse", "HEAD").split()
    told = subjects_between(project, order[4], order[6])
    assert [line.split(" ", 1)[1] for line in told] == ["change 6", "change 5"]
    assert order[6].startswith(told[0].split()[0])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("track", "--rev", "nowhere", "--suite", "speed"), "revision is 'nowhere', which git does not know"),
        (("track", "--range", "HEAD", "--suite", "speed"), "range is 'HEAD'; expected A..B"),
        (("track", "--range", "HEAD~1...HEAD", "--suite", "speed"), "range is 'HEAD~1...HEAD'; expected A..B"),
        (
            ("track", "--range", "HEAD..HEAD~1", "--suite", "speed"),
            "holds no commit: HEAD~1 is HEAD or comes before it; ",
        ),
        (("track", "--range", "HEAD..HEAD~1", "--suite", "speed"), "try HEAD~1..HEAD"),
        (("track", "--range", "HEAD..HEAD", "--suite", "speed"), "give an earlier one to begin with"),
        (("track", "--suite", "speed", "--history", "work.py/kept"), "--history is work.py/kept, where nothing can be"),
        (("track", "--suite", "nothing"), "which is not there"),
        (("track", "--suite", "/"), "outside of the checkout"),
        (("track", "--suite", "work.py"), "has no benchmark"),
        (("track", "--suite", "speed", "--processes", "0"), "--processes is 0; expected 1 or more"),
        (("history",), "holds no history yet: measure a revision by"),
    ],
)
@pytest.mark.usefixtures("project")
def test_wrong_use_is_answered_with_a_sentence(words: tuple[str, ...], message: str) -> None:
    """Exit status 2."""
    status, said = invoke(*words)
    assert status == 2, said
    assert message in said


def test_a_pattern_that_matches_no_case_is_refused(project: Path) -> None:
    """With the pattern."""
    suite = Suite(project)
    tracked(planned(project, suite, count=1), suite)
    status, said = invoke("history", "--case", "gru")
    assert status == 2
    assert "no case that matches 'gru'" in said


@pytest.mark.parametrize("verb", ["track", "history"])
def test_a_folder_outside_of_git_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    """With where it was asked."""
    monkeypatch.chdir(tmp_path)
    status, said = invoke(verb)
    assert status == 2
    assert "is not in a git checkout" in said


def test_a_folder_without_history_is_no_fault_of_ours(tmp_path: Path) -> None:
    """It says so."""
    with pytest.raises(StoreError, match="holds no history yet"):
        histories.machines(tmp_path)
