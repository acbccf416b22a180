"""`regress`: from pairs to verdicts, when it stops, two revisions of a small project, and wrong use."""

from __future__ import annotations

import itertools
import json
import math
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks.__main__ import app
from benchmarks.measuring.address_space import fixed_layout
from benchmarks.regression.budget import Budget
from benchmarks.regression.control import measure_control
from benchmarks.regression.judging import estimate, estimate_each, holm, judge, noise_floor
from benchmarks.regression.pairing import Pair, log_ratio, measure_together, times, undisturbed
from benchmarks.regression.regress import _Measuring as Measuring
from benchmarks.regression.regress import _tolerance as tolerance_of
from benchmarks.regression.regress import sort_cases, unfit
from benchmarks.regression.revisions import check_out, top_of_checkout
from benchmarks.regression.session import Measured, Side, SuiteProcess, look
from benchmarks.regression.stopping import Rule, decide

NOISE = (0.004, -0.006, 0.001, 0.003, -0.002, 0.005, -0.001, -0.004, 0.002, 0.000, 0.006, -0.003)
RULE = Rule(looks=(5, 8), confirmation_pairs=5)


def shifted(by: float, count: int = 5) -> list[float]:
    """Log ratios of a case whose time is exp(by) times what it was, with a spread of half a percent."""
    return [by + NOISE[number % len(NOISE)] for number in range(count)]


def verdicts(log_ratios: Mapping[str, Sequence[float]], noise: float = 0.0) -> dict[str, str]:
    """The verdict on each case at a tolerance of 3 %."""
    estimates, tolerances = estimate_each(log_ratios, 0.1), dict.fromkeys(log_ratios, 0.03)
    judged = judge(estimates, error=0.1, tolerances=tolerances, floor_of=lambda _: noise)
    return {case: judgement.verdict for case, judgement in judged.items()}


def test_each_verdict_is_given() -> None:
    """Faster, same and slower when it is certain and matters; cannot tell when it is wide."""
    wide = [0.3, -0.3, 0.1, -0.2, 0.2]
    found = verdicts({"slower": shifted(0.1), "faster": shifted(-0.1), "same": shifted(0.0), "wide": wide})
    assert found == {"slower": "slower", "faster": "faster", "same": "same", "wide": "cannot tell"}


def test_a_certain_change_within_the_tolerance_is_the_same() -> None:
    """One percent is certain here, and does not matter."""
    assert estimate(shifted(0.01, 12), 0.05).p_slower < 0.001
    assert verdicts({"case": shifted(0.01, 12)}) == {"case": "same"}


def test_a_change_within_the_noise_floor_is_no_slowdown() -> None:
    """Though it is beyond the tolerance."""
    assert verdicts({"case": shifted(0.05)}, noise=0.08) != {"case": "slower"}


def test_the_interval_of_the_mean_is_students() -> None:
    """Of the numbers 1 to 5: 3 ± 2.776 * sqrt(0.5)."""
    found = estimate([1.0, 2.0, 3.0, 4.0, 5.0], 0.05)
    assert math.log(found.high) == pytest.approx(3 + 2.7764 * math.sqrt(0.5), abs=1e-3)
    assert math.log(found.low) == pytest.approx(3 - 2.7764 * math.sqrt(0.5), abs=1e-3)


def test_holm_multiplies_by_what_is_left() -> None:
    """The example of three: the least by three, the next by two, none below one before it."""
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "c": 0.06, "b": 0.06})


def test_the_floor_falls_with_the_root_of_pairs() -> None:
    """Four times the pairs, half the floor."""
    floor_of = noise_floor([0.01, -0.01] * 20)
    assert floor_of(20) == pytest.approx(floor_of(5) / 2, rel=0.01)


def test_a_disturbed_stretch_and_disturbed_rounds_do_not_move_a_pair() -> None:
    """The lowest tenth of the rounds, then the median over stretches."""
    assert undisturbed([1.0] * 12 + [50.0] * 30) == 1.0
    assert log_ratio((1.0, 1.0, 1.0), (1.1, 9.0, 1.1)) == pytest.approx(math.log(1.1))


def test_the_first_pass_of_a_process_does_not_count() -> None:
    """It warms the process up; the passes after it are the measurement."""
    measured = in_stretches([[9.0] * 3, [1.0] * 3, [2.0] * 3], [[0] * 3, [1] * 3, [1] * 3])
    assert times([measured]) == [{"a": (1.0, 2.0)}]


def in_stretches(
    seconds: Sequence[Sequence[float]], stretches: Sequence[Sequence[int]], kind: str = "passed"
) -> Measured:
    """What a process gave of its only case."""
    return Measured({"a": seconds}, {}, {"a": (kind, "")}, {}, {}, 0, "", {"a": stretches})


