"""`regress`: the cases that it judges, two revisions of a small project, and wrong use."""

from __future__ import annotations

import dataclasses
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks.__main__ import app
from benchmarks.regression.environments.revisions import check_out
from benchmarks.regression.judging.budget import Budget
from benchmarks.regression.judging.stopping import Rule
from benchmarks.regression.judging.suite_cases import by_importance, sort_cases, tolerance_of
from benchmarks.regression.judging.verdicts import noise_floor
from benchmarks.regression.measuring import PairMeasuring
from benchmarks.regression.processes.control import ControlTimes, measure_control
from benchmarks.regression.processes.outcomes import PASSED, Excluded, Outcome
from benchmarks.regression.processes.pairing import ProcessPair
from benchmarks.regression.processes.process_record import ProcessRecord
from benchmarks.regression.processes.pytest_command import Side
from tests.synthetic_records import record

RULE = Rule(interim_analyses=(5, 8), confirmation_pairs=5)


def test_a_case_of_one_side_is_new_gone_or_broken() -> None:
    """Cases that work on both sides are compared; a case that both skip, or that has no round, is left out."""
    base = record(
        {"f.py::both": "passed", "f.py::gone": "passed", "f.py::fails": "failed"}, broken={"g.py": "ImportError: x"}
    )
    head = record({"f.py::both": "passed", "f.py::new": "passed", "f.py::fails": "passed", "g.py::test": "passed"})
    more = {"f.py::skips": Outcome("skipped"), "f.py::nothing": PASSED}
    base, head = (dataclasses.replace(each, outcomes={**each.outcomes, **more}) for each in (base, head))
    found = sort_cases(base, head)
    assert found.compared == ("f.py::both",)
    assert found.excluded == {
        "f.py::gone": Excluded("gone"),
        "f.py::new": Excluded("new"),
        "f.py::fails": Excluded("broken", "base: failed, why"),
        "g.py::test": Excluded("broken", "base: ImportError: x"),
    }


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (record({"f.py::a": "failed"}), "f.py::a: why"),
        (record({}, broken={"": "ImportError: x"}), "ImportError: x"),
        (record({"f.py::a": "skipped"}), "f.py::a is skipped: why"),
    ],
    ids=["fails", "does not import", "skips"],
)
def test_a_head_without_a_benchmark_that_works_is_refused(head: ProcessRecord, reason: str) -> None:
    """The refusal gives the reason; a head of new cases only is not refused."""
    with pytest.raises(ValueError, match=f"head has no benchmark that works in this suite: {reason}"):
        sort_cases(record({"f.py::a": "passed"}), head)
    assert sort_cases(head, record({"f.py::a": "passed"})).compared == ()


def test_the_cases_that_matter_come_first() -> None:
    """They come in the order of the parts, and the others in their own; a part that is nowhere is refused."""
    cases = ["f.py::small", "f.py::big[1]", "g.py::big[2]", "g.py::other"]
    assert by_importance(cases, ["g*big", "big"]) == ("g.py::big[2]", "f.py::big[1]", "f.py::small", "g.py::other")
    assert by_importance(cases, []) == tuple(cases)
    assert by_importance([], ["big"]) == ()
    with pytest.raises(ValueError, match=r"--first is 'huge', which is in the name of no case; .* such as 'small'"):
        by_importance(cases, ["huge"])


