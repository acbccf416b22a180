"""`regress`: cases that fail while pairs are measured drop out, and the others are judged."""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks.regression.judging.budget import Budget
from benchmarks.regression.judging.stopping import Rule, decide
from benchmarks.regression.judging.verdicts import Thresholds, noise_floor
from benchmarks.regression.measuring import (
    REPETITIONS,
    SECONDS_A_CASE,
    Failure,
    PairMeasuring,
    dry_run_limits,
    floor_pairs,
    pair_limits,
)
from benchmarks.regression.processes.control import ControlTimes
from benchmarks.regression.processes.outcomes import PASSED, Outcome
from benchmarks.regression.processes.pairing import ProcessPair
from benchmarks.regression.processes.process_record import ProcessRecord
from benchmarks.regression.processes.pytest_command import Side
from benchmarks.regression.processes.suite_process import BudgetOver, TimeLimits
from tests.synthetic_ratios import NOISE, thresholds
from tests.synthetic_records import record

BASE = Side("base", Path(), sys.executable, "speed")
HEAD = dataclasses.replace(BASE, name="head")
CONTROLS = (ControlTimes(1.0, 1.0),)
RULE = Rule(interim_analyses=(3, 5), confirmation_pairs=3)


Events = Mapping[int, tuple[Mapping[str, Outcome | None], Mapping[str, Any]]]


class Pairs:
    """A stand-in for `measure_pair` in which head is twice as slow.

    `events` are {number of the pair: (outcomes on head, fields of its record)}. A case without an outcome there passes;
    one whose outcome is None is not reached. `controls` are those beside head.
    """

    def __init__(self, events: Events, controls: Sequence[float] = ()) -> None:
        self.events, self.controls = events, controls
        self.measured: list[tuple[str, tuple[str, ...]]] = []

    def __call__(
        self, base: Side, head: Side, cases: Sequence[str], *, number: int, limits: TimeLimits, **_: object
    ) -> tuple[ProcessPair, ProcessRecord, ProcessRecord]:
        """One pair."""
        assert limits.turn_seconds == 7.0
        self.measured.append((head.name, tuple(cases)))
        changed, fields = self.events.get(number, ({}, {}))
        given = {case: changed.get(case, PASSED) for case in cases}
        outcomes = {case: outcome for case, outcome in given.items() if outcome is not None}
        works = [case for case, outcome in outcomes.items() if outcome == PASSED]
        slower = 2.0 if head.name == "head" else 1.0
        times = dict.fromkeys(works, (1.0,)), dict.fromkeys(works, (slower * (1 + NOISE[number]),))
        beside_head = (ControlTimes(self.controls[number], 1.0),) if self.controls else CONTROLS
        passed = record(dict.fromkeys(cases, PASSED))
        return ProcessPair(*times, CONTROLS, beside_head), passed, record(outcomes, **fields)


def measuring(
    monkeypatch: pytest.MonkeyPatch,
    pairs: Any,
    cases: Sequence[str] = ("a", "b"),
    say: Callable[[str], None] = lambda _: None,
) -> PairMeasuring:
    """The measuring of these pairs with a budget of a minute."""
    monkeypatch.setattr("benchmarks.regression.measuring.measure_pair", pairs)
    return PairMeasuring((BASE, HEAD), cases, Budget(60.0), say, TimeLimits(turn_seconds=7.0), RULE)


FAILS = {"a": Outcome("failed", "AssertionError: once")}


