"""`regress`: the turns of processes that are measured together, and from their times to the log ratios of a pair."""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks.regression.processes import pairing
from benchmarks.regression.processes.control import ControlTimes
from benchmarks.regression.processes.outcomes import PASSED, Outcome
from benchmarks.regression.processes.pairing import (
    CONTROLS,
    ProcessPair,
    first_decile,
    log_ratio,
    measure_pair,
    measure_together,
    slice_times,
)
from benchmarks.regression.processes.process_record import ProcessRecord
from benchmarks.regression.processes.pytest_command import Side
from benchmarks.regression.processes.suite_process import WARM_UP_REPETITIONS, WITHIN_A_TEST, TimeLimits
from tests.synthetic_records import FAILED, record, rounds

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


def test_sides_with_other_numbers_of_time_slices_are_no_pair() -> None:
    """Slices of the same place are next to each other in time; one without a counterpart is not passed over."""
    for base, head in (((1.0,), (1.0, 2.0)), ((1.0, 2.0), (1.0,))):
        with pytest.raises(ValueError, match=r"zip\(\)"):
            log_ratio(base, head)


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
    """Neither has one that did not pass in each process, or that one of them did not repeat; those after it have."""
    together = [rounds([9.0]), rounds([1.0, 2.0], [1, 2])]
    fails: tuple[dict[str, Outcome], ...] = ({}, {"failed": FAILED})
    cases = ("failed", "idle", "early", "late", "one")
    base, head = (
        record(
            {**dict.fromkeys(cases, PASSED), **failed},
            repetitions={
                **({"failed": together, "idle": together} if not place else {}),
                "early": [rounds([9.0]), rounds([1.0], [place])],
                "late": together,
                "one": together[:1],
            },
        )
        for place, failed in enumerate(fails)
    )
    assert slice_times([base, head]) == [{"late": (1.0, 2.0)}] * 2


def test_repetitions_that_one_process_has_alone_do_not_count() -> None:
    """It ended a repetition that the other had not begun."""
    first, second = rounds([1.0, 2.0], [1, 2]), rounds([3.0])
    longer, shorter = (
        record({"a": "passed"}, repetitions={"a": [rounds([9.0]), *counted]}) for counted in ([first, second], [first])
    )
    assert slice_times([longer, shorter]) == slice_times([shorter, longer]) == [{"a": (1.0, 2.0)}] * 2


def test_only_controls_beside_turns_of_both_sides_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """One process ended early, and the turns of the other went on; the arguments are handed on."""
    side = Side("base", Path(), sys.executable, "speed")
    ended, whole = (
        record({"a": "passed"}, repetitions={"a": [rounds([9.0]), rounds([seconds])]}) for seconds in (1.0, 2.0)
    )
    given: dict[str, Any] = {}

    def measure(sides: Sequence[Side], cases: Sequence[str], **more: Any) -> tuple[list[ProcessRecord], list[Any]]:
        given.update(more, sides=sides, cases=cases)
        return [ended, whole], [PAIR.base_control[:2], PAIR.head_control]

    monkeypatch.setattr(pairing, "measure_together", measure)
    limits = TimeLimits(turn_seconds=7.0)
    pair, *records = measure_pair(side, side, ["a"], number=3, repetitions=2, seconds_a_case=0.3, limits=limits)
    assert (pair.base_control, pair.head_control) == (PAIR.base_control[:2], PAIR.head_control[:2])
    assert (pair.base, pair.head, records) == ({"a": (1.0,)}, {"a": (2.0,)}, [ended, whole])
    assert given == {
        "sides": (side, side),
        "cases": ["a"],
        "number": 3,
        "repetitions": 2,
        "seconds_a_case": 0.3,
        "limits": limits,
    }


class Processes:
    """Stand-ins for processes, by the name of their side: each announces what `scripts` has of it, then its end.

    `events` is all that was done to them, and the controls between; `started` are their arguments.
    """

    def __init__(self, scripts: Mapping[str, Sequence[str]]) -> None:
        self.scripts = {name: list(script) for name, script in scripts.items()}
        self.events: list[str] = []
        self.started: list[dict[str, Any]] = []

    def start(self, side: Side, **options: Any) -> _Process:
        """A process of a side."""
        self.started.append({"side": side, **options})
        return _Process(self, side.name)

    def control(self) -> ControlTimes:
        """A control, which takes as long as its number."""
        self.events.append("control")
        return ControlTimes(float(self.events.count("control")), 0.5)

    @contextlib.contextmanager
    def threads(self, limits: int) -> Iterator[None]:
        """The limit of this process's threads."""
        self.events.append(f"{limits} thread")
        yield
        self.events.append("all threads")

    def set_affinity(self, process: int, cores: Iterable[int]) -> None:
        """Keep this process on some cores."""
        self.events.append(f"process {process} on {sorted(cores)}")


class _Process:
    """One of them; a process that has announced its end can be given no turn."""

    def __init__(self, held: Processes, name: str) -> None:
        self.held, self.name, self.ended = held, name, False

    def __enter__(self) -> _Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.held.events.append(f"end {self.name}")

    def bind(self, core: int) -> None:
        self.held.events.append(f"bind {self.name} {core}")

    def next_turn(self) -> str | None:
        self.held.events.append(f"start {self.name}")
        return self._next()

    def turn(self) -> str | None:
        assert not self.ended
        self.held.events.append(f"turn {self.name}")
        return self._next()

    def finish(self) -> ProcessRecord:
        self.held.events.append(f"finish {self.name}")
        return record({self.name: "passed"})

    def _next(self) -> str | None:
        script = self.held.scripts[self.name]
        self.ended = not script
        return None if self.ended else script.pop(0)


