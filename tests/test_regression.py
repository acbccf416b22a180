"""`regress`: from pairs to verdicts, when it stops, two revisions of a small project, and wrong use."""

from __future__ import annotations

import dataclasses
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
from benchmarks.regression.control import Control, measure_control
from benchmarks.regression.judging import Estimate, estimate_each, holm, judge, noise_floor
from benchmarks.regression.pairing import LEAST_CONTROLS, Pair, log_ratio, measure_together, times, undisturbed
from benchmarks.regression.regress import _Measuring as Measuring
from benchmarks.regression.regress import _tolerance as tolerance_of
from benchmarks.regression.regress import floor_pairs, sort_cases, unfit
from benchmarks.regression.revisions import check_out
from benchmarks.regression.session import Measured, Side, SuiteProcess, look
from benchmarks.regression.stopping import Outcome, Rule, decide

NOISE = (0.004, -0.006, 0.001, 0.003, -0.002, 0.005, -0.001, -0.004, 0.002, 0.000, 0.006, -0.003)
RULE = Rule(looks=(5, 8), confirmation_pairs=5)


def shifted(by: float, count: int = 5) -> list[float]:
    """Log ratios of a case whose time is exp(by) times what it was, with a spread of half a percent."""
    return [by + NOISE[number % len(NOISE)] for number in range(count)]


def estimate(log_ratios: Sequence[float], error: float = 0.05) -> Estimate:
    """Of a case by itself."""
    return estimate_each({"case": log_ratios}, error)["case"]


def verdicts(log_ratios: Mapping[str, Sequence[float]], noise: float = 0.0) -> dict[str, str]:
    """The verdict on each case at a tolerance of 3 %."""
    estimates, tolerances = estimate_each(log_ratios, 0.01), dict.fromkeys(log_ratios, 0.03)
    judged = judge(estimates, error=0.1, tolerances=tolerances, floor_of=lambda _: noise)
    return {case: judgement.verdict for case, judgement in judged.items()}


def test_each_verdict_is_given() -> None:
    """Faster, same and slower when it is certain and matters; cannot tell when it is wide."""
    wide = [0.3, -0.3, 0.1, -0.2, 0.2]
    found = verdicts({"slower": shifted(0.1), "faster": shifted(-0.1), "same": shifted(0.0), "wide": wide})
    assert found == {"slower": "slower", "faster": "faster", "same": "same", "wide": "cannot tell"}


def test_a_certain_change_within_the_tolerance_is_the_same() -> None:
    """One percent is certain here, in either direction, and does not matter."""
    assert estimate(shifted(0.01, 12)).p_slower < 0.001
    assert verdicts({"slower": shifted(0.01, 12), "faster": shifted(-0.01, 12)}) == {"slower": "same", "faster": "same"}


def test_what_may_lie_on_either_side_of_the_tolerance_cannot_be_told() -> None:
    """On average it is within, but the interval is not, above or below."""
    near = {"above": shifted(0.029), "below": shifted(-0.029)}
    assert verdicts(near) == {"above": "cannot tell", "below": "cannot tell"}


def test_a_clock_that_stands_still_has_a_verdict() -> None:
    """Ratios without any spread."""
    assert verdicts({"case": [0.0] * 5}) == {"case": "same"}


def test_a_change_within_the_noise_floor_is_no_slowdown() -> None:
    """Though it is beyond the tolerance."""
    assert verdicts({"case": shifted(0.05)}, noise=0.08) != {"case": "slower"}


def test_the_interval_of_the_mean_is_students() -> None:
    """Of the numbers 1 to 5: 3 ± 2.776 * sqrt(0.5)."""
    found = estimate([1.0, 2.0, 3.0, 4.0, 5.0])
    assert math.log(found.high) == pytest.approx(3 + 2.7764 * math.sqrt(0.5), abs=1e-3)
    assert math.log(found.low) == pytest.approx(3 - 2.7764 * math.sqrt(0.5), abs=1e-3)


def test_what_could_have_been_seen_is_found_four_times_in_five() -> None:
    """Of the numbers 1 to 5, at an error of 0.05: 2.132 + 0.941 times the deviation of the mean."""
    assert math.log1p(estimate([1.0, 2.0, 3.0, 4.0, 5.0], 0.05).detectable) == pytest.approx(
        3.0728 * math.sqrt(0.5), abs=1e-3
    )


def test_two_pairs_are_no_estimate() -> None:
    """Three are the least."""
    assert estimate([0.0, 0.1, 0.2]).pairs == 3
    with pytest.raises(ValueError, match="2 pairs; expected 3 or more"):
        estimate([0.0, 0.1])


def test_holm_multiplies_by_what_is_left() -> None:
    """The example of three: the least by three, the next by two, none below one before it, or above one."""
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "c": 0.06, "b": 0.06})
    assert holm({"a": 0.6, "b": 0.9}) == {"a": 1.0, "b": 1.0}