def test_a_case_that_fails_once_is_measured_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is measured by itself, and completes the first pair."""
    pairs = Pairs({0: (FAILS, {})})
    found = measuring(monkeypatch, pairs)
    ratios = found.draw(["a", "b"])
    assert ratios is not None
    assert {"a", "b"} <= set(ratios)
    assert pairs.measured == [("head", ("a", "b")), ("head", ("a",))]
    assert (found.broken, len(found.pairs), set(found.pairs[0].base)) == ({}, 1, {"a", "b"})


def test_a_case_that_fails_again_is_broken_and_the_rest_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """It failed in two pairs, and only on head, so it is lost there."""
    pairs = Pairs({0: (FAILS, {}), 3: (FAILS, {})})
    found = measuring(monkeypatch, pairs)
    assert all(found.draw(["a", "b"]) is not None for _ in range(2))
    drawn = found.draw(["a", "b"])
    assert drawn is not None
    assert "a" not in drawn
    assert "b" in drawn
    assert found.broken == {"a": Failure("head", "AssertionError: once")}
    assert (found.lost, found.cases) == (("a",), ["b"])


def test_a_case_that_was_stopped_is_not_waited_for_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cases after it in its process are measured in another one."""
    why = "it had not ended after 7 s, and was stopped"
    pairs = Pairs({0: ({"a": Outcome("failed", why), "b": None}, {"stopped": why})})
    found = measuring(monkeypatch, pairs)
    drawn = found.draw(["a", "b"])
    assert drawn is not None
    assert "b" in drawn
    assert list(found.broken) == ["a"]
    assert pairs.measured[1:] == [("head", ("b",))]


def test_a_process_in_which_nothing_begins_breaks_its_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is tried twice, and the reason is its output."""
    nothing: dict[str, Outcome | None] = {"a": None, "b": None}
    fields = {"output": "ERROR: no server\n"}
    pairs = Pairs({0: (nothing, fields), 1: (nothing, fields)})
    found = measuring(monkeypatch, pairs)
    found.draw(["a", "b"])
    assert found.broken == dict.fromkeys(("a", "b"), Failure("head", "ERROR: no server"))
    assert found.pairs == []


def test_a_process_that_is_stopped_before_anything_begins_is_not_waited_for_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The reason is that it was stopped, whatever it printed."""
    why = "it had not begun after 5 s, and was stopped"
    pairs = Pairs({0: ({"a": None}, {"stopped": why, "output": "ERROR: no server\n", "broken": {"": "no server"}})})
    found = measuring(monkeypatch, pairs, ["a"])
    found.draw(["a"])
    assert found.broken == {"a": Failure("head", why, endless=True)}
    assert len(pairs.measured) == 1


def test_a_rule_of_a_single_analysis_fits_into_a_budget_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its only analysis stands in for the second of all; no case is left out."""
    monkeypatch.setattr("benchmarks.regression.measuring.measure_pair", Pairs({}))
    rule = Rule(interim_analyses=(3,))
    found = PairMeasuring((BASE, HEAD), ["a"], Budget(60.0), lambda _: None, TimeLimits(turn_seconds=7.0), rule)
    found.noise_floor()
    assert (found.cases, found.not_judged, found.why_not_judged) == (["a"], [], "")


def test_a_budget_that_ends_within_a_pair_ends_the_measuring(monkeypatch: pytest.MonkeyPatch) -> None:
    """That pair does not count; without a noise floor there is no verdict, and the refusal names the remedy."""
    calls = iter(range(2))

    def over(*_: object, **__: object) -> None:
        next(calls)
        raise BudgetOver

    found = measuring(monkeypatch, over)
    assert found.draw(["a"]) is None
    assert found.pairs == []
    with pytest.raises(ValueError, match=r"--budget is 60s.*give more, or a smaller --suite"):
        found.noise_floor()


def test_the_other_cases_are_judged_where_one_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other case is twice as slow, and that is found."""
    found = measuring(monkeypatch, Pairs({0: (FAILS, {}), 4: (FAILS, {})}))
    floor = found.noise_floor()
    decision = decide(RULE, found.draw, found.cases, thresholds=Thresholds({"a": 0.03, "b": 0.03}, floor))
    assert decision.slower == ("b",)
    assert list(decision.final) == ["b"]
    assert list(found.broken) == ["a"]


def test_a_suite_whose_cases_all_break_has_no_judgement(monkeypatch: pytest.MonkeyPatch) -> None:
    """The budget is not blamed for it."""
    found = measuring(monkeypatch, Pairs({number: (FAILS, {}) for number in range(9)}), ["a"])
    assert found.noise_floor()(3) > 1
    assert decide(RULE, found.draw, found.cases, thresholds=thresholds("a")).final == {}
    assert list(found.broken) == ["a"]


