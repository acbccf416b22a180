"""The measuring of `calibrate`: groups of three processes, their injected slowdowns, and a continued calibration."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from benchmarks.regression.calibration import measuring
from benchmarks.regression.calibration.measuring import INJECTED_SIZES, measure, read_groups, read_record, summary
from benchmarks.regression.measuring import REPETITIONS, SECONDS_A_CASE
from benchmarks.regression.processes.control import ControlTimes
from benchmarks.regression.processes.outcomes import PASSED, Outcome
from benchmarks.regression.processes.process_record import ProcessRecord
from benchmarks.regression.processes.pytest_command import Side
from tests.synthetic_records import record, rounds

IDS = {
    f"suite.py::test[{place}]": f"numpy_loop/cpu/inference/T4-B1-I8-H{8 + place}-L1-tanh-float32" for place in range(8)
}
FIRST = {"0.02": 2, "0.05": 5, "0.1": 10, "0.2": 20}


class Processes:
    """A stand-in for measuring: a call takes a second, a unit of work 0.2 % more, and a group an hour."""

    def __init__(self) -> None:
        self.now = 0.0
        self.numbers: list[int] = []
        self.failing = False

    def __call__(
        self, sides: Sequence[Side], cases: Sequence[str], *, number: int, repetitions: int, seconds_a_case: float
    ) -> tuple[list[ProcessRecord], list[tuple[ControlTimes, ...]]]:
        """Measure one group of three processes."""
        assert [side.name for side in sides] == ["base", "again", "slowed"]
        assert (repetitions, seconds_a_case) == (REPETITIONS, SECONDS_A_CASE)
        self.now += 3600.0
        self.numbers.append(number)
        measured = []
        for side in sides:
            work = json.loads(side.variables.get("RNNBENCH_INJECTED_WORK", "{}"))
            seconds = {case: 1.0 + 0.002 * work.get(IDS[case], 0) for case in cases}
            by_case = {
                case: [rounds([99.0]), rounds([one, 2 * one, 4 * one], [0, 1, 2])] for case, one in seconds.items()
            }
            outcomes = dict.fromkeys(cases, Outcome("failed", "why") if self.failing and work else PASSED)
            measured.append(record(outcomes, repetitions=by_case, output="the end"))
        return measured, [(ControlTimes(1.0, 2.0),)] * len(sides)


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> Processes:
    """Processes in place of real ones, and a clock that they move."""
    found = Processes()
    monkeypatch.setattr(measuring, "measure_together", found)
    monkeypatch.setattr("time.monotonic", lambda: found.now)
    monkeypatch.setattr("benchmarks.machine.describe_machine", lambda: {"key": "a machine"})
    monkeypatch.setattr(measuring, "TUNING_GROUPS", 6)
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A calibration that has no groups yet."""
    record = {
        "machine": {"key": "a machine"},
        "cases": IDS,
        "amounts": dict.fromkeys(IDS.values(), FIRST),
        "settled_by": 0,
    }
    (tmp_path / "calibration.json").write_text(json.dumps(record))
    return tmp_path


def hours(count: int) -> float:
    """Seconds of this many hours and a half."""
    return 3600.0 * (count + 0.5)


def test_sizes_rotate_from_group_to_group(processes: Processes, folder: Path) -> None:
    """Every case has each size in turn, and neighbours in a group have different sizes."""
    measure(folder, hours(6), lambda _: None)
    groups = list(read_groups(folder))
    assert processes.numbers == list(range(6))
    for case in IDS:
        assert sorted(group.sizes[case] for group in groups) == sorted(INJECTED_SIZES)
    sizes = list(groups[0].sizes.values())
    assert sizes[:6] == list(INJECTED_SIZES)
    assert sizes[6:] == [INJECTED_SIZES[1], INJECTED_SIZES[2]]
    assert groups[1].sizes["suite.py::test[0]"] == INJECTED_SIZES[1]


