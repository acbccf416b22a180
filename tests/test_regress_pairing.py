"""`regress`: from the times of two processes to the log ratios of their pair."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks.regression.processes import pairing
from benchmarks.regression.processes.control import ControlTimes
from benchmarks.regression.processes.pairing import CONTROLS, ProcessPair, first_decile, measure_pair, slice_times
from benchmarks.regression.processes.process_record import ProcessRecord
from benchmarks.regression.processes.pytest_command import Side
from benchmarks.regression.processes.suite_process import TimeLimits
from tests.synthetic_records import record, rounds

PAIR = ProcessPair(
    {"a": (1.0, 2.0, 4.0), "on base": (1.0,)},
    {"a": (2.0, 6.0, 8.0), "on head": (1.0,)},
    (ControlTimes(1.0, 5.0), ControlTimes(2.0, 5.0), ControlTimes(1.0, 5.0)),
    (ControlTimes(1.1, 4.0), ControlTimes(2.2, 4.0), ControlTimes(9.0, 4.0)),
)


def test_a_pair_has_the_median_log_ratio_of_each_case_and_each_part_of_the_control() -> None:
    """A case of one side has none, and neither has a control that was not measured."""
    assert PAIR.log_ratios() == pytest.approx(
        {"a": math.log(2), CONTROLS[0]: math.log(1.1), CONTROLS[1]: math.log(0.8)}
    )
    assert ProcessPair(PAIR.base, PAIR.head, (), ()).log_ratios() == pytest.approx({"a": math.log(2)})


def test_a_pair_completes_another_with_its_cases_and_controls() -> None:
    """A case that both have has the times of the second."""
    second = ProcessPair(
        {"a": (3.0,), "b": (5.0,)}, {"a": (4.0,), "b": (6.0,)}, (ControlTimes(7.0, 7.0),), (ControlTimes(8.0, 8.0),)
    )
    joined = PAIR.joined(second)
    assert joined.base == {"a": (3.0,), "on base": (1.0,), "b": (5.0,)}
    assert joined.head == {"a": (4.0,), "on head": (1.0,), "b": (6.0,)}
    assert joined.base_control == (*PAIR.base_control, ControlTimes(7.0, 7.0))
    assert joined.head_control == (*PAIR.head_control, ControlTimes(8.0, 8.0))


def test_a_pair_is_read_as_it_was_written() -> None:
    """Tuples are lists in JSON."""
    assert ProcessPair.from_json(PAIR.to_json()) == PAIR


def test_the_first_decile_is_that_of_all_rounds() -> None:
    """Of ten rounds it is the second, of nine the first."""
    assert [first_decile(list(map(float, range(count)))) for count in (1, 9, 10, 19, 20)] == [0.0, 0.0, 1.0, 1.0, 2.0]
    assert first_decile([3.0, 1.0, 2.0]) == 1.0


def test_cases_without_a_time_slice_in_common_have_no_times() -> None:
    """The cases after one of them have."""
    together = [rounds([9.0]), rounds([1.0, 2.0], [1, 2])]
    base, head = (
        record(
            dict.fromkeys(cases, "passed"),
            repetitions={"early": [rounds([9.0]), rounds([1.0], [place])], "late": together, "one": together[:1]},
        )
        for place, cases in enumerate([("failed", "early", "late", "one"), ("early", "late", "one")])
    )
    assert slice_times([base, head]) == [{"late": (1.0, 2.0)}] * 2


def test_only_controls_beside_turns_of_both_sides_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """One process ended early, and the turns of the other went on; the arguments are handed on."""
    side = Side("base", Path(), sys.executable, "speed")
    ended, whole = record({"a": "passed"}), record({"a": "passed"})
    given: dict[str, Any] = {}

    def measure(sides: Sequence[Side], cases: Sequence[str], **more: Any) -> tuple[list[ProcessRecord], list[Any]]:
        given.update(more, sides=sides, cases=cases)
        return [ended, whole], [PAIR.base_control[:2], PAIR.head_control]

    monkeypatch.setattr(pairing, "measure_together", measure)
    limits = TimeLimits(turn_seconds=7.0)
    pair, *records = measure_pair(side, side, ["a"], number=3, repetitions=2, seconds_a_case=0.3, limits=limits)
    assert (pair.base_control, pair.head_control) == (PAIR.base_control[:2], PAIR.head_control[:2])
    assert records == [ended, whole]
    assert given == {
        "sides": (side, side),
        "cases": ["a"],
        "number": 3,
        "repetitions": 2,
        "seconds_a_case": 0.3,
        "limits": limits,
    }