LIMITS = TimeLimits(turn_seconds=7.0)


def together(
    monkeypatch: pytest.MonkeyPatch,
    scripts: Mapping[str, Sequence[str]],
    *,
    cases: Sequence[str],
    number: int = 0,
    repetitions: int = 15,
) -> tuple[Processes, list[ProcessRecord], list[tuple[ControlTimes, ...]]]:
    """Measure the cases in processes that announce what the scripts say."""
    held = Processes(scripts)
    monkeypatch.setattr(pairing, "SuiteProcess", held.start)
    monkeypatch.setattr(pairing, "threadpool_limits", held.threads)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 3}, raising=False)
    monkeypatch.setattr("os.sched_setaffinity", held.set_affinity, raising=False)
    sides = [Side(name, Path(), sys.executable, "speed") for name in scripts]
    measured = measure_together(
        sides,
        cases,
        number=number,
        repetitions=repetitions,
        seconds_a_case=0.25,
        limits=LIMITS,
        control=held.control,
    )
    return held, *measured


def test_processes_alternate_within_each_test_on_one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """All start; each test begins on one side after the other, and goes on in turns until both have ended it."""
    within = WITHIN_A_TEST
    scripts = {"a": ["one", within, within, "two"], "b": ["one", within, "two", within]}
    held, measured, controls = together(monkeypatch, scripts, cases=["one", "two"])
    assert held.events == [
        *("1 thread", "start a", "start b", "bind a 3", "bind b 3", "process 0 on [3]"),
        *("turn a", "control", "turn b", "control", "turn a", "turn b", "turn a"),
        *("turn a", "control", "turn b", "control", "turn b"),
        *("finish a", "finish b", "process 0 on [0, 3]", "end b", "end a", "all threads"),
    ]
    assert measured == [record({"a": "passed"}), record({"b": "passed"})]
    assert controls == [
        (ControlTimes(1.0, 0.5), ControlTimes(3.0, 0.5)),
        (ControlTimes(2.0, 0.5), ControlTimes(4.0, 0.5)),
    ]


@pytest.mark.parametrize(
    ("number", "expected"), [(0, "abc abc bca bca cab"), (1, "bca bca cab cab abc"), (5, "cab cab abc abc bca")]
)
def test_another_side_goes_first_in_each_repetition_and_in_each_pair(
    monkeypatch: pytest.MonkeyPatch, number: int, expected: str
) -> None:
    """With two cases a repetition has two tests."""
    scripts = {name: ["test"] * 5 for name in "abc"}
    held, *_ = together(monkeypatch, scripts, cases=["one", "two"], number=number)
    turns = [each.removeprefix("turn ") for each in held.events if each.startswith("turn")]
    assert " ".join("".join(turns[at : at + 3]) for at in range(0, len(turns), 3)) == expected


def test_a_process_that_ends_early_has_no_more_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other one goes on alone, with its controls."""
    held, _, controls = together(
        monkeypatch, {"a": ["one"], "b": ["one", WITHIN_A_TEST, "two", "three"]}, cases=["one"]
    )
    assert [each for each in held.events if each.startswith("turn")] == ["turn a", *["turn b"] * 4]
    assert [len(each) for each in controls] == [2, 6]


@pytest.mark.parametrize(
    ("repetitions", "cases", "expected"), [(1, 1, 30), (1, 4, 8), (2, 8, 2), (2, 15, 1), (3, 40, 1)]
)
def test_few_turns_have_more_controls_beside_them(
    monkeypatch: pytest.MonkeyPatch, repetitions: int, cases: int, expected: int
) -> None:
    """There are thirty of a side at least."""
    names = [f"{number}" for number in range(cases)]
    _, _, controls = together(monkeypatch, {"a": ["0"]}, cases=names, repetitions=repetitions)
    assert [len(each) for each in controls] == [expected]


def test_processes_are_started_with_the_settings_of_the_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    """They share a layout of their own; a repetition that warms up comes before those that count."""
    held, *_ = together(monkeypatch, {"a": ["one"], "b": ["one"]}, cases=["one"], number=4, repetitions=2)
    assert [each.pop("side").name for each in held.started] == ["a", "b"]
    settings = {"only": ["one"], "repetitions": WARM_UP_REPETITIONS + 2, "layout": 5, "limits": LIMITS}
    options = ("--benchmark-max-time=0.25", "--benchmark-min-rounds=3")
    assert held.started == [{**settings, "options": options}] * 2


def test_a_system_that_binds_no_process_measures_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only some systems let a process be kept on a core."""
    monkeypatch.delattr("os.sched_setaffinity", raising=False)
    held = Processes({"a": ["one"]})
    monkeypatch.setattr(pairing, "SuiteProcess", held.start)
    side = Side("a", Path(), sys.executable, "speed")
    measure_together([side], ["one"], number=0, repetitions=30, seconds_a_case=0.25, control=held.control)
    assert held.events == ["start a", "turn a", "control", "finish a", "end a"]
