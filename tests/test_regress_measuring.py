"""`regress`: what fails while pairs are measured drops out, and the rest is judged."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks.regression.budget import Budget
from benchmarks.regression.control import Control
from benchmarks.regression.measuring import Measuring, first_limits, pair_limits
from benchmarks.regression.pairing import Pair
from benchmarks.regression.session import BudgetOver, Limits, Side
from benchmarks.regression.session_record import Measured
from benchmarks.regression.stopping import Rule, decide
from tests.synthetic_ratios import NOISE

BASE = Side("base", Path(), sys.executable, "speed")
HEAD = dataclasses.replace(BASE, name="head")
CONTROLS = (Control(1.0, 1.0),)
RULE = Rule(looks=(3, 5), confirmation_pairs=3)


def process(outcomes: Mapping[str, tuple[str, str]], **fields: Any) -> Measured:
    """A process of a side, with these outcomes."""
    return Measured({}, {}, outcomes, {}, {}, **{"status": 0, "output": "", **fields})


class Pairs:
    """Stands for `measure_pair`: head is twice as slow; `events` are {number of the pair: (head's outcomes, fields)}.

    A case whose outcome is not given there passes, or is not reached where it is None.
    """

    def __init__(self, events: Mapping[int, tuple[Mapping[str, tuple[str, str] | None], Mapping[str, Any]]]) -> None:
        self.events = events
        self.measured: list[tuple[str, tuple[str, ...]]] = []

    def __call__(
        self, base: Side, head: Side, cases: Sequence[str], *, number: int, limits: Limits, **_: object
    ) -> tuple[Pair, Measured, Measured]:
        """One pair."""
        assert limits.turn_seconds == 7.0
        self.measured.append((head.name, tuple(cases)))
        changed, fields = self.events.get(number, ({}, {}))
        given = {case: changed.get(case, ("passed", "")) for case in cases}
        outcomes = {case: outcome for case, outcome in given.items() if outcome is not None}
        works = [case for case, outcome in outcomes.items() if outcome == ("passed", "")]
        slower = 2.0 if head.name == "head" else 1.0
        times = dict.fromkeys(works, (1.0,)), dict.fromkeys(works, (slower * (1 + NOISE[number]),))
        passed = process(dict.fromkeys(cases, ("passed", "")))
        return Pair(*times, CONTROLS, CONTROLS), passed, process(outcomes, **fields)


def measuring(monkeypatch: pytest.MonkeyPatch, pairs: Any, cases: Sequence[str] = ("a", "b")) -> Measuring:
    """What measures these pairs."""
    monkeypatch.setattr("benchmarks.regression.measuring.measure_pair", pairs)
    return Measuring((BASE, HEAD), cases, Budget(60.0), lambda _: None, Limits(turn_seconds=7.0))


FAILS = {"a": ("failed", "AssertionError: once")}


def test_a_case_that_fails_once_is_measured_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """By itself, in a pair that completes the first."""
    pairs = Pairs({0: (FAILS, {})})
    found = measuring(monkeypatch, pairs)
    ratios = found.draw(["a", "b"])
    assert ratios is not None
    assert {"a", "b"} <= set(ratios)
    assert pairs.measured == [("head", ("a", "b")), ("head", ("a",))]
    assert (found.broken, len(found.pairs), set(found.pairs[0].base)) == ({}, 1, {"a", "b"})


def test_a_case_that_fails_again_is_broken_and_the_rest_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the same pair or in a later one; it is lost by head, where it failed."""
    pairs = Pairs({0: (FAILS, {}), 3: (FAILS, {})})
    found = measuring(monkeypatch, pairs)
    assert all(found.draw(["a", "b"]) is not None for _ in range(2))
    drawn = found.draw(["a", "b"])
    assert drawn is not None
    assert "a" not in drawn
    assert "b" in drawn
    assert found.broken == {"a": ("head", "AssertionError: once")}
    assert (found.lost, found.cases) == (("a",), ["b"])


def test_a_case_that_was_stopped_is_not_waited_for_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """And what would have come after it in its process is measured in another."""
    stopped = {"a": ("failed", "it had not ended after 7 s, and was stopped"), "b": None}
    pairs = Pairs({0: (stopped, {"stopped": stopped["a"][1]})})  # type: ignore[index]  # "a" has an outcome
    found = measuring(monkeypatch, pairs)
    drawn = found.draw(["a", "b"])
    assert drawn is not None
    assert "b" in drawn
    assert list(found.broken) == ["a"]
    assert pairs.measured[1:] == [("head", ("b",))]


def test_a_process_in_which_nothing_begins_breaks_its_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what it said, and after a second trial."""
    nothing: dict[str, tuple[str, str] | None] = {"a": None, "b": None}
    fields = {"output": "ERROR: no server\n"}
    pairs = Pairs({0: (nothing, fields), 1: (nothing, fields)})
    found = measuring(monkeypatch, pairs)
    found.draw(["a", "b"])
    assert found.broken == dict.fromkeys(("a", "b"), ("head", "ERROR: no server"))
    assert found.pairs == []


def test_a_budget_that_ends_within_a_pair_ends_the_measuring(monkeypatch: pytest.MonkeyPatch) -> None:
    """That pair does not count; without a floor there is no verdict, and the refusal says what to give."""

    def over(*_: object, **__: object) -> None:
        raise BudgetOver

    found = measuring(monkeypatch, over)
    assert found.draw(["a"]) is None
    assert found.pairs == []
    with pytest.raises(ValueError, match=r"--budget is 60s.*give more, or a smaller --suite"):
        found.floor(RULE)


def test_the_rest_is_judged_where_a_case_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the floor to the verdict: the other case is twice as slow, and that is found."""
    found = measuring(monkeypatch, Pairs({0: (FAILS, {}), 4: (FAILS, {})}))
    floor_of = found.floor(RULE)
    outcome = decide(RULE, found.draw, found.cases, tolerances={"a": 0.03, "b": 0.03}, floor_of=floor_of)
    assert outcome.slower == ("b",)
    assert list(outcome.final) == ["b"]
    assert list(found.broken) == ["a"]


def test_a_suite_all_of_whose_cases_break_has_no_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is the budget blamed."""
    found = measuring(monkeypatch, Pairs({number: (FAILS, {}) for number in range(9)}), ["a"])
    assert found.floor(RULE)(3) > 1
    outcome = decide(RULE, found.draw, found.cases, tolerances={"a": 0.03}, floor_of=lambda _: 0.0)
    assert outcome.final == {}
    assert list(found.broken) == ["a"]


def test_a_wait_may_take_a_part_of_the_budget_and_then_what_it_took_before() -> None:
    """Never so little that a busy machine exceeds it."""
    assert first_limits(300.0, 9.0) == Limits(start_seconds=300.0, turn_seconds=30.0, deadline=9.0)
    assert first_limits(15.0, 9.0).turn_seconds == 5.0
    took = [process({}, start_seconds=1.0, turn_seconds=0.1), process({}, start_seconds=0.1, turn_seconds=2.0)]
    assert pair_limits(took, 9.0) == Limits(start_seconds=10.0, turn_seconds=20.0, deadline=9.0)
