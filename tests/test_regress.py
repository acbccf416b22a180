"""`regress`: which cases it judges, two revisions of a small project, and wrong use."""

from __future__ import annotations

import dataclasses
import json
import math
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks.__main__ import app
from benchmarks.regression.budget import Budget
from benchmarks.regression.control import Control, measure_control
from benchmarks.regression.judging import noise_floor
from benchmarks.regression.measuring import Measuring
from benchmarks.regression.pairing import Pair
from benchmarks.regression.revisions import check_out
from benchmarks.regression.session import Side
from benchmarks.regression.session_record import Measured
from benchmarks.regression.stopping import Rule
from benchmarks.regression.suite_cases import sort_cases, tolerance_of

RULE = Rule(looks=(5, 8), confirmation_pairs=5)


def seen(outcomes: Mapping[str, str], broken: Mapping[str, str] | None = None) -> Measured:
    """What a look at a revision gave."""
    passed = {case: [[1.0]] for case, outcome in outcomes.items() if outcome == "passed"}
    return Measured(passed, {}, {case: (kind, "why") for case, kind in outcomes.items()}, broken or {}, {}, 0, "")


def test_what_only_one_side_has_is_new_gone_or_broken() -> None:
    """And the rest is judged; what both skip, or measure nothing in, is not there."""
    base = seen({"f.py::both": "passed", "f.py::gone": "passed", "f.py::fails": "failed"}, {"g.py": "ImportError: x"})
    head = seen({"f.py::both": "passed", "f.py::new": "passed", "f.py::fails": "passed", "g.py::test": "passed"})
    more = {"f.py::skips": ("skipped", ""), "f.py::nothing": ("passed", "")}
    base, head = (dataclasses.replace(each, outcomes={**each.outcomes, **more}) for each in (base, head))
    found = sort_cases(base, head)
    assert found.judged == ("f.py::both",)
    assert {case: kind for case, (kind, _) in found.untold.items()} == {
        "f.py::gone": "gone",
        "f.py::new": "new",
        "f.py::fails": "broken",
        "g.py::test": "broken",
    }
    assert found.untold["g.py::test"][1] == "base: ImportError: x"
    assert found.untold["f.py::fails"][1] == "base: failed, why"


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (seen({"f.py::a": "failed"}), "f.py::a: why"),
        (seen({}, {"": "ImportError: x"}), "ImportError: x"),
        (seen({"f.py::a": "skipped"}), "f.py::a is skipped: why"),
    ],
    ids=["fails", "does not import", "skips"],
)
def test_a_head_none_of_whose_benchmarks_works_is_refused(head: Measured, reason: str) -> None:
    """With the reason: it is not to pass for one that is no slower. One that is all new is none such."""
    with pytest.raises(ValueError, match=f"head has no benchmark that works in this suite: {reason}"):
        sort_cases(seen({"f.py::a": "passed"}), head)
    assert sort_cases(head, seen({"f.py::a": "passed"})).judged == ()


