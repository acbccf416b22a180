"""The groups of a history: what is prepared, which members are measured together, and what is recorded of each."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from benchmarks.history import folder as histories
from benchmarks.history import grouping
from benchmarks.history.grouping import (
    TOGETHER,
    NoBenchmarks,
    PreparedMembers,
    groups,
    measure_as_regress,
    measure_missing,
    new_record,
)
from benchmarks.history.record import CaseTimes, Measurement
from benchmarks.regression.measuring import REPETITIONS, SECONDS_A_CASE
from benchmarks.regression.processes.control import ControlTimes
from benchmarks.regression.processes.outcomes import PASSED, Outcome
from benchmarks.regression.processes.process_record import ProcessRecord
from benchmarks.regression.processes.pytest_command import Side
from tests.synthetic_records import record, rounds

REVISION = "0" * 40
WORKS = record({"one": "passed"})
ENDED = record({"one": "passed"}, repetitions={"one": [rounds([9.0]), rounds([1.0])]})
CONTROL = ControlTimes(product=1.0, loop=2.0)


@dataclasses.dataclass
class Plan:
    """A plan whose members are letters; the anchors are in the order given."""

    folder: Path
    anchor_order: Sequence[str] = ()
    processes: int = 3
    suite: str = "speed"
    suite_digest: str = "abcd"
    machine: str = "zen"
    system: Mapping[str, str] = dataclasses.field(default_factory=lambda: {"kernel": "6.1"})

    def anchors(self) -> list[str]:
        return list(self.anchor_order)

    def kept(self) -> list[Measurement]:
        """The processes in the history, in their order."""
        found, problems = histories.read(self.folder, self.machine)
        assert problems == []
        return found


class Prepared(PreparedMembers[Plan]):
    """Members with these dry runs, or reasons why they cannot be built; `asked` are those that were prepared."""

    def __init__(self, plan: Plan, dry_runs: Mapping[str, ProcessRecord | str]) -> None:
        self.said: list[str] = []
        super().__init__(plan, self.said.append)
        self.dry_runs = dry_runs
        self.asked: list[str] = []

    def record(self, member: str, failure: str | None = None) -> Measurement:
        made = new_record(self._plan, REVISION, {"engine": member}, failure)
        # Each record has another name and time, so that those of a group can be told apart.
        return dataclasses.replace(made, group=f"group of {member}", measured_at=f"time of {member}")

    def name(self, member: str) -> str:
        return f"member {member}"

    def _prepare(self, member: str) -> tuple[Side, ProcessRecord] | str:
        self.asked.append(member)
        found = self.dry_runs[member]
        return found if isinstance(found, str) else (Side(member, Path(member), "python", "speed"), found)


class Processes:
    """A stand-in for the processes of a group: those of side `a` take 1 s a call, of `b` 2 s, and so on."""

    def __init__(self, most: int = 99) -> None:
        self.most = most
        self.ran: list[tuple[int, str, str]] = []

    def __call__(
        self, sides: Sequence[Side], cases: Sequence[str], *, number: int
    ) -> tuple[list[ProcessRecord], list[list[ControlTimes]]]:
        """Measure one group: a repetition that warms up and one that counts."""
        if len(self.ran) == self.most:
            raise KeyboardInterrupt
        self.ran.append((number, "".join(side.name for side in sides), " ".join(cases)))
        found = []
        for side in sides:
            repetitions = [rounds([9.0]), rounds([1.0 + ord(side.name) - ord("a")])]
            found.append(record(dict.fromkeys(cases, PASSED), repetitions=dict.fromkeys(cases, repetitions)))
        return found, [[CONTROL]] * len(sides)


class Clock:
    """A clock that goes on by ten minutes whenever it is read."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        self.now += 600.0
        return self.now


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """A plan of three processes a member, without a history."""
    return Plan(tmp_path / "history")


def measured(plan: Plan, prepared: Prepared, missing: Mapping[str, int], measure: Processes) -> int:
    """Measure what is missing, ten minutes between two looks at the clock."""
    return measure_missing(plan, missing, prepared, prepared.said.append, measure=measure, clock=Clock())


@pytest.mark.parametrize(
    ("missing", "expected"),
    [
        ("a", ["a"]),
        ("ab", ["ab"]),
        ("abcd", ["abcd"]),
        ("abcde", ["abd", "ace"]),
        ("abcdefg", ["abdf", "aceg"]),
        ("abcdefgh", ["abeh", "acf", "adg"]),
        ("bcdefgh", ["abeh", "acf", "adg"]),
    ],
)
def test_a_round_has_each_member_once_and_the_anchor_in_every_group(missing: str, expected: list[str]) -> None:
    """A group has four processes at most; neighbours are apart wherever there are several groups."""
    found = list(groups(dict.fromkeys(missing, 2), "a"))
    assert [(number, "".join(members)) for number, members in found] == [
        (number, members) for number in range(2) for members in expected
    ]
    assert TOGETHER == 4