def test_the_floor_falls_with_the_root_of_pairs() -> None:
    """Student's t of as many degrees as there are log ratios: 2.021 times 1 % for forty, divided by that root."""
    floor_of = noise_floor([0.01, -0.01] * 20)
    assert [math.log1p(floor_of(pairs)) for pairs in (1, 16)] == pytest.approx([0.02021, 0.02021 / 4], rel=1e-3)


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
import ctypes, mmap, os, time

def test_where(benchmark):
    block = mmap.mmap(-1, 64 * 2**20)
    benchmark.extra_info["address"] = ctypes.addressof(ctypes.c_char.from_buffer(block))
    benchmark.extra_info["began"] = time.monotonic()
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
    measured, controls = measure_together((side, side), [case], number=0, passes=2, seconds_a_case=0)
    assert [len(each[case]) for each in times(measured)] == [2, 2]
    assert min(map(len, controls)) >= LEAST_CONTROLS


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
    # The other side goes first in the next pass, and in the next pair.
    assert [base["began"] < head["began"] for base, head in pairs] == [False, True]
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
    """The fresh pairs alone decide; what the first said is kept beside."""
    source = Source({"a": 0.0, "b": 0.1}, again={"a": 0.0, "b": 0.0})
    outcome = decide(RULE, source, ["a", "b"], tolerances={"a": 0.03, "b": 0.03}, floor_of=lambda _: 0.0)
    assert (outcome.first["b"].verdict, outcome.final["b"].verdict) == ("slower", "same")
    assert (outcome.suspected, outcome.slower) == (("b",), ())


def listed(ratios: Mapping[str, Sequence[float]]) -> Outcome:
    """What comes of these log ratios by case, until they end."""
    pairs = iter(zip(*ratios.values(), strict=True))

    def draw(_: Sequence[str]) -> dict[str, float] | None:
        pair = next(pairs, None)
        return None if pair is None else dict(zip(ratios, pair, strict=True))

    return decide(RULE, draw, list(ratios), tolerances=dict.fromkeys(ratios, 0.03), floor_of=lambda _: 0.0)


def test_each_look_has_an_equal_part_of_the_suspicion() -> None:
    """Of 0.2 at two looks, 0.1: a case at p = 0.15 is not suspected."""
    wide = [0.05 + 0.0594 * step for step in (-2, -1, 0, 1, 2)]
    assert estimate(wide).p_slower == pytest.approx(0.15, abs=0.01)
    assert listed({"a": wide}).suspected == ()


def test_a_case_that_is_decided_still_counts_among_those_looked_at() -> None:
    """One of ten at p = 0.03, the others the same since the look before: chance makes one such in three runs."""
    wide = [0.05 + 0.02578 * step for step in (-3.5, 3.5, -2.5, 2.5, -0.5, -1.5, 1.5, 0.5)]
    assert estimate(wide).p_slower == pytest.approx(0.03, abs=0.005)
    outcome = listed({"wide": wide, **{f"{number}": shifted(0.0, 8) for number in range(9)}})
    assert [len(outcome.log_ratios[case]) for case in ("wide", "0")] == [8, 5]
    assert outcome.suspected == ()
    assert listed({"wide": wide}).suspected == ("wide",)


def test_what_could_have_been_seen_is_by_the_part_of_the_error_that_a_case_has() -> None:
    """Of two cases, half of a look's; and of those that are measured again together, of the confirmation's."""
    outcome = decide(
        RULE, Source({"a": 0.0, "b": 0.1}), ["a", "b"], tolerances={"a": 0.03, "b": 0.03}, floor_of=lambda _: 0.0
    )
    found = {case: judged.estimate.detectable for case, judged in outcome.final.items()}
    assert found == pytest.approx(
        {
            "a": estimate(shifted(0.0), 0.2 / 2 / 2).detectable,
            "b": estimate(outcome.again["b"], 0.05).detectable,
        }
    )


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
    """It cannot be told; three pairs are the least that can."""
    source = Source({"a": 0.0, "b": 0.1}, most=7)
    outcome = decide(RULE, source, ["a", "b"], tolerances={"a": 0.03, "b": 0.03}, floor_of=lambda _: 0.0)
    assert {case: judged.verdict for case, judged in outcome.final.items()} == {"a": "same", "b": "cannot tell"}
    assert (outcome.suspected, outcome.slower, outcome.again) == (("b",), (), {})
    assert decided(Source({"a": 0.0, "b": 0.1}, most=8)) == ({"a": "same", "b": "slower"}, ("b",))


def test_what_is_not_told_when_the_budget_ends_is_judged_by_what_there_is() -> None:
    """Between two looks."""
    far = [0.3, -0.3, 0.1, -0.2, 0.2]
    assert listed({"a": [*far, 0.0]}).final["a"].estimate.pairs == 6


