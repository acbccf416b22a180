"""`track` and `history`: steps and their causes, the record on disk, resuming, a small project's range, wrong use."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
import random
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks.__main__ import app
from benchmarks.history import folder as histories
from benchmarks.history.causes import likely_cause
from benchmarks.history.commits import commits_in_range, in_order
from benchmarks.history.record import CaseTimes, Measurement
from benchmarks.history.series import series_of
from benchmarks.history.steps import find_steps, levels_end, noise_of
from benchmarks.history.track import Plan, digest, track
from benchmarks.regression.control import Control
from benchmarks.regression.session import Measured, Side
from benchmarks.store import StoreError

CASE = "speed/test_work.py::test_work"


def processes(
    levels: Sequence[float], *, between: float = 0.0, within: float = 0.01, count: int = 5, seed: int = 0
) -> list[list[float]]:
    """Seconds of each process of each revision: exp(level), with normal noise of revisions and of processes."""
    draw = random.Random(seed)
    found = []
    for level in levels:
        value = level + draw.gauss(0.0, between)
        found.append([math.exp(value + draw.gauss(0.0, within)) for _ in range(count)])
    return found


def test_a_step_is_found_where_it_is_and_as_large_as_it_is() -> None:
    """Ten percent after the sixth of twelve revisions."""
    (step,) = find_steps(processes([0.0] * 6 + [math.log(1.1)] * 6))
    assert (step.last_before, step.at, step.first_after) == (5, 6, 6)
    assert step.low < 1.1 < step.high
    assert step.high - step.low < 0.04


def test_steps_that_undo_each_other_are_both_found() -> None:
    """Up and down again: no single step explains anything."""
    steps = find_steps(processes([0.0] * 8 + [0.12] * 4 + [0.0] * 8))
    assert levels_end(steps) == [8, 12]
    assert [step.ratio > 1 for step in steps] == [True, False]


def test_noise_of_the_machine_makes_no_steps() -> None:
    """Of a hundred series whose revisions differ by more than their processes tell, none at 1 % in all together."""
    series = [processes([0.0] * 16, between=0.03, seed=seed) for seed in range(100)]
    assert not [found for found in series if find_steps(found, cases=len(series))]


def test_one_stray_revision_is_no_step() -> None:
    """A level is what two revisions show."""
    assert not find_steps(processes([0.0] * 6 + [0.5] + [0.0] * 6))


def test_a_certain_step_that_is_too_small_to_matter_is_left_out() -> None:
    """One percent, in noise of a hundredth of it."""
    assert not find_steps(processes([0.0] * 8 + [0.01] * 8, within=1e-4))


def test_an_uncertain_place_is_told_as_a_range() -> None:
    """A step no larger than the noise of a revision lies between revisions that are further apart."""
    (step,) = find_steps(processes([0.0] * 30 + [0.05] * 30, between=0.04, seed=3))
    assert step.first_after - step.last_before > 1
    assert step.last_before < 30 <= step.first_after


@pytest.mark.parametrize("revisions", [1, 2, 3])
def test_too_few_revisions_have_no_steps(revisions: int) -> None:
    """However far they are apart."""
    assert not find_steps(processes([0.0, 5.0, 9.0][:revisions]))


def test_the_noise_is_the_larger_of_processes_and_revisions() -> None:
    """Five processes of 1 % make a median of 0.56 %; revisions that differ by 5 % count as that."""
    quiet, moving = noise_of(processes([0.0] * 200)), noise_of(processes([0.0] * 200, between=0.05))
    assert quiet is not None
    assert moving is not None
    assert quiet.deviation == pytest.approx(0.0056, rel=0.15)
    assert moving.deviation == pytest.approx(0.05, rel=0.15)


def test_one_process_of_one_revision_tells_no_noise() -> None:
    """Nothing is known of it."""
    assert noise_of([[1.0]]) is None


def process(number: int, seconds: float, **fields: object) -> Measurement:
    """A process of the revision of that number."""
    known: dict[str, object] = {
        "revision": f"{number:040x}",
        "suite": "speed",
        "suite_digest": "one",
        "measured_at": f"2026-01-01T00:{number:02}:00+00:00",
        "elapsed_seconds": 1.0,
        "packages": {"torch": "2.12"},
        "system": {"kernel": "6.1"},
        "cases": {CASE: CaseTimes(seconds, seconds, seconds, seconds, 9)},
        "controls": {"fixed matrix product": 1.0, "fixed Python loop": 1.0},
    }
    return Measurement(**{**known, **fields})  # type: ignore[arg-type]  # the fields are the class's


def cause_of(measured: Sequence[Measurement]) -> tuple[str, str]:
    """Kind and reason of the one step in the one case's series."""
    order = sorted({each.revision for each in measured})
    (series,) = series_of(measured, order)
    steps = find_steps(series.processes)
    noise = noise_of(series.processes, levels_end(steps))
    assert noise is not None
    (step,) = steps
    cause = likely_cause(series, step, noise)
    return cause.kind, cause.why