def test_only_stretches_that_both_sides_have_are_compared() -> None:
    """By their number: what one side did alone, at the beginning or the end, has no counterpart."""
    base = in_stretches([[5.0], [1.0, 1.0, 2.0, 3.0]], [[0], [1, 1, 2, 3]])
    head = in_stretches([[5.0], [2.2, 3.3, 3.4, 9.0]], [[0], [2, 3, 3, 4]])
    assert times([base, head]) == [{"a": (2.0, 3.0)}, {"a": (2.2, 3.3)}]
    assert times([base, in_stretches([[5.0], [2.2]], [[0], [2]], "failed")]) == [{}, {}]


PLACES = """
import ctypes, mmap, os

def test_where(benchmark):
    block = mmap.mmap(-1, 64 * 2**20)
    benchmark.extra_info["address"] = ctypes.addressof(ctypes.c_char.from_buffer(block))
    benchmark.extra_info["cores"] = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
    benchmark(abs, -1)
"""


TURNS = """
import time

def test_order(benchmark):
    # The clock of the machine, which both sides share: by it the test sees when its calls were.
    called = []
    benchmark.extra_info["called"] = called

    def call():
        called.append(time.clock_gettime(time.CLOCK_MONOTONIC))
        sum(range(2000))

    benchmark(call)
"""


def test_both_sides_take_turns_within_a_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither calls while the other has its turn, and each has many."""
    monkeypatch.setattr("benchmarks.regression.session.STRETCH_SECONDS", 0.002)
    (tmp_path / "test_turns.py").write_text(TURNS)
    side, case = Side("base", tmp_path, sys.executable, "test_turns.py"), "test_turns.py::test_order"
    measured, _ = measure_together((side, side), [case], number=0, passes=1, seconds_a_case=0.05)
    calls = sorted((at, number) for number, each in enumerate(measured) for at in each.extra_info[case]["called"])
    turns = [number for number, _ in itertools.groupby(number for _, number in calls)]
    assert len(turns) >= 8
    assert len(times(measured)[0][case]) >= 3
    for each in measured:
        assert len(each.seconds[case][1]) == len(each.stretches[case][1])
        # What was waited is in no round: a turn of the other takes two milliseconds, a round microseconds.
        assert statistics.median(each.seconds[case][1]) < 0.001


def test_a_process_ends_when_the_one_that_measures_is_gone(tmp_path: Path) -> None:
    """However that ended: nothing is left behind that would go on measuring."""
    (tmp_path / "test_turns.py").write_text(TURNS)
    with SuiteProcess(Side("base", tmp_path, sys.executable, "test_turns.py")) as process:
        assert process.next_turn() == "test_turns.py::test_order"
        os.close(process._allow)
        process._allow = os.open(os.devnull, os.O_WRONLY)
        measured = process.finish()
    assert measured.status == 1
    assert not measured.outcomes


OWN_TIMER = """
import time
import pytest

@pytest.mark.benchmark(timer=time.process_time)
def test_own(benchmark):
    benchmark(sum, range(1000))