def test_a_round_has_only_the_members_that_lack_one_more() -> None:
    """The anchor goes first in each, also where it lacks fewer than the others or none."""
    found = list(groups({"b": 1, "a": 2, "c": 3, "d": 2, "e": 0}, "a"))
    assert found == [(0, ["a", "b", "c", "d"]), (1, ["a", "c", "d"]), (2, ["a", "c"])]
    assert list(groups({"b": 1}, "a")) == [(0, ["a", "b"])]
    assert list(groups({"a": 2, "b": 1}, "a")) == [(0, ["a", "b"]), (1, ["a"])]


def test_the_cases_of_a_member_are_those_that_pass_in_its_dry_run(plan: Plan) -> None:
    """Each member is prepared once; nothing is recorded of one that works."""
    some = record({"first": "passed", "second": "failed", "third": "skipped", "fourth": "passed"})
    prepared = Prepared(plan, {"a": some, "b": WORKS})
    assert [prepared.cases_of(member) for member in "aba"] == [["first", "fourth"], ["one"], ["first", "fourth"]]
    assert prepared.said == ["member a is ready: 2 cases", "member b is ready: 1 case"]
    assert (prepared.asked, prepared.failures) == (["a", "b"], 0)
    assert {member: side.folder for member, side in prepared.sides.items()} == {"a": Path("a"), "b": Path("b")}
    assert plan.kept() == []


LONG = "why " * 100


@pytest.mark.parametrize(
    ("dry_run", "why"),
    [
        pytest.param("no compiler", "no compiler", id="cannot be built"),
        pytest.param(ProcessRecord(broken={"speed": "no module"}, status=2), "no module", id="broken"),
        pytest.param(ProcessRecord(broken={"speed": "no module"}, status=0), "no module", id="broken, status 0"),
        pytest.param(ProcessRecord(broken={"speed": LONG}, status=2), LONG[:300], id="broken, at length"),
        pytest.param(record({"one": "failed"}, status=0), "why", id="failed"),
        pytest.param(record({"one": Outcome("failed", "")}, status=1, output="the end"), "the end", id="no reason"),
        pytest.param(record({"one": "failed"}, broken={"two": "no module"}, status=1), "no module", id="both"),
        pytest.param(record({"one": "skipped", "two": Outcome("failed", "x")}, status=1), "why", id="the first reason"),
        pytest.param(ProcessRecord(status=3, output="first\nlast\n \n"), "last", id="the last line"),
        pytest.param(ProcessRecord(status=4, output=LONG), LONG[:300], id="the last line, at length"),
        pytest.param(ProcessRecord(status=-9, output="\n \n"), "pytest ended with -9", id="no line"),
    ],
)
def test_a_member_that_cannot_run_the_suite_is_recorded_with_the_reason(
    plan: Plan, dry_run: ProcessRecord | str, why: str
) -> None:
    """That is done once, and said; 300 characters of it are kept."""
    prepared = Prepared(plan, {"a": dry_run})
    assert [prepared.cases_of("a"), prepared.cases_of("a")] == [[], []]
    assert prepared.said == [f"member a cannot run the suite: {why}"]
    (kept,) = plan.kept()
    assert kept == prepared.record("a", why)
    assert (kept.failure, kept.cases, kept.controls, prepared.failures) == (why, {}, {}, 1)
    prepared.dry_runs = {"a": dry_run, "b": dry_run}
    prepared.cases_of("b")
    assert prepared.failures == len(plan.kept()) == 2


@pytest.mark.parametrize("status", [0, 5])
@pytest.mark.parametrize(
    ("skipped", "because"),
    [
        ({}, ""),
        ({"one": "skipped", "two": Outcome("skipped", "another")}, " (skipped: why)"),
    ],
)
def test_a_suite_without_a_benchmark_is_refused(
    plan: Plan, status: int, skipped: Mapping[str, Outcome], because: str
) -> None:
    """The refusal names the suite and what is expected, and why tests were skipped; nothing is recorded."""
    prepared = Prepared(plan, {"a": record(skipped, status=status)})
    expected = "suite speed has no benchmark: expected tests that use pytest-benchmark's `benchmark` fixture"
    with pytest.raises(NoBenchmarks, match=f"^{re.escape(expected + because)}$"):
        prepared.cases_of("a")
    assert plan.kept() == []