def stepped(after: Mapping[str, object] | None = None, size: float = 1.2) -> list[Measurement]:
    """Eight revisions of three processes; from the fifth on, slower and with these fields."""
    found = []
    for number in range(8):
        for place, noise in enumerate((0.999, 1.0, 1.001)):
            late = number >= 4
            taken = (size if late else 1.0) * noise * (1 + 0.0007 * ((number + place) % 3))
            found.append(process(number, taken, **(after or {} if late else {})))
    return found


def test_a_step_with_nothing_else_changed_is_the_codes() -> None:
    """All that was recorded is the same; but the machine had time to change."""
    expected = "nothing else was recorded to differ, but the two were measured at different times"
    assert cause_of(stepped()) == ("code", expected)


def test_revisions_that_took_turns_are_told_from_those_measured_one_after_the_other() -> None:
    """Each has processes before and after one of the other."""
    turns = [
        dataclasses.replace(each, measured_at=f"2026-01-01T0{place % 3}:0{place // 3}:00+00:00")
        for place, each in enumerate(stepped())
    ]
    assert cause_of(turns) == ("code", "nothing else was recorded to differ, and both took turns")


def test_a_step_at_which_packages_changed_may_be_theirs() -> None:
    """It names them, and what would settle it."""
    kind, why = cause_of(stepped({"packages": {"torch": "2.13"}}))
    assert kind == "several"
    assert "torch 2.12 → 2.13" in why
    assert "again to tell" in why


@pytest.mark.parametrize(("seconds", "kind"), [(1.0, "packages"), (1.2, "code")])
def test_a_revision_under_both_packages_tells_whose_step_it_is(seconds: float, kind: str) -> None:
    """The first after was measured with the old ones, too: fast as before, or slow already."""
    earlier = [process(4, seconds * noise, measured_at="2025-12-31T00:00:00+00:00") for noise in (0.999, 1.0, 1.001)]
    found, why = cause_of([*earlier, *stepped({"packages": {"torch": "2.13"}})])
    assert found == kind
    assert "revisions measured under both differ by" in why


def test_a_step_that_the_control_takes_too_is_the_machines() -> None:
    """It runs none of the code."""
    kind, why = cause_of(stepped({"controls": {"fixed matrix product": 1.2, "fixed Python loop": 1.0}}))
    assert kind == "machine"
    assert "fixed matrix product" in why


def test_another_suite_may_be_the_cause() -> None:
    """The ruler changed."""
    kind, why = cause_of(stepped({"suite_digest": "two"}))
    assert kind == "several"
    assert "the suite's own files" in why


