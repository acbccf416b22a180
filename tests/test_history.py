"""`history`: reports on the steps of a small project, and wrong use of `track` and `history`."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from benchmarks.history import folder as histories
from benchmarks.history.track import track
from benchmarks.store import StoreError
from tests.synthetic_history import process
from tests.tracked_project import Suite, invoke, planned, tracked


def rows(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file by column."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_history_names_the_commits_of_a_step(project: Path) -> None:
    """They are in the report, the job's summary and the tables, and the step is drawn."""
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


def test_history_without_steps_has_the_smallest_step_to_be_found(project: Path) -> None:
    """The last column of the table has it."""
    suite = Suite(project)
    tracked(planned(project, suite), suite)
    status, said = invoke("history", "--out", "out")
    assert status == 0
    assert "No step in 1 case over 8 revisions" in said
    last = next(line for line in (project / "out" / "history.md").read_text().splitlines() if "`test_work`" in line)
    assert last.rstrip(" |").endswith("%")


def test_a_line_of_another_form_is_named_and_passed_over(project: Path) -> None:
    """Both verbs do so; a file of such lines only is no history."""
    suite = Suite(project)
    tracked(planned(project, suite, count=1), suite)
    kept = project / "results" / "history" / "machine" / "processes.jsonl"
    kept.write_text("spoilt\n" + kept.read_text())
    problem = "line 1: not a process's record, passed over"
    said: list[str] = []
    track(planned(project, suite, count=1), said.append, dry_run=suite.dry_run, measure=suite.measure)
    assert problem in said[0]
    status, shown = invoke("history", "--out", "out")
    assert (status, problem in shown) == (0, True)
    assert problem in (project / "out" / "history.md").read_text()
    kept.write_text("spoilt\n")
    status, shown = invoke("history", "--out", "out")
    assert (status, problem in shown) == (2, True)


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
    times = {(row["machine"], row["seconds"]) for row in rows(project / "out" / "series.csv")}
    assert times == {("fast", "1.0"), ("slow", "2.0")}


def test_a_step_between_revisions_that_were_measured_alone_may_be_the_machines(project: Path) -> None:
    """It is reported so, and so is the same step between sessions."""
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
    """The other commits are judged."""
    suite = Suite(project)
    tracked(planned(project, suite), suite)
    histories.append(project / "results/history", "machine", process(0xABCD, 9.0))
    assert invoke("history", "--out", "out")[0] == 0
    assert "left out, since this checkout has no such commits: 0000000000" in (project / "out/history.md").read_text()


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
    """Wrong use is exit status 2."""
    status, said = invoke(*words)
    assert status == 2, said
    assert message in said


def test_a_pattern_that_matches_no_case_is_refused(project: Path) -> None:
    """The refusal names the pattern."""
    suite = Suite(project)
    tracked(planned(project, suite, count=1), suite)
    status, said = invoke("history", "--case", "gru")
    assert status == 2
    assert "no case that matches 'gru'" in said


@pytest.mark.parametrize("verb", ["track", "history"])
def test_a_folder_outside_of_git_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    """The refusal is exit status 2."""
    monkeypatch.chdir(tmp_path)
    status, said = invoke(verb)
    assert status == 2
    assert "is not in a git checkout" in said


def test_a_folder_without_history_is_refused(tmp_path: Path) -> None:
    """The refusal says so."""
    with pytest.raises(StoreError, match="holds no history yet"):
        histories.machines(tmp_path)