def git(folder: Path, *words: str) -> None:
    """Run git as somebody."""
    identity = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.com")
    command = ["git", *identity, *words]  # the git that is on the path
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def worktrees(folder: Path) -> int:
    """How many worktrees git knows of, the checkout among them."""
    command = ["git", "worktree", "list"]  # the git that is on the path
    listed = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return len(listed.stdout.splitlines())


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of its own in git, whose one benchmark became slower and whose other is new since."""
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
    # What makes a machine unfit, a loaded test machine may have; it is tested above.
    monkeypatch.setattr("benchmarks.regression.regress.unfit", lambda _: "")
    return folder


def regress(*words: str) -> tuple[int, str]:
    """Exit status and what was printed."""
    result = CliRunner(env={"COLUMNS": "200", "GITHUB_STEP_SUMMARY": "job.md"}).invoke(
        app, ["regress", *words], catch_exceptions=False
    )
    return result.exit_code, " ".join(result.output.split())


def test_a_confirmed_slowdown_is_exit_status_1(project: Path) -> None:
    """On any project's suite, the checkout's uncommitted changes against a commit; files and worktrees are in order."""
    status, said = regress("--base", "HEAD", "--suite", "speed", "--out", "out")
    assert status == 1, said
    assert "1 of 1 cases slower" in said
    written = json.loads((project / "out" / "regress.json").read_text())
    assert written["untold"]["speed/test_work.py::test_new"][0] == "new"
    assert len(written["pairs"]) == len(written["outcome"]["log_ratios"]["speed/test_work.py::test_work"]) + 5
    assert (project / "out" / "ratios.png").stat().st_size > 0
    assert "slower" in (project / "job.md").read_text()
    assert worktrees(project) == 1


def test_a_base_without_the_suite_leaves_nothing_to_compare(project: Path) -> None:
    """That is no slowdown, nor the absence of one: exit status 3."""
    (project / "more").mkdir()
    (project / "more" / "test_more.py").write_text("def test_more(benchmark):\n    benchmark(sum, range(9))\n")
    status, said = regress("--base", "HEAD", "--suite", "more", "--out", "out")
    assert status == 3
    assert "more/test_more.py::test_more │ new" in said
    assert "Nothing was judged: base and head have no case in common (1 new, 0 gone)" in said


def test_a_base_that_does_not_import_leaves_nothing_to_judge(project: Path) -> None:
    """Exit status 2, with the error: it can be mended."""
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
    """Exit status 2."""
    status, said = regress(*words)
    assert status == 2
    assert message in said


@pytest.mark.parametrize("own", ["a lot", -0.1, 0, math.nan, math.inf, None])
def test_a_tolerance_of_a_case_that_is_none_is_refused(own: object) -> None:
    """Naming the case; and the default holds where a case sets none."""
    assert tolerance_of("a", {"tolerance": 2}, 0.03) == 2.0
    assert tolerance_of("a", {}, 0.03) == 0.03
    with pytest.raises(ValueError, match="a has extra_info"):
        tolerance_of("a", {"tolerance": own}, 0.03)


def budget_after(seconds: float, spent: float) -> Budget:
    """A budget of so many seconds, of which the first run took some."""
    budget = Budget(seconds)
    budget.spent = spent
    return budget


def test_the_time_of_the_first_run_is_in_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it leaves is what pairs may take."""
    side = Side("base", Path(), sys.executable, "speed")
    case = Pair({"a": (1.0,)}, {"a": (1.0,)}, (measure_control(),), (measure_control(),))
    monkeypatch.setattr("benchmarks.regression.measuring.measure_pair", lambda *_, **__: (case, seen({}), seen({})))
    assert Measuring((side, side), ["a"], budget_after(10.0, 9.0), lambda _: None).draw(["a"]) is not None
    assert Measuring((side, side), ["a"], budget_after(10.0, 10.1), lambda _: None).draw(["a"]) is None
    with pytest.raises(
        ValueError, match=r"--budget is 10s; the first run of both takes 10 s .* a verdict needs 11s at least"
    ):
        Measuring((side, side), ["a"], budget_after(10.0, 10.1), lambda _: None).floor(RULE)


def test_the_floor_is_of_the_cases_and_not_of_the_control(monkeypatch: pytest.MonkeyPatch) -> None:
    """Base against itself, in which the control drifts and the case comes out a percent apart."""
    side = Side("base", Path(), sys.executable, "speed")
    pair = Pair({"a": (1.0,)}, {"a": (math.exp(0.01),)}, (Control(1.0, 1.0),), (Control(2.0, 2.0),))
    sides: list[str] = []

    def measure(base: Side, head: Side, *_: object, **__: object) -> tuple[Pair, Measured, Measured]:
        sides.extend((base.name, head.name))
        return pair, seen({}), seen({})

    monkeypatch.setattr("benchmarks.regression.measuring.measure_pair", measure)
    both = (side, dataclasses.replace(side, name="head"))
    measuring = Measuring(both, ["a"], Budget(10.0), lambda _: None)
    assert measuring.floor(RULE)(5) == pytest.approx(noise_floor([0.01, 0.01])(5))
    assert sides == ["base", "base again"] * 2
    assert measuring.pairs == []


def test_a_folder_outside_of_git_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With where it was asked."""
    monkeypatch.chdir(tmp_path)
    status, said = regress("--base", "HEAD")
    assert status == 2
    assert "is not in a git checkout" in said


def test_worktrees_go_when_the_run_is_interrupted(project: Path) -> None:
    """However it ends."""
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