def test_all_members_are_measured_beside_the_anchor_round_by_round(plan: Plan) -> None:
    """The first of three is recorded, so that rounds count from 1; the time left is judged by the groups so far."""
    plan.anchor_order, missing = "abcdef", dict.fromkeys("bcdef", 2)
    prepared, processes = Prepared(plan, dict.fromkeys("abcdef", WORKS)), Processes()
    assert measured(plan, prepared, missing, processes) == 14
    assert processes.ran == [(1, "abdf", "one"), (1, "ace", "one"), (2, "abdf", "one"), (2, "ace", "one")]
    assert prepared.said == [
        *(f"member {member} is ready: 1 case" for member in "abcdef"),
        "1 of 4 groups; about 30.0 minutes left",
        "2 of 4 groups; about 20.0 minutes left",
        "3 of 4 groups; about 10.0 minutes left",
        "4 of 4 groups; about 0.0 minutes left",
    ]
    assert "".join(each.packages["engine"] for each in plan.kept()) == "abdfaceabdface"


def test_a_process_is_recorded_with_its_own_fields_and_those_of_its_group(plan: Plan) -> None:
    """Name and beginning are those of the anchor's record; packages, times and controls are each process's own."""
    plan.anchor_order = "ab"
    measured(plan, Prepared(plan, {"a": WORKS, "b": WORKS}), {"a": 3, "b": 1}, Processes())
    together = {"group": "group of a", "measured_at": "time of a", "revision": REVISION, "suite": "speed"}
    together |= {"suite_digest": "abcd"}
    of = {
        member: Measurement(
            **together,
            packages={"engine": member},
            system={"kernel": "6.1"},
            cases={"one": CaseTimes(seconds, seconds, seconds, 1)},
            controls={"fixed matrix product": 1.0, "fixed Python loop": 2.0},
        )
        for member, seconds in (("a", 1.0), ("b", 2.0))
    }
    assert plan.kept() == [of["a"], of["b"], of["a"], of["a"]]


def test_a_group_measures_the_cases_of_all_its_members(plan: Plan) -> None:
    """Each case is named once, in the order of the members."""
    plan.anchor_order, processes = "a", Processes()
    cases = {"a": ("one", "two"), "b": ("three", "two"), "c": ("four",)}
    dry_runs = {member: record(dict.fromkeys(names, PASSED)) for member, names in cases.items()}
    measured(plan, Prepared(plan, dry_runs), {"b": 3, "c": 2}, processes)
    first, second = "one two three four", "one two three"
    assert processes.ran == [(0, "abc", first), (1, "abc", first), (2, "ab", second)]


def test_the_anchor_is_the_first_that_runs_and_failures_count(plan: Plan) -> None:
    """Of those that can be the anchor none is prepared after it; a missing member that fails is left out."""
    plan.anchor_order, processes = "abcd", Processes()
    dry_runs: dict[str, ProcessRecord | str] = {"a": "no compiler", "b": WORKS, "e": WORKS, "f": "no release"}
    prepared = Prepared(plan, dry_runs)
    assert measured(plan, prepared, {"e": 1, "f": 3}, processes) == 4
    assert (prepared.asked, processes.ran) == (["a", "b", "e", "f"], [(2, "be", "one")])
    assert [each.failure for each in plan.kept()] == ["no compiler", "no release", None, None]


@pytest.mark.parametrize(
    ("anchors", "dry_runs", "expected"),
    [
        ("a", {"a": WORKS, "b": "no compiler"}, 1),
        ("ab", {"a": "no compiler", "b": "no compiler"}, 2),
        ("", {"b": WORKS}, 0),
    ],
    ids=["no member", "neither", "no anchor"],
)
def test_nothing_is_measured_without_an_anchor_and_a_member_that_run(
    plan: Plan, anchors: str, dry_runs: Mapping[str, ProcessRecord | str], expected: int
) -> None:
    """What is recorded are the failures."""
    plan.anchor_order, processes = anchors, Processes()
    assert measured(plan, Prepared(plan, dry_runs), {"b": 2}, processes) == expected == len(plan.kept())
    assert processes.ran == []


def test_an_interrupt_keeps_the_groups_before(plan: Plan) -> None:
    """Each group is on disk before the next one begins."""
    plan.anchor_order = "a"
    prepared = Prepared(plan, dict.fromkeys("abcde", WORKS))
    with pytest.raises(KeyboardInterrupt):
        measured(plan, prepared, dict.fromkeys("bcde", 3), Processes(most=2))
    assert [each.packages["engine"] for each in plan.kept()] == [*"abd", *"ace"]