@pytest.mark.usefixtures("processes")
def test_a_group_records_the_work_and_the_times_of_each_process(folder: Path) -> None:
    """Only the third process has the work; counted repetitions give the time of each slice and a summary of rounds."""
    said: list[str] = []
    measure(folder, hours(1), said.append)
    (group,) = read_groups(folder)
    assert group.amounts == {case: FIRST[size] for case, size in group.sizes.items()}
    for case, amount in group.amounts.items():
        one = 1 + 0.002 * amount
        assert [side[case] for side in group.sides] == [[1, 2, 4], [1, 2, 4], pytest.approx([one, 2 * one, 4 * one])]
        assert group.log_ratios(0, 2)[case] == pytest.approx(math.log(one), abs=1e-5)
        assert group.summaries[2][case] == pytest.approx({"mean": 7 / 3 * one, "min": one, "median": 2 * one}, rel=1e-5)
    assert [list(map(list, side)) for side in group.controls] == [[[1.0, 2.0]]] * 3
    assert (group.seconds, said) == (3600.0, ["group 1: 3600 s"])


def test_a_calibration_is_continued_and_settles_the_work_once(processes: Processes, folder: Path) -> None:
    """A unit of work was 0.2 % in the first groups, so 5 % take 25 units; later groups do not change it."""
    measure(folder, hours(4), lambda _: None)
    assert read_record(folder)["settled_by"] == 0
    measure(folder, hours(4), lambda _: None)
    record = read_record(folder)
    assert processes.numbers == list(range(8))
    assert [group.settled for group in read_groups(folder)] == [False] * 6 + [True] * 2
    assert record["settled_by"] == 6
    assert record["amounts"] == {case: {"0.02": 10, "0.05": 25, "0.1": 50, "0.2": 100} for case in IDS.values()}
    last = list(read_groups(folder))[-1]
    assert last.amounts == {case: record["amounts"][IDS[case]][size] for case, size in last.sizes.items()}


def test_no_group_is_begun_that_would_not_end_in_time(processes: Processes, folder: Path) -> None:
    """A group is expected to take as long as the longest before; the first is always measured."""
    measure(folder, 3600.0 * 2.9, lambda _: None)
    assert processes.numbers == [0, 1]
    measure(folder, 1.0, lambda _: None)
    assert processes.numbers == [0, 1, 2]


def test_another_machine_begins_a_calibration_of_its_own(
    processes: Processes, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No group of another machine is added."""
    monkeypatch.setattr("benchmarks.machine.describe_machine", lambda: {"key": "another"})
    with pytest.raises(ValueError, match="was measured on a machine; this is another: begin a new one"):
        measure(folder, hours(1), lambda _: None)
    assert processes.numbers == []


def test_a_group_in_which_a_case_fails_is_not_kept(processes: Processes, folder: Path) -> None:
    """The error names the case and the reason."""
    processes.failing = True
    with pytest.raises(RuntimeError, match=r"suite.py::test\[0\] did not pass: why; the end"):
        measure(folder, hours(1), lambda _: None)
    assert list(read_groups(folder)) == []


@pytest.mark.usefixtures("processes")
def test_numbers_are_kept_to_six_digits(folder: Path) -> None:
    """Six digits are finer than any measurement, and take a third of the bytes."""
    amounts: Mapping[str, Mapping[str, int]] = dict.fromkeys(IDS.values(), dict.fromkeys(FIRST, 61_728_394))
    record = {**read_record(folder), "amounts": amounts}
    (folder / "calibration.json").write_text(json.dumps(record))
    measure(folder, hours(1), lambda _: None)
    (group,) = read_groups(folder)
    assert list(group.sides[2]["suite.py::test[0]"]) == [123458.0, 246916.0, 493831.0]
    assert group.amounts["suite.py::test[0]"] == 61_728_394


def test_a_summary_is_mean_minimum_and_median() -> None:
    """It is that of all rounds, as pytest-benchmark's compare takes it."""
    assert summary([4.0, 1.0, 2.0, 2.0, 1.0]) == {"mean": 2.0, "min": 1.0, "median": 2.0}