def test_an_unfit_machine_is_said_early_and_changes_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each warning comes once, with the pair that gives cause for it; the pairs and the decision stay the same."""
    said: list[str] = []
    controls = [1.0, 1.0, 1.0, 1.05, 0.93, *[2.0, 0.5] * 5]
    noisy = measuring(monkeypatch, Pairs({}, controls), ["a"], said.append)
    decisions = [decide(RULE, noisy.draw, ["a"], thresholds=thresholds("a"))]
    assert len(noisy.pairs) == RULE.interim_analyses[0] + RULE.confirmation_pairs
    warned = [number for number, each in enumerate(said) if "the machine is unfit" in each]
    assert [said[number - 1].partition(":")[0] for number in warned] == ["pair 5", "pair 6"]
    assert [said[number].partition(":")[0] for number in warned] == [
        "so far the machine is unfit to judge on",
        "the machine is unfit to judge on, whatever further pairs give",
    ]
    quiet = measuring(monkeypatch, Pairs({}), ["a"])
    decisions.append(decide(RULE, quiet.draw, ["a"], thresholds=thresholds("a")))
    assert decisions[0] == decisions[1]
    assert decisions[0].slower == ("a",)


def test_a_wait_may_take_a_part_of_the_budget_and_then_a_multiple_of_the_dry_run() -> None:
    """A limit is never so short that a busy machine exceeds it."""
    assert dry_run_limits(300.0, 9.0) == TimeLimits(start_seconds=300.0, turn_seconds=30.0, deadline=9.0)
    assert dry_run_limits(15.0, 9.0).turn_seconds == 5.0
    dry_runs = [record({}, start_seconds=2.0, turn_seconds=0.1), record({}, start_seconds=0.1, turn_seconds=3.0)]
    assert pair_limits(dry_runs, 9.0) == TimeLimits(start_seconds=20.0, turn_seconds=30.0, deadline=9.0)


def test_a_budget_too_short_for_all_cases_is_spent_on_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are the ones that matter most; the rest is told before anything is measured, with the remedy."""
    said: list[str] = []
    cases = [f"case {number}" for number in range(100)]
    found = measuring(monkeypatch, Pairs({}), cases, said.append)
    found.noise_floor()
    # A minute has six pairs of 0.8 s a case.
    assert found.cases == cases[:12]
    assert found.not_judged == cases[12:]
    assert said[0].startswith("88 cases will not be judged: the budget of 60 s is long enough for 12 cases: give more")
    assert said[1].startswith("12 cases; the noise floor")


def test_slow_cases_leave_fewer_within_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first pair shows how long a case takes; where not even one fits, the refusal names the time it needs."""
    now = [0.0]
    monkeypatch.setattr("benchmarks.regression.measuring.time.monotonic", lambda: now[0])

    class Slow(Pairs):
        def __call__(self, *sides: Any, **given: Any) -> Any:
            now[0] += 1.0 + seconds * len(sides[2])
            return super().__call__(*sides, **given)

    seconds = 3.0
    monkeypatch.setattr("benchmarks.regression.measuring.measure_pair", Slow({}))
    found = PairMeasuring(
        (BASE, HEAD),
        [f"{number}" for number in range(10)],
        Budget(100.0),
        lambda _: None,
        TimeLimits(turn_seconds=7.0),
        RULE,
        start_seconds=1.0,
    )
    found.noise_floor()
    # 31 s are spent and 69 s left: five pairs of 13.8 s, 1 s of it to start, and 3 s a case. With fewer than eight
    # cases the noise floor takes a second pair, of 13 s: 56 s for five pairs of 11.2 s.
    assert found.cases == ["0", "1", "2"]
    assert found.not_judged == [f"{number}" for number in range(3, 10)]
    assert len(found.floor_pairs) == 2
    seconds = 50.0
    with pytest.raises(ValueError, match=r"a pair of processes 51 s, so a verdict needs 255s at least"):
        PairMeasuring((BASE, HEAD), ["a"], Budget(100.0), print, TimeLimits(turn_seconds=7.0), RULE).noise_floor()


@pytest.mark.parametrize("first", [1.2, 1 / 1.2])
def test_a_machine_that_is_unfit_from_the_first_pair_is_said_then(
    first: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pair of base against itself shows it, before any pair of both, whichever side the machine held up."""
    said: list[str] = []
    found = measuring(monkeypatch, Pairs({}, [first, *[1.0] * 9]), ["a"], said.append)
    found.noise_floor()
    warned = [each for each in said if "unfit" in each]
    assert len(warned) == 1
    assert "differed by 20% between the sides of the first pair" in warned[0]
    quiet: list[str] = []
    measuring(monkeypatch, Pairs({}, [1.04] * 9), ["a"], quiet.append).noise_floor()
    assert not [each for each in quiet if "unfit" in each]