"""


def test_a_suite_with_a_timer_of_its_own_takes_turns_test_by_test(tmp_path: Path) -> None:
    """Each pass is one stretch."""
    (tmp_path / "test_own.py").write_text(OWN_TIMER)
    side, case = Side("base", tmp_path, sys.executable, "test_own.py"), "test_own.py::test_own"
    measured, _ = measure_together((side, side), [case], number=0, passes=2, seconds_a_case=0)
    assert [len(each[case]) for each in times(measured)] == [2, 2]


def test_both_sides_of_a_pair_run_in_one_layout_on_one_core(tmp_path: Path) -> None:
    """What differs between them is the code; the next pair lies elsewhere, and this process may use all cores again."""
    (tmp_path / "test_places.py").write_text(PLACES)
    side = Side("base", tmp_path, sys.executable, "test_places.py")
    case = "test_places.py::test_where"
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    pairs = [
        [
            each.extra_info[case]
            for each in measure_together((side, side), [case], number=n, passes=1, seconds_a_case=0)[0]
        ]
        for n in (0, 1)
    ]
    for base, head in pairs:
        assert base["cores"] == head["cores"]
        assert len(base["cores"]) == 1
    if cores:
        assert os.sched_getaffinity(0) == cores
    with fixed_layout() as fixed:
        if not fixed:
            pytest.skip("this system does not let a process go without randomization of its addresses")
    assert all(base["address"] == head["address"] for base, head in pairs)
    assert pairs[0][0]["address"] != pairs[1][0]["address"]


def test_a_pair_is_read_back_as_it_was_written() -> None:
    """Through JSON."""
    pair = Pair({"a": (1.0, 2.0)}, {"a": (1.5, 2.5)}, (measure_control(),), (measure_control(),))
    assert Pair.from_json(json.loads(json.dumps(pair.to_json()))) == pair


class Source:
    """Pairs by plan: {case: log of its true ratio, first and when measured again}; counts what was drawn."""

    def __init__(self, first: Mapping[str, float], again: Mapping[str, float] | None = None, most: int = 99) -> None:
        self.first, self.again, self.most = first, again or first, most
        self.drawn: list[tuple[str, ...]] = []

    def __call__(self, cases: Sequence[str]) -> dict[str, float] | None:
        number = len(self.drawn)
        if number >= self.most:
            return None
        self.drawn.append(tuple(cases))
        source = self.first if number < RULE.looks[0] else self.again
        return {case: source[case] + NOISE[number % len(NOISE)] for case in cases}


def decided(source: Source) -> tuple[dict[str, str], tuple[str, ...]]:
    """The verdicts, and what is slower and confirmed."""
    tolerances = dict.fromkeys(source.first, 0.03)
    outcome = decide(RULE, source, list(source.first), tolerances=tolerances, floor_of=lambda _: 0.0)
    return {case: judgement.verdict for case, judgement in outcome.final.items()}, outcome.slower


def test_clear_cases_stop_at_the_first_look() -> None:
    """Nothing is measured again where nothing is suspected."""
    source = Source({"a": 0.0, "b": -0.2})
    assert decided(source) == ({"a": "same", "b": "faster"}, ())
    assert len(source.drawn) == 5


def test_a_slowdown_is_measured_again_before_it_is_called_one() -> None:
    """By itself, in as many fresh pairs."""
    source = Source({"a": 0.0, "b": 0.1})
    assert decided(source) == ({"a": "same", "b": "slower"}, ("b",))
    assert source.drawn[5:] == [("b",)] * 5


def test_a_slowdown_that_does_not_come_again_is_none() -> None:
    """The fresh pairs alone decide."""
    source = Source({"a": 0.0, "b": 0.1}, again={"a": 0.0, "b": 0.0})
    assert decided(source) == ({"a": "same", "b": "same"}, ())


def test_what_looks_slower_is_measured_again_beside_what_cannot_be_told() -> None:
    """Pairs serve both, so a case that nobody can tell does not use up what another needs to be confirmed."""
    wide = [0.3, -0.3, 0.1, -0.2, 0.2, -0.25, 0.15, 0.0, 0.1, -0.1, 0.2, -0.2]
    drawn: list[tuple[str, ...]] = []

    def draw(cases: Sequence[str]) -> dict[str, float]:
        drawn.append(tuple(cases))
        ratios = {"slow": 0.1 + NOISE[len(drawn) % 12], "wide": wide[len(drawn) % 12]}
        return {case: ratios[case] for case in cases}

    tolerances = dict.fromkeys(("slow", "wide"), 0.03)
    outcome = decide(RULE, draw, list(tolerances), tolerances=tolerances, floor_of=lambda _: 0.0)
    assert outcome.slower == ("slow",)
    assert drawn == [("slow", "wide")] * 8 + [("slow",)] * 2
    assert (len(outcome.log_ratios["slow"]), len(outcome.again["slow"]), len(outcome.log_ratios["wide"])) == (5, 5, 8)


def test_a_suspicion_that_the_budget_cannot_confirm_is_no_verdict() -> None:
    """It cannot be told."""
    assert decided(Source({"a": 0.0, "b": 0.1}, most=6)) == ({"a": "same", "b": "cannot tell"}, ())


def test_too_few_pairs_for_any_verdict_are_refused() -> None:
    """With what to do."""
    with pytest.raises(ValueError, match="give a longer --budget"):
        decided(Source({"a": 0.0}, most=2))


def test_a_budget_expects_of_a_pair_what_those_as_large_took() -> None:
    """The longest of them; few cases take as long as many until a pair of few was measured."""
    budget = Budget(40.0)
    assert budget.allows(16)
    for cases, seconds in ((16, 10.0), (16, 12.0), (2, 5.0)):
        budget.spend(cases, seconds)
    assert [budget.expected(cases) for cases in (16, 3, 2, 1)] == [12.0, 12.0, 5.0, 5.0]
    assert [budget.allows(cases) for cases in (16, 2)] == [True, True]
    budget.spend(2, 5.0)
    assert [budget.allows(cases) for cases in (16, 2)] == [False, True]
    assert budget.left == 8.0


def test_a_control_that_drifts_makes_the_machine_unfit() -> None:
    """Or one that is not known well."""
    assert unfit({"control": estimate(shifted(0.0, 12), 0.01)}) == ""
    assert "came out 1.05" in unfit({"control": estimate(shifted(0.05, 12), 0.01)})
    assert "too noisy" in unfit({"control": estimate([0.3, -0.3, 0.2, -0.2, 0.1], 0.01)})


def seen(outcomes: Mapping[str, str], broken: Mapping[str, str] | None = None) -> Measured:
    """What a look at a revision gave."""
    passed = {case: [[1.0]] for case, outcome in outcomes.items() if outcome == "passed"}
    return Measured(passed, {}, {case: (kind, "why") for case, kind in outcomes.items()}, broken or {}, {}, 0, "")


def test_what_only_one_side_has_is_new_gone_or_broken() -> None:
    """And the rest is judged."""
    base = seen({"f.py::both": "passed", "f.py::gone": "passed", "f.py::fails": "failed"}, {"g.py": "ImportError: x"})
    head = seen({"f.py::both": "passed", "f.py::new": "passed", "f.py::fails": "passed", "g.py::test": "passed"})
    judged, untold = sort_cases(base, head)
    assert judged == ["f.py::both"]
    assert {case: kind for case, (kind, _) in untold.items()} == {
        "f.py::gone": "gone",
        "f.py::new": "new",
        "f.py::fails": "broken",
        "g.py::test": "broken",
    }
    assert "ImportError: x" in untold["g.py::test"][1]


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (seen({"f.py::a": "failed"}), "why"),
        (seen({}, {"": "ImportError: x"}), "ImportError: x"),
        (seen({"f.py::a": "skipped"}), "pytest said nothing"),
    ],
    ids=["fails", "does not import", "skips"],
)
def test_a_head_none_of_whose_benchmarks_works_is_refused(head: Measured, reason: str) -> None:
    """With the reason: it is not to pass for one that is no slower. One that is all new is none such."""
    with pytest.raises(ValueError, match=f"head has no benchmark that works in this suite: {reason}"):
        sort_cases(seen({"f.py::a": "passed"}), head)
    assert sort_cases(head, seen({"f.py::a": "passed"}))[0] == []


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
    monkeypatch.setattr("benchmarks.regression.regress.floor_pairs", lambda _: 1)
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


def test_a_base_without_the_suite_has_only_new_cases(project: Path) -> None:
    """Nothing is measured, and that is no slowdown."""
    (project / "more").mkdir()
    (project / "more" / "test_more.py").write_text("def test_more(benchmark):\n    benchmark(sum, range(9))\n")
    status, said = regress("--base", "HEAD", "--suite", "more", "--out", "out")
    assert status == 0
    assert "more/test_more.py::test_more │ new" in said


def test_a_base_that_does_not_import_is_broken(project: Path) -> None:
    """With the error."""
    suite = project / "speed" / "test_work.py"
    right = suite.read_text()
    suite.write_text("import no_such_module\n")
    git(project, "commit", "--quiet", "-am", "broken")
    suite.write_text(right)
    status, said = regress("--base", "HEAD", "--suite", "speed", "--out", "out")
    assert status == 0
    assert "broken" in said
    assert "no_such_module" in said


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


def test_the_time_of_the_looks_is_in_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """What they leave is what pairs may take."""
    side = Side("base", Path(), sys.executable, "speed")
    case = Pair({"a": (1.0,)}, {"a": (1.0,)}, (measure_control(),), (measure_control(),))
    monkeypatch.setattr("benchmarks.regression.regress.measure_pair", lambda *_, **__: (case, None, None))
    assert Measuring((side, side), ["a"], 10.0, 9.0, lambda _: None).draw(["a"]) is not None
    assert Measuring((side, side), ["a"], 10.0, 10.1, lambda _: None).draw(["a"]) is None


OPTIONS = """
[pytest]
addopts = -n 2 --benchmark-skip --benchmark-autosave --benchmark-compare
"""


def test_what_a_project_asks_for_its_tests_does_not_keep_them_from_being_measured(tmp_path: Path) -> None:
    """Processes of pytest-xdist, in which pytest-benchmark measures nothing; skipping; and files beside the suite."""
    (tmp_path / "pytest.ini").write_text(OPTIONS)
    (tmp_path / "test_turns.py").write_text(TURNS)
    seen = look(Side("base", tmp_path, sys.executable, "test_turns.py"))
    assert seen.status == 0, seen.output
    assert list(seen.seconds) == ["test_turns.py::test_order"]
    assert not (tmp_path / ".benchmarks").exists()


def test_git_answers_for_the_folder_that_is_asked_about(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in a hook, to which git tells where the checkout is that it belongs to."""
    monkeypatch.setenv("GIT_DIR", "nowhere")
    monkeypatch.setenv("GIT_INDEX_FILE", "nowhere/index")
    assert top_of_checkout(project / "speed") == project


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