def test_too_few_pairs_for_any_verdict_are_refused() -> None:
    """With what to do."""
    with pytest.raises(ValueError, match="give a longer --budget"):
        decided(Source({"a": 0.0}, most=2))


def test_a_budget_expects_of_a_pair_what_those_as_large_took() -> None:
    """The longest of them; few cases take as long as many until a pair of few was measured."""
    budget = Budget(39.0)
    assert budget.allows(16)
    for cases, seconds in ((16, 10.0), (16, 12.0), (2, 5.0)):
        budget.spend(cases, seconds)
    assert [budget.expected(cases) for cases in (16, 3, 2, 1)] == [12.0, 12.0, 5.0, 5.0]
    assert [budget.allows(cases) for cases in (16, 2)] == [True, True]
    budget.spend(2, 5.0)
    assert [budget.allows(cases) for cases in (16, 2)] == [False, True]
    assert budget.left == 7.0
    budget.spend(16, 10.0)
    assert budget.left == 0.0


def test_a_control_that_drifts_makes_the_machine_unfit() -> None:
    """In either direction, by more than a percent; or one that is not known well."""
    assert unfit({"control": estimate(shifted(0.0, 12))}) == ""
    assert "came out 1.05" in unfit({"control": estimate(shifted(0.05, 12))})
    assert "came out 0.952" in unfit({"control": estimate(shifted(-0.05, 12))})
    certain = estimate([0.005 + each / 10 for each in NOISE])
    assert certain.p_slower < 1e-6
    assert unfit({"control": certain}) == ""
    assert "too noisy" in unfit({"control": estimate([0.3, -0.3, 0.2, -0.2, 0.1])})


def test_two_controls_drift_by_chance_as_seldom_as_one() -> None:
    """At p = 0.004, beyond half a percent for one and not beyond a quarter for each of two."""
    drifting = estimate([0.05 + 14 * (each - statistics.fmean(NOISE)) for each in NOISE])
    assert 0.0025 < drifting.p_slower < 0.005
    assert "came out" in unfit({"product": drifting})
    assert unfit({"product": drifting, "loop": drifting}) == ""


def test_the_floor_of_few_cases_rests_on_a_pair_more() -> None:
    """On eight log ratios, if it can be."""
    assert [floor_pairs(cases) for cases in (1, 7, 8, 16)] == [2, 2, 1, 1]


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
    judged, untold = sort_cases(base, head)
    assert judged == ["f.py::both"]
    assert {case: kind for case, (kind, _) in untold.items()} == {
        "f.py::gone": "gone",
        "f.py::new": "new",
        "f.py::fails": "broken",
        "g.py::test": "broken",
    }
    assert untold["g.py::test"][1] == "base: ImportError: x"
    assert untold["f.py::fails"][1] == "base: failed, why"


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
    with pytest.raises(
        ValueError, match=r"--budget is 10s; to look at both takes 10 s .* a verdict needs 11s at least"
    ):
        Measuring((side, side), ["a"], 10.0, 10.1, lambda _: None).floor(RULE)


def test_the_floor_is_of_the_cases_and_not_of_the_control(monkeypatch: pytest.MonkeyPatch) -> None:
    """Base against itself, in which the control drifts and the case comes out a percent apart."""
    side = Side("base", Path(), sys.executable, "speed")
    pair = Pair({"a": (1.0,)}, {"a": (math.exp(0.01),)}, (Control(1.0, 1.0),), (Control(2.0, 2.0),))
    sides: list[str] = []

    def measure(base: Side, head: Side, *_: object, **__: object) -> tuple[Pair, None, None]:
        sides.extend((base.name, head.name))
        return pair, None, None

    monkeypatch.setattr("benchmarks.regression.regress.measure_pair", measure)
    measuring = Measuring((side, dataclasses.replace(side, name="head")), ["a"], 10.0, 0.0, lambda _: None)
    assert measuring.floor(RULE)(5) == pytest.approx(noise_floor([0.01, 0.01])(5))
    assert sides == ["base", "base again"] * 2
    assert measuring.pairs == []


def test_a_case_that_worked_at_first_and_then_did_not_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what each process said of it."""
    side = Side("base", Path(), sys.executable, "speed")
    measured = seen({"a": "passed"}), seen({"a": "failed"})
    pair = Pair({"a": (1.0,)}, {}, (Control(1.0, 1.0),), (Control(1.0, 1.0),))
    monkeypatch.setattr("benchmarks.regression.regress.measure_pair", lambda *_, **__: (pair, *measured))
    with pytest.raises(ValueError, match=r"a worked at first and then did not: .*'failed', 'why'"):
        Measuring((side, side), ["a"], 10.0, 0.0, lambda _: None).draw(["a"])


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