def test_a_process_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    """And a torn line costs only itself."""
    histories.append(tmp_path, "machine", process(1, 1.0))
    with (tmp_path / "machine" / "processes.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"torn": ')
    histories.append(tmp_path, "machine", process(2, 2.0))
    found, problems = histories.read(tmp_path, "machine")
    assert found == [process(1, 1.0), process(2, 2.0)]
    assert len(problems) == 1
    assert "line 2: not a process's record" in problems[0]


@pytest.mark.parametrize(
    ("field", "value"),
    [("schema", 2), ("revision", 7), ("elapsed_seconds", -1), ("cases", {CASE: {}}), ("packages", {"torch": 2})],
)
def test_a_record_of_another_form_is_refused(field: str, value: object) -> None:
    """Field by field."""
    record = json.loads(json.dumps(process(1, 1.0).to_json()))
    assert Measurement.from_json(record) == process(1, 1.0)
    with pytest.raises((ValueError, TypeError)):
        Measurement.from_json({**record, field: value})


def test_a_suites_digest_follows_its_files(tmp_path: Path) -> None:
    """The same content, the same name."""
    (tmp_path / "a.py").write_text("1")
    before = digest(tmp_path)
    assert digest(tmp_path) == before
    (tmp_path / "a.py").write_text("2")
    assert digest(tmp_path) != before


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


def invoke(*words: str) -> tuple[int, str]:
    """Exit status and what was printed."""
    runner = CliRunner(env={"COLUMNS": "200", "GITHUB_STEP_SUMMARY": "job.md"})
    result = runner.invoke(app, list(words), catch_exceptions=False)
    return result.exit_code, " ".join(result.output.split())


class Suite:
    """Stands for the process of the suite: 1 s up to `slow_from`, then 1.3 s; stops after `most` processes."""

    def __init__(self, top: Path, slow_from: int = 99, most: int = 999) -> None:
        self.order = git(top, "rev-list", "--reverse", "HEAD").split()
        self.slow_from, self.most = slow_from, most
        self.ran: list[int] = []
        self.layouts: list[int] = []

    def __call__(self, side: Side, *, layout: int) -> Measured:
        if len(self.ran) >= self.most:
            raise KeyboardInterrupt
        number = next(place for place, revision in enumerate(self.order) if revision.startswith(side.name))
        assert (side.folder / "work.py").read_text().endswith(f"return {number}\n")
        self.ran.append(number)
        self.layouts.append(layout)
        seconds = (1.3 if number >= self.slow_from else 1.0) * (1 + 0.004 * ((number * 7 + layout * 3) % 5))
        return Measured({CASE: [[seconds] * 3]}, {}, {CASE: ("passed", "")}, {}, {}, 0, "")


def planned(top: Path, suite: Suite, count: int = 3, packages: Mapping[str, str] | None = None) -> Plan:
    """All revisions, so many processes each."""
    return Plan(
        top=top,
        revisions=tuple(suite.order),
        suite="speed",
        processes=count,
        folder=top / "results" / "history",
        machine="machine",
        packages=packages or {"torch": "2.12"},
        system={"kernel": "6.1"},
        suite_digest=digest(top / "speed"),
    )


def tracked(plan: Plan, suite: Suite) -> int:
    """How many processes were recorded, with a clock and a control that stand still."""
    ticks: Iterator[float] = iter(range(10_000))
    return track(plan, lambda _: None, measure=suite, control=lambda: Control(1.0, 1.0), clock=lambda: next(ticks))


def test_revisions_are_measured_in_rounds(project: Path) -> None:
    """Every other one backwards, each revision's own files under the suite of the checkout."""
    suite = Suite(project)
    assert tracked(planned(project, suite, count=2), suite) == 16
    assert suite.ran == [*range(8), *reversed(range(8))]
    assert suite.layouts == [1] * 8 + [2] * 8
    assert git(project, "worktree", "list").count("\n") == 0


def test_a_track_that_was_interrupted_goes_on(project: Path) -> None:
    """What was recorded is kept and not measured again; other packages are another measurement."""
    first = Suite(project, most=5)
    with pytest.raises(KeyboardInterrupt):
        tracked(planned(project, first, count=1), first)
    assert git(project, "worktree", "list").count("\n") == 0
    second = Suite(project)
    assert tracked(planned(project, second, count=1), second) == 3
    assert second.ran == [5, 6, 7]
    assert tracked(planned(project, second, count=1), second) == 0
    third = Suite(project)
    assert tracked(planned(project, third, count=1, packages={"torch": "2.13"}), third) == 8


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
    assert len(rows(project / "out" / "series.csv")) == 24
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


def test_commits_that_the_checkout_lacks_are_left_out_and_named(project: Path) -> None:
    """The rest is judged."""
    suite = Suite(project)
    tracked(planned(project, suite), suite)
    histories.append(project / "results/history", "machine", process(0xABCD, 9.0))
    assert invoke("history", "--out", "out")[0] == 0
    assert "left out, for this checkout has no such commits: 0000000000" in (project / "out/history.md").read_text()


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
    works, broken = histories.read(project / "kept", machine)[0]
    assert works.failure is None
    assert works.cases[CASE].rounds >= 5
    assert "python" in works.packages
    assert "no_such_module" in (broken.failure or "")
    assert "0 processes added" in invoke(*words)[1]


def test_a_range_is_the_commits_after_a_up_to_b_in_order(project: Path) -> None:
    """Oldest first."""
    order = git(project, "rev-list", "--reverse", "HEAD").split()
    assert commits_in_range(project, "HEAD~3..HEAD") == order[-3:]
    assert in_order(project, reversed(order)) == order


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("track", "--rev", "nowhere", "--suite", "speed"), "revision is 'nowhere', which git does not know"),
        (("track", "--range", "HEAD", "--suite", "speed"), "range is 'HEAD'; expected A..B"),
        (("track", "--range", "HEAD..HEAD~1", "--suite", "speed"), "holds no commit"),
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