def git(folder: Path, *words: str) -> None:
    """Run git with an identity for commits."""
    identity = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.com")
    command = ["git", *identity, *words]  # the git that is on the path
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def worktrees(folder: Path) -> int:
    """The number of worktrees that git lists, with the checkout."""
    command = ["git", "worktree", "list"]  # the git that is on the path
    listed = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return len(listed.stdout.splitlines())


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in git whose checkout has a benchmark that became slower and a new one."""
    folder = tmp_path / "project"
    (folder / "speed").mkdir(parents=True)
    (folder / "work.py").write_text("def work():\n    return sum(range(2000))\n")
    suite = folder / "speed" / "test_work.py"
    suite.write_text("from work import work\n\ndef test_work(benchmark):\n    benchmark(work)\n")
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "first")
    (folder / "work.py").write_text("def work():\n    return sum(range(20000))\n")
    suite.write_text(suite.read_text() + "\ndef test_new(benchmark):\n    benchmark(work)\n")
    monkeypatch.chdir(folder)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    # A loaded test machine may be unfit; fitness has tests of its own.
    monkeypatch.setattr("benchmarks.regression.regress.unfit", lambda _: "")
    return folder


def regress(*words: str) -> tuple[int, str]:
    """The exit status of `regress` and what it printed."""
    result = CliRunner(env={"COLUMNS": "200", "GITHUB_STEP_SUMMARY": "job.md"}).invoke(
        app, ["regress", *words], catch_exceptions=False
    )
    return result.exit_code, " ".join(result.output.split())


def test_a_confirmed_slowdown_is_exit_status_1(project: Path) -> None:
    """Uncommitted changes of any project are judged against a commit; all files are written, no worktree is left."""
    status, said = regress("--base", "HEAD", "--suite", "speed", "--out", "out")
    assert status == 1, said
    assert "1 of 1 cases slower" in said
    written = json.loads((project / "out" / "regress.json").read_text())
    assert written["excluded"]["speed/test_work.py::test_new"][0] == "new"
    assert len(written["pairs"]) == len(written["decision"]["log_ratios"]["speed/test_work.py::test_work"]) + 5
    assert (project / "out" / "ratios.png").stat().st_size > 0
    assert "slower" in (project / "job.md").read_text()
    assert worktrees(project) == 1


def test_a_base_without_the_suite_leaves_nothing_to_compare(project: Path) -> None:
    """Nothing to compare is neither a slowdown nor the absence of one: exit status 3."""
    (project / "more").mkdir()
    (project / "more" / "test_more.py").write_text("def test_more(benchmark):\n    benchmark(sum, range(9))\n")
    status, said = regress("--base", "HEAD", "--suite", "more", "--out", "out")
    assert status == 3
    assert "more/test_more.py::test_more new" in said
    assert "Nothing was judged: base and head have no case in common (1 new, 0 gone)" in said


def test_a_base_that_does_not_import_leaves_nothing_to_judge(project: Path) -> None:
    """An error that can be mended is exit status 2, and is printed."""
    suite = project / "speed" / "test_work.py"
    right = suite.read_text()
    suite.write_text("import no_such_module\n")
    git(project, "commit", "--quiet", "-am", "broken")
    suite.write_text(right)
    status, said = regress("--base", "HEAD", "--suite", "speed", "--out", "out")
    assert status == 2
    assert "Nothing was judged: 2 cases are broken" in said
    assert "No module named 'no_such_module'" in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--base", "nowhere", "--suite", "speed"), "revision is 'nowhere', which git does not know"),
        (("--base", "HEAD", "--suite", "nothing"), "which head does not have"),
        (("--base", "HEAD", "--suite", "work.py"), "head has no benchmark that works"),
        (("--base", "HEAD", "--suite", "/"), "outside of the checkout"),
        (("--base", "HEAD", "--suite", "speed", "--budget", "1s"), "--budget is 1s"),
        (("--base", "HEAD", "--suite", "speed", "--tolerance", "3"), "--tolerance is 3.0; expected a share"),
        (("--base", "HEAD", "--suite", "speed", "--environment", "mine"), "expected one of auto, shared, own"),
        (("--base", "HEAD", "--suite", "speed", "--out", "work.py/out"), "--out is work.py/out, where nothing can be"),
    ],
)
@pytest.mark.usefixtures("project")
def test_wrong_use_of_regress_is_answered_with_a_sentence(words: tuple[str, ...], message: str) -> None:
    """Wrong use is exit status 2."""
    status, said = regress(*words)
    assert status == 2
    assert message in said


@pytest.mark.parametrize("own", ["a lot", -0.1, 0, math.nan, math.inf, None])
def test_a_tolerance_that_is_no_share_is_refused(own: object) -> None:
    """The refusal names the case; a case without a tolerance has the default."""
    assert tolerance_of("a", {"tolerance": 2}, 0.03) == 2.0
    assert tolerance_of("a", {}, 0.03) == 0.03
    with pytest.raises(ValueError, match="a has extra_info"):
        tolerance_of("a", {"tolerance": own}, 0.03)


def test_the_time_of_the_dry_runs_is_in_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pairs may take the time that the dry runs leave."""
    side = Side("base", Path(), sys.executable, "speed")
    case = ProcessPair({"a": (1.0,)}, {"a": (1.0,)}, (measure_control(),), (measure_control(),))
    monkeypatch.setattr("benchmarks.regression.measuring.measure_pair", lambda *_, **__: (case, record({}), record({})))

    def measuring(spent: float) -> PairMeasuring:
        return PairMeasuring((side, side), ["a"], Budget(10.0, spent=spent), lambda _: None, rule=RULE)

    assert measuring(9.0).draw(["a"]) is not None
    assert measuring(10.1).draw(["a"]) is None
    with pytest.raises(
        ValueError, match=r"--budget is 10s; the dry run of both takes 10 s .* a verdict needs 11s at least"
    ):
        measuring(10.1).noise_floor()


def test_the_noise_floor_is_that_of_the_cases_and_not_of_the_control(monkeypatch: pytest.MonkeyPatch) -> None:
    """Base is measured against itself; the control drifts, and the case comes out a percent apart."""
    side = Side("base", Path(), sys.executable, "speed")
    pair = ProcessPair({"a": (1.0,)}, {"a": (math.exp(0.01),)}, (ControlTimes(1.0, 1.0),), (ControlTimes(2.0, 2.0),))
    sides: list[str] = []

    def measure(base: Side, head: Side, *_: object, **__: object) -> tuple[ProcessPair, ProcessRecord, ProcessRecord]:
        sides.extend((base.name, head.name))
        return pair, record({}), record({})

    monkeypatch.setattr("benchmarks.regression.measuring.measure_pair", measure)
    both = (side, dataclasses.replace(side, name="head"))
    measuring = PairMeasuring(both, ["a"], Budget(10.0), lambda _: None, rule=RULE)
    assert measuring.noise_floor()(5) == pytest.approx(noise_floor([0.01, 0.01])(5))
    assert sides == ["base", "base again"] * 2
    assert measuring.pairs == []


def test_a_folder_outside_of_git_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The refusal is exit status 2."""
    monkeypatch.chdir(tmp_path)
    status, said = regress("--base", "HEAD")
    assert status == 2
    assert "is not in a git checkout" in said


def test_worktrees_are_removed_when_the_run_is_interrupted(project: Path) -> None:
    """Neither their folders nor their entries in git remain."""
    folders: list[Path] = []

    def interrupted() -> None:
        with check_out(project, "HEAD", "HEAD") as (base, head):
            folders.extend([base.folder, head.folder])
            assert worktrees(project) == 3
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not any(folder.exists() for folder in folders)
    assert worktrees(project) == 1