def one_group(plan: Plan, *found: ProcessRecord, controls: Sequence[Sequence[ControlTimes]] = ()) -> list[str]:
    """Measure one group of `a` and `b`, whose processes have these records; what is said of it."""

    def measure(
        sides: Sequence[Side], cases: Sequence[str], *, number: int
    ) -> tuple[Sequence[ProcessRecord], Sequence[Sequence[ControlTimes]]]:
        assert ([side.name for side in sides], cases, number) == (["a", "b"], ["one"], 2)
        return found, controls or [[CONTROL]] * len(sides)

    plan.anchor_order = "a"
    prepared, said = Prepared(plan, {"a": WORKS, "b": WORKS}), list[str]()
    recorded = measure_missing(plan, {"b": 1}, prepared, said.append, measure=measure, clock=Clock())
    assert recorded == len(plan.kept())
    return said


def test_only_repetitions_and_rounds_that_count_are_recorded(plan: Plan) -> None:
    """The first repetition warms up, one may have no round, and cases that did not pass have no times."""
    repetitions = {
        "one": [rounds([99.0]), rounds([3.0, 1.0]), [], rounds([2.0])],
        "failed": [rounds([99.0]), rounds([1.0])],
        "only warm": [rounds([99.0])],
        "empty": [rounds([99.0]), []],
    }
    full = record(
        {"one": "passed", "failed": "failed", "only warm": "passed", "empty": "passed", "no rounds": "passed"},
        repetitions=repetitions,
    )
    assert one_group(plan, full, full) == ["1 of 1 groups; about 0.0 minutes left"]
    for kept in plan.kept():
        assert kept.cases == {"one": CaseTimes(low_seconds=1.5, median_seconds=2.0, min_seconds=1.0, rounds=3)}


def test_the_controls_are_the_medians_beside_each_process(plan: Plan) -> None:
    """The product and the loop each have a name of their own."""
    beside = [[ControlTimes(*each) for each in ((1.0, 30.0), (2.0, 20.0), (9.0, 10.0))], [ControlTimes(4.0, 50.0)]]
    one_group(plan, ENDED, ENDED, controls=beside)
    assert [each.controls for each in plan.kept()] == [
        {"fixed matrix product": 2.0, "fixed Python loop": 20.0},
        {"fixed matrix product": 4.0, "fixed Python loop": 50.0},
    ]


@pytest.mark.parametrize("place", [0, 1])
def test_a_process_that_ended_before_it_measured_is_not_recorded(plan: Plan, place: int) -> None:
    """It is named with its status; those beside it are recorded with the name of the group, also beside the anchor."""
    found = [ENDED, ENDED]
    found[place] = record({"one": "passed"}, status=-9)
    assert one_group(plan, *found) == [
        f"a process of {'ab'[place]} ended with -9 before it had measured: not recorded",
        "1 of 1 groups; about 0.0 minutes left",
    ]
    (kept,) = plan.kept()
    assert (kept.packages["engine"], kept.group) == ("ba"[place], "group of a")


def test_processes_that_are_not_one_a_side_are_no_group(plan: Plan) -> None:
    """A process that got lost is not passed over in silence."""
    with pytest.raises(ValueError, match="shorter"):
        one_group(plan, ENDED)


@pytest.mark.parametrize("failure", [None, "no compiler"])
def test_a_new_record_is_of_now_and_of_a_group_of_its_own(plan: Plan, failure: str | None) -> None:
    """Its time has the offset from UTC, and whole seconds."""
    before = datetime.now(UTC)
    first, second = (new_record(plan, REVISION, {"engine": "1"}, failure) for _ in range(2))
    began = datetime.fromisoformat(first.measured_at)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", first.measured_at)
    assert before - timedelta(seconds=1) <= began <= datetime.now(UTC)
    assert first.group != second.group
    assert re.fullmatch("[0-9a-f]{12}", first.group)
    assert first == Measurement(
        revision=REVISION,
        suite="speed",
        suite_digest="abcd",
        group=first.group,
        measured_at=first.measured_at,
        packages={"engine": "1"},
        system={"kernel": "6.1"},
        cases={},
        failure=failure,
    )


def test_processes_are_measured_as_those_of_regress(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many repetitions, as long, of the sides and cases given."""
    asked: list[tuple[tuple[object, ...], dict[str, object]]] = []

    def note(*given: object, **named: object) -> str:
        asked.append((given, named))
        return "measured"

    monkeypatch.setattr(grouping, "measure_together", note)
    sides = [Side("a", Path("a"), "python", "speed")]
    measure: Callable[..., object] = measure_as_regress
    assert measure(sides, ["one"], number=7) == "measured"
    named = {"number": 7, "repetitions": REPETITIONS, "seconds_a_case": SECONDS_A_CASE}
    assert asked == [((sides, ["one"]), named)]