def test_each_pair_has_a_number_of_its_own_and_the_settings_of_regress(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the noise floor and those that complete a pair count, too: no two have the same layout."""
    given: list[tuple[Side, Side, int, int, float]] = []
    pairs = Pairs({2: (FAILS, {})})

    def measure(base: Side, head: Side, cases: Sequence[str], **options: Any) -> Any:
        given.append((base, head, options["number"], options["repetitions"], options["seconds_a_case"]))
        return pairs(base, head, cases, **options)

    said: list[str] = []
    found = measuring(monkeypatch, measure, say=said.append)
    other = dataclasses.replace(HEAD, folder=Path("head"))
    found.both = (BASE, other)
    found.noise_floor()
    for cases in (["a", "b"], ["b"]):
        assert found.draw(cases) is not None
    again = dataclasses.replace(BASE, name="base again")
    floor = [(BASE, again, number, REPETITIONS, SECONDS_A_CASE) for number in range(2)]
    assert given == [*floor, *((BASE, other, number, REPETITIONS, SECONDS_A_CASE) for number in (2, 3, 4))]
    assert said == [
        "2 cases; the noise floor: base against itself",
        "a failed on head: AssertionError: once",
        "pair 1: 2 cases, at most 60 s left",
        "pair 2: 1 case, at most 60 s left",
    ]
    assert (len(found.floor_pairs), len(found.pairs)) == (2, 2)


class Answers:
    """A stand-in for `measure_pair`: the records of both processes; case `a` has a time on one side at most."""

    def __init__(self, base: ProcessRecord, head: ProcessRecord, timed: str = "") -> None:
        self.records, self.timed = (base, head), timed
        self.measured = 0

    def __call__(self, *_: object, **__: object) -> tuple[ProcessPair, ProcessRecord, ProcessRecord]:
        self.measured += 1
        base, head = ({"a": (1.0,)} if name == self.timed else {} for name in ("base", "head"))
        return ProcessPair(base, head, CONTROLS, CONTROLS), *self.records


PASSES = record({"a": "passed"})


@pytest.mark.parametrize(
    ("base", "head", "failure", "measured"),
    [
        (record({"a": Outcome("failed", "x")}), record({"a": "failed"}), Failure("base", "x"), 2),
        (record({"a": "skipped"}), PASSES, Failure("base", "why"), 2),
        (PASSES, record({"a": "skipped"}), Failure("head", "why"), 2),
        (PASSES, PASSES, Failure("base", "it passed, and no round of it had a time above 0 s"), 2),
        (PASSES, record({}, broken={"": "no module"}, output="end"), Failure("head", "no module"), 2),
        (record({}, output="first\nlast"), record({}, output="other"), Failure("base", "last"), 2),
        (record({}, stopped="too long", broken={"": "x"}), PASSES, Failure("base", "too long", endless=True), 1),
        (PASSES, record({"a": "failed"}, stopped="why"), Failure("head", "why", endless=True), 1),
        (PASSES, record({"a": "failed"}, stopped="another"), Failure("head", "why"), 2),
    ],
)
@pytest.mark.parametrize("timed", ["", "base", "head"])
def test_a_case_without_a_time_on_a_side_breaks_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
    base: ProcessRecord,
    head: ProcessRecord,
    failure: Failure,
    measured: int,
    timed: str,
) -> None:
    """Base counts where both failed; a case that its process was stopped for is not measured again."""
    answers, said = Answers(base, head, timed), list[str]()
    found = measuring(monkeypatch, answers, ["a"], said.append)
    assert found.draw(["a"]) is not None
    assert found.broken == {"a": failure}
    assert (found.pairs, found.cases, answers.measured) == ([], [], measured)
    assert said == [f"a failed on {failure.side}: {failure.reason}"] * measured
    assert found.lost == (("a",) if failure.side == "head" else ())


def test_a_case_that_was_not_reached_has_not_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another one ended the process before it; it is measured again as often as it takes."""
    ended = {"a": Outcome("failed", "it died"), "b": None}
    found = measuring(monkeypatch, Pairs({0: (ended, {}), 1: (ended, {})}))
    drawn = found.draw(["a", "b"])
    assert drawn is not None
    assert list(found.broken) == ["a"]
    assert found.cases == ["b"]
    assert "b" in drawn


class Clocked(Pairs):
    """Pairs that take `start` seconds and `each` second a case, on a clock of their own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, start: float, each: float, events: Events) -> None:
        super().__init__(events)
        self.start, self.each, self.now = start, each, 1000.0
        monkeypatch.setattr("benchmarks.regression.measuring.time.monotonic", lambda: self.now)
        monkeypatch.setattr("benchmarks.regression.measuring.measure_pair", self)

    def __call__(self, base: Side, head: Side, cases: Sequence[str], **options: Any) -> Any:
        self.now += self.start + self.each * len(cases)
        return super().__call__(base, head, cases, **options)


def test_a_pair_is_drawn_where_it_is_expected_to_end_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of each pair is spent, also of one that completes another; a pair of fewer cases may still fit."""
    pairs = Clocked(monkeypatch, 1.0, 2.0, {1: (FAILS, {})})
    said: list[str] = []
    both = PairMeasuring((BASE, HEAD), ["a", "b"], Budget(23.0), said.append, TimeLimits(turn_seconds=7.0), RULE)
    # They take 5 s, 5 s and 3 s, 5 s, and 5 s.
    assert all(both.draw(["a", "b"]) is not None for _ in range(4))
    assert both.draw(["b"]) is None
    assert said[-1] == "pair 4: 2 cases, at most 0 s left"
    assert len(pairs.measured) == 5
    pairs.events = {}
    less = PairMeasuring((BASE, HEAD), ["a", "b"], Budget(12.0), said.append, TimeLimits(turn_seconds=7.0), RULE)
    drawn = [less.draw(cases) is not None for cases in (["a", "b"], ["b"], ["a", "b"], ["b"], ["b"])]
    assert drawn == [True, True, False, True, False]


def refusal(budget: Budget, *cases: str, start_seconds: float = 0.0) -> str:
    """Why the noise floor of these cases cannot be measured within the budget."""
    found = PairMeasuring(
        (BASE, HEAD), cases, budget, lambda _: None, TimeLimits(turn_seconds=7.0), RULE, start_seconds
    )
    with pytest.raises(ValueError, match="--budget") as refused:
        found.noise_floor()
    return str(refused.value)


def test_a_budget_without_room_for_a_first_analysis_names_the_one_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two pairs for the noise floor and three to judge by, beside the dry runs; just enough is enough."""
    Clocked(monkeypatch, 0.0, 2.5, {})
    why = (
        "--budget is 20s; the dry run of both takes 8 s and a pair of processes 2 s, so a verdict needs 21s at least: "
        "give more, or a smaller --suite"
    )
    assert refusal(Budget(20.0, spent=8.0), "a") == why
    enough = PairMeasuring((BASE, HEAD), "a", Budget(20.5, spent=8.0), print, TimeLimits(turn_seconds=7.0), RULE)
    enough.noise_floor()
    assert enough.cases == ["a"]


def test_a_budget_that_ends_in_the_noise_floor_is_told_with_what_the_dry_runs_took(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All of the budget is spent then."""
    calls = iter(range(1))

    def over(*_: object, **__: object) -> None:
        next(calls)
        raise BudgetOver

    monkeypatch.setattr("benchmarks.regression.measuring.measure_pair", over)
    budget = Budget(60.0, spent=8.0)
    assert refusal(budget, "a") == (
        "--budget is 60s, of which the dry run of both took 8 s; the rest ended before base was measured against "
        "itself: give more, or a smaller --suite"
    )
    assert budget.left == 0.0


def test_the_noise_floor_takes_one_pair_of_many_cases_and_two_of_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """It rests on eight log ratios at least, where there are so many."""
    assert [floor_pairs(cases) for cases in (1, 7, 8, 100)] == [2, 2, 1, 1]
    for number, pairs in ((7, 2), (8, 1)):
        found = measuring(monkeypatch, Pairs({}), [f"{case}" for case in range(number)])
        found.noise_floor()
        assert len(found.floor_pairs) == pairs


def test_a_case_that_breaks_in_the_noise_floor_has_no_part_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The floor is that of the others; without another there is none, and nothing is to be judged."""
    events: Events = {number: (FAILS, {}) for number in (0, 1)}
    found = measuring(monkeypatch, Pairs(events))
    floor = found.noise_floor()
    assert found.cases == ["b"]
    same = [math.log1p(NOISE[0]), math.log1p(NOISE[2])]
    assert floor(5) == pytest.approx(noise_floor(same)(5))
    alone = measuring(monkeypatch, Pairs(events), ["a"])
    assert alone.noise_floor()(5) == math.inf
    assert (alone.cases, alone.floor_pairs, list(alone.broken)) == ([], [], ["a"])


def test_cases_that_are_left_out_later_come_before_those_left_out_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """All keep their order; the reason has the number that is left, and is said each time."""
    Clocked(monkeypatch, 1.0, 3.0, {})
    said: list[str] = []
    cases = [f"{number}" for number in range(20)]
    found = PairMeasuring(
        (BASE, HEAD), cases, Budget(60.0), said.append, TimeLimits(turn_seconds=7.0), RULE, start_seconds=1.0
    )
    found.noise_floor()
    # Six pairs of 10 s, a second of it to start, have eleven cases of 0.8 s. The first pair takes 34 s, which leaves
    # 26 s for five pairs of 5.2 s: one case of 3 s.
    why = "the budget of 60 s is long enough for {}: give more, or name those that matter by --first"
    assert said == [
        f"9 cases will not be judged: {why.format('11 cases')}",
        "11 cases; the noise floor: base against itself",
        f"10 cases will not be judged: {why.format('1 case')}",
    ]
    assert (found.cases, found.not_judged) == (cases[:1], cases[1:])
    assert found.why_not_judged == why.format("1 case")


def test_the_rule_settles_how_many_pairs_a_budget_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its first analysis has to fit in, and cases are left out for its second; the usual rule is that of `regress`."""
    Clocked(monkeypatch, 0.0, 4.0, {})
    limits = TimeLimits(turn_seconds=7.0)
    for rule, needs in ((None, 20), (Rule(interim_analyses=(6, 7)), 32)):
        short = PairMeasuring((BASE, HEAD), ["a"], Budget(10.0), lambda _: None, limits, rule)
        with pytest.raises(ValueError, match=f"so a verdict needs {needs}s at least"):
            short.noise_floor()
    # Six pairs of 0.8 s a case, or eight, in a minute.
    cases = [f"{number}" for number in range(20)]
    for rule, kept in ((None, 12), (Rule(interim_analyses=(6, 7)), 9)):
        pairs = Clocked(monkeypatch, 0.0, 0.0, {})
        found = PairMeasuring((BASE, HEAD), cases, Budget(60.0), lambda _: None, limits, rule)
        found.noise_floor()
        assert (len(found.cases), len(pairs.measured)) == (kept, 1)


def test_a_start_is_taken_for_half_of_a_pair_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """The dry run began late, and the pairs do not."""
    Clocked(monkeypatch, 0.0, 3.0, {})
    limits = TimeLimits(turn_seconds=7.0)
    found = PairMeasuring((BASE, HEAD), "abcd", Budget(100.0), lambda _: None, limits, RULE, start_seconds=10.0)
    found.noise_floor()
    # The first pair takes 12 s, 6 s of it for the cases. 88 s are left for six pairs of 14.7 s, in which three cases of
    # 1.5 s fit after a start of 10 s.
    assert (found.cases, found.not_judged) == (["a", "b", "c"], ["d"])


def test_three_pairs_are_judged_by_their_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four percent in a single pair are no warning; three pairs that agree on them are one."""
    said: list[str] = []
    found = measuring(monkeypatch, Pairs({}, [1.04] * 9), ["a"], said.append)
    for _ in range(4):
        found.draw(["a"])
    assert [each.partition(":")[0] for each in said] == [
        *("pair 1", "pair 2", "pair 3", "so far the machine is unfit to judge on", "pair 4")
    ]
