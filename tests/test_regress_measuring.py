"""`regress`: cases that fail while pairs are measured drop out, and the others are judged."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks.regression.judging.budget import Budget
from benchmarks.regression.judging.stopping import Rule, decide
from benchmarks.regression.judging.verdicts import Thresholds
from benchmarks.regression.measuring import Failure, PairMeasuring, dry_run_limits, pair_limits
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

    def over(*_: object, **__: object) -> None:
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
    dry_runs = [record({}, start_seconds=1.0, turn_seconds=0.1), record({}, start_seconds=0.1, turn_seconds=2.0)]
    assert pair_limits(dry_runs, 9.0) == TimeLimits(start_seconds=10.0, turn_seconds=20.0, deadline=9.0)


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
