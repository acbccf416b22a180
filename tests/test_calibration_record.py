"""The record with which a calibration begins, the folder that it may be in, and the processes of its groups."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from benchmarks.measuring.environment import worker_environment
from benchmarks.regression.calibration import measuring
from benchmarks.regression.calibration.measuring import (
    COSTED,
    GROUPS_FILE,
    INJECTION,
    PROJECT,
    RECORD_FILE,
    SUITE,
    begun_record,
    check_folder,
    measure,
    read_groups,
    read_record,
    settle,
)
from benchmarks.regression.environments.kept_environments import import_paths
from benchmarks.regression.measuring import REPETITIONS, SECONDS_A_CASE
from benchmarks.regression.processes.control import ControlTimes
from benchmarks.regression.processes.outcomes import PASSED
from benchmarks.regression.processes.process_record import ProcessRecord
from benchmarks.regression.processes.pytest_command import Side
from benchmarks.store import StoreError
from tests.synthetic_groups import group
from tests.synthetic_records import record, rounds

BASE = Side("base", PROJECT, sys.executable, SUITE, import_paths=import_paths(PROJECT))
IDS = {
    "suite.py::a": "numpy_loop/cpu/inference/T4-B1-I8-H8-L1-tanh-float32",
    "suite.py::b": "numpy_loop/cpu/training/T4-B1-I8-H8-L1-tanh-float32",
}
ON_CUDA = {"suite.py::/cuda/": "torch_gru/cuda/inference/T4-B1-I8-H8-L1-tanh-float32"}
AMOUNTS = {case: {"0.02": 1, "0.05": 2, "0.1": 3, "0.2": 4} for case in IDS.values()}
KNOWN = {"machine": {"key": "zen"}, "cases": IDS, "amounts": AMOUNTS, "settled_by": 0}


class Machine:
    """Stand-ins for the processes of a calibration, and the clock that they move; `done` is what ran."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.done: list[Any] = []
        self.cases = {**IDS, **ON_CUDA}
        self.probes = subprocess.CompletedProcess[str]([], 0, json.dumps(AMOUNTS), "")

    def dry_run(self, side: Side) -> ProcessRecord:
        """A dry run, of a second."""
        assert side == BASE
        self.now += 1.0
        self.done.append("dry run")
        extra_info = {test: {"case": case} for test, case in self.cases.items()}
        return record(dict.fromkeys(self.cases, PASSED), extra_info=extra_info)

    def run(self, command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        """A plain run of the suite, of 10 s, or the probes of the amounts of work."""
        if INJECTION in command:
            assert command == [sys.executable, "-m", INJECTION]
            environment = worker_environment(1)
            captured = {"capture_output": True, "text": True, "check": False}
            assert options == {"cwd": PROJECT, "env": environment, **captured}
            self.done.append("probes")
            return self.probes
        assert command == [sys.executable, "-m", "pytest", SUITE, "--quiet"]
        assert options == {"cwd": PROJECT, "check": True, "stdout": subprocess.DEVNULL}
        self.now += 10.0
        self.done.append("plain run")
        return self.probes

    def measure_pair(self, base: Side, again: Side, cases: Sequence[str], *, number: int, **options: Any) -> None:
        """A pair, of two seconds a case and one for its number."""
        assert (base, again) == (BASE, dataclasses.replace(BASE, name="again"))
        assert options == {"repetitions": REPETITIONS, "seconds_a_case": SECONDS_A_CASE}
        self.now += 2.0 * len(cases) + number
        self.done.append(("pair", tuple(cases)))


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine without processes."""
    found = Machine()
    monkeypatch.setattr(measuring, "dry_run", found.dry_run)
    monkeypatch.setattr(measuring, "measure_pair", found.measure_pair)
    monkeypatch.setattr("subprocess.run", found.run)
    monkeypatch.setattr("time.monotonic", lambda: found.now)
    monkeypatch.setattr("benchmarks.machine.describe_machine", lambda: {"key": "zen"})
    monkeypatch.setattr("benchmarks.machine.packages", lambda: {"torch": "2.12"})
    monkeypatch.setattr("benchmarks.machine.commit", lambda: {"revision": "abc"})
    return found


def test_a_calibration_begins_with_its_machine_its_cases_and_what_they_cost(machine: Machine, tmp_path: Path) -> None:
    """Cases of a GPU are left out; each cost is timed three times, pairs of one case and of all."""
    said: list[str] = []
    before = datetime.now(UTC)
    found = begun_record(tmp_path / "new", said.append)
    began = datetime.fromisoformat(found["started_at"])
    assert before - timedelta(seconds=1) <= began <= datetime.now(UTC)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", found["started_at"])
    assert found == {
        "machine": {"key": "zen"},
        "packages": {"torch": "2.12"},
        "commit": {"revision": "abc"},
        "started_at": found["started_at"],
        "repetitions": REPETITIONS,
        "seconds_a_case": SECONDS_A_CASE,
        "cases": IDS,
        "amounts": AMOUNTS,
        "settled_by": 0,
        "costs": {
            "plain_seconds": [10.0] * 3,
            "dry_run_seconds": [1.0] * 3,
            "pair_seconds": {"1": [2.0, 3.0, 4.0], "2": [4.0, 5.0, 6.0]},
        },
    }
    assert COSTED == 3
    one, both = ("pair", ("suite.py::a",)), ("pair", ("suite.py::a", "suite.py::b"))
    assert machine.done == [
        *("dry run", "probes"),
        *[one, one, one, both, both, both],
        *["plain run"] * 3,
        *["dry run"] * 3,
    ]
    assert said == [
        "2 cases; measuring how much work makes each size of slowdown",
        "timing a plain run, a dry run and a pair",
    ]
    assert read_record(tmp_path / "new") == found
    assert (tmp_path / "new" / RECORD_FILE).read_text() == json.dumps(found, indent=1)


def test_a_calibration_that_was_begun_is_continued_as_it_is(machine: Machine, tmp_path: Path) -> None:
    """Nothing is measured, said or written for it."""
    (tmp_path / RECORD_FILE).write_text(json.dumps(KNOWN))
    said: list[str] = []
    assert begun_record(tmp_path, said.append) == KNOWN
    assert (said, machine.done, (tmp_path / RECORD_FILE).read_text()) == ([], [], json.dumps(KNOWN))


def test_a_calibration_of_another_machine_is_refused(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both machines are named."""
    (tmp_path / RECORD_FILE).write_text(json.dumps(KNOWN))
    monkeypatch.setattr("benchmarks.machine.describe_machine", lambda: {"key": "xeon"})
    with pytest.raises(ValueError, match=f"^{re.escape(str(tmp_path))} was measured on zen; this is xeon: begin a new"):
        begun_record(tmp_path, machine.done.append)


def test_probes_that_fail_end_the_calibration(machine: Machine, tmp_path: Path) -> None:
    """The error has the end of what they said; nothing is written."""
    machine.probes = subprocess.CompletedProcess([], 1, "", "first" + "x" * 1996 + "last")
    with pytest.raises(RuntimeError, match=f"^{re.escape(INJECTION)} failed: {'x' * 1996}last$"):
        begun_record(tmp_path, lambda _: None)
    assert list(tmp_path.iterdir()) == []


def full(*_: object, **__: object) -> None:
    """A disk without room."""
    raise OSError(28, "No space left on device")


@pytest.mark.usefixtures("machine")
def test_a_record_that_cannot_be_written_is_told_with_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason is the operating system's."""
    monkeypatch.setattr("benchmarks.files.write", full)
    with pytest.raises(StoreError, match=f"^cannot write {re.escape(str(tmp_path / RECORD_FILE))}: No space left"):
        begun_record(tmp_path, lambda _: None)


def test_a_record_is_on_disk_before_the_first_group(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut leaves no groups without it."""
    written: list[tuple[Path, str, bool]] = []

    def write(folder: Path, name: str, _text: str, *, durable: bool) -> None:
        written.append((folder, name, durable))

    monkeypatch.setattr("benchmarks.files.write", write)
    begun_record(tmp_path, lambda _: None)
    assert written == [(tmp_path, RECORD_FILE, True)]
    assert machine.done


@pytest.mark.parametrize("content", ["[]", "{", '"text"', "null"])
def test_a_file_of_another_program_is_no_record(tmp_path: Path, content: str) -> None:
    """The refusal names the folder, the file and what is expected."""
    (tmp_path / RECORD_FILE).write_text(content)
    with pytest.raises(ValueError, match="holds no calibration") as refused:
        read_record(tmp_path)
    said = str(refused.value)
    why = "Expecting property name" if content == "{" else "another program's file)"
    assert said.startswith(f"{tmp_path} holds no calibration (calibration.json: {why}")
    expected = "; expected one that `calibrate --out` measured into: measure one by a --budget above 0s"
    assert said.endswith(expected)


@pytest.mark.parametrize("missing", ["machine", "cases", "settled_by"])
def test_a_record_has_its_machine_its_cases_and_how_it_was_settled(tmp_path: Path, missing: str) -> None:
    """One of an older version may have other fields."""
    content = {name: KNOWN[name] for name in ("machine", "cases", "settled_by")}
    (tmp_path / RECORD_FILE).write_text(json.dumps(content))
    assert read_record(tmp_path) == content
    (tmp_path / RECORD_FILE).write_text(json.dumps({**content, "more": "ü"}, ensure_ascii=False), encoding="utf-8")
    assert read_record(tmp_path) == {**content, "more": "ü"}
    (tmp_path / RECORD_FILE).write_text(json.dumps({name: content[name] for name in content if name != missing}))
    with pytest.raises(ValueError, match="another program's file"):
        read_record(tmp_path)


def test_groups_are_added_to_an_empty_folder_and_to_a_calibration(tmp_path: Path) -> None:
    """Its files may be compressed, and its derived files are replaced; a check changes nothing."""
    check_folder(tmp_path / "new")
    assert not (tmp_path / "new").exists()
    check_folder(tmp_path)
    (tmp_path / RECORD_FILE).write_text(json.dumps(KNOWN))
    check_folder(tmp_path)
    for name in (GROUPS_FILE, "groups.jsonl.xz", "curves.csv", "table.md", "errors.png", "errors.svg"):
        (tmp_path / name).write_text("a")
        check_folder(tmp_path)
    assert {path.read_text() for path in tmp_path.iterdir() if path.name != RECORD_FILE} == {"a"}


@pytest.mark.parametrize("name", [GROUPS_FILE, "groups.jsonl.xz"])
def test_groups_without_a_record_are_no_calibration(tmp_path: Path, name: str) -> None:
    """They are another program's, and stay as they are."""
    (tmp_path / name).write_text("a")
    expected = (
        f"{tmp_path} holds {name} and no calibration.json, so it is no calibration: nothing was changed, "
        "choose another --out"
    )
    with pytest.raises(StoreError, match=f"^{re.escape(expected)}$"):
        check_folder(tmp_path)


def test_a_folder_with_files_of_others_is_refused(tmp_path: Path, precious: Path) -> None:
    """A table of another program, a record of one, and links in the places of both files."""
    (tmp_path / "table").mkdir()
    (tmp_path / "table" / "table.md").write_text("mine")
    (tmp_path / "record").mkdir()
    (tmp_path / "record" / RECORD_FILE).write_text("{}")
    for name in (RECORD_FILE, GROUPS_FILE):
        (tmp_path / name).mkdir()
        (tmp_path / name / RECORD_FILE).write_text(json.dumps(KNOWN))
        (tmp_path / name / name).unlink(missing_ok=True)
        (tmp_path / name / name).symlink_to(precious / "thesis.txt")
    for folder in ("table", RECORD_FILE, GROUPS_FILE):
        with pytest.raises(StoreError):
            check_folder(tmp_path / folder)
    with pytest.raises(ValueError, match="another program's file"):
        check_folder(tmp_path / "record")
    assert (precious / "thesis.txt").read_text() == "years of work"


def test_work_is_settled_case_by_case_from_all_groups() -> None:
    """A unit of work was a hundredth of the call in one case and two in the other."""
    groups = [
        dataclasses.replace(
            group(0),
            sides=tuple({"a": (1 + 0.01 * more * amount,), "b": (1 + 0.02 * more * amount,)} for more in (0, 0, 1)),
            amounts={"a": amount, "b": amount},
        )
        for amount in (1, 5, 10)
    ]
    settled = settle({"a": "case a", "b": "case b"}, groups)
    assert settled == {
        "case a": {"0.02": 2, "0.05": 5, "0.1": 10, "0.2": 20},
        "case b": {"0.02": 1, "0.05": 2, "0.1": 5, "0.2": 10},
    }


class Together:
    """A stand-in for the processes of a group, of 60 s; `failing` is the place of the one that has `failed`."""

    def __init__(self) -> None:
        self.sides: list[Side] = []
        self.numbers: list[tuple[int, tuple[str, ...]]] = []
        self.failing: tuple[int, ProcessRecord] | None = None
        self.move: Callable[[], None] = lambda: None

    def __call__(
        self, sides: Sequence[Side], cases: Sequence[str], *, number: int, **options: Any
    ) -> tuple[list[ProcessRecord], list[tuple[ControlTimes, ...]]]:
        """Measure one group."""
        assert options == {"repetitions": REPETITIONS, "seconds_a_case": SECONDS_A_CASE}
        self.sides = list(sides)
        self.numbers.append((number, tuple(cases)))
        self.move()
        repetitions = {case: [rounds([9.0]), rounds([1.23456789])] for case in cases}
        found = [record(dict.fromkeys(cases, PASSED), repetitions=repetitions) for _ in sides]
        if self.failing is not None:
            found[self.failing[0]] = self.failing[1]
        return found, [(ControlTimes(0.123456789, 2.0),)] * len(sides)


@pytest.fixture
def together(machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Together:
    """Groups in place of processes, and a calibration that was begun."""
    found = Together()

    def move() -> None:
        machine.now += 60.0

    found.move = move
    (tmp_path / RECORD_FILE).write_text(json.dumps(KNOWN))
    monkeypatch.setattr(measuring, "measure_together", found)
    return found


def test_only_the_third_process_has_the_work(together: Together, tmp_path: Path) -> None:
    """It loads the plugin that injects it, and gets the amount of each case by its ID."""
    measure(tmp_path, 1.0, lambda _: None)
    base, again, slowed = together.sides
    assert (base, again) == (BASE, dataclasses.replace(BASE, name="again"))
    (found,) = read_groups(tmp_path)
    work = {IDS[case]: amount for case, amount in found.amounts.items()}
    variables = {"RNNBENCH_INJECTED_WORK": json.dumps(work)}
    assert slowed == dataclasses.replace(BASE, name="slowed", options=("-p", INJECTION), variables=variables)
    assert together.numbers == [(0, tuple(IDS))]


def test_a_group_is_a_line_of_numbers_of_six_digits(together: Together, tmp_path: Path) -> None:
    """Whole numbers, texts and truths are as they are."""
    said: list[str] = []
    measure(tmp_path, 1.0, said.append)
    (line,) = (tmp_path / GROUPS_FILE).read_text().splitlines()
    sizes = dict(zip(IDS, ("0.05", "0.1"), strict=True))
    assert json.loads(line) == {
        "sides": [{case: [1.23457] for case in IDS}] * 3,
        "summaries": [dict.fromkeys(IDS, dict.fromkeys(("mean", "min", "median"), 1.23457))] * 3,
        "controls": [[[0.123457, 2.0]]] * 3,
        "sizes": sizes,
        "amounts": dict(zip(IDS, (2, 3), strict=True)),
        "settled": False,
        "seconds": 60.0,
    }
    assert '"settled": false' in line
    assert (said, len(together.numbers)) == (["group 1: 60 s"], 1)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_case_that_fails_in_any_process_ends_the_calibration(together: Together, tmp_path: Path, place: int) -> None:
    """The error names the first such case, why, and the end of what pytest said."""
    output = "x" * 997 + "end"
    first, second = IDS
    one_fails = record({first: "passed", second: "failed"}, output=f"more{output}")
    for ended, why in (
        (one_fails, f"{second} did not pass: why; {output}"),
        (record({}, output=f"more{output}"), f"{first} did not pass: it did not run; {output}"),
    ):
        together.failing = place, ended
        with pytest.raises(RuntimeError, match=f"^{re.escape(why)}$"):
            measure(tmp_path, 1.0, lambda _: None)
    assert list(read_groups(tmp_path)) == []


def test_a_calibration_of_no_time_has_no_group(together: Together, tmp_path: Path) -> None:
    """A group is measured while there is time left."""
    measure(tmp_path, 0.0, lambda _: None)
    assert (together.numbers, (tmp_path / GROUPS_FILE).exists()) == ([], False)


@pytest.mark.usefixtures("together")
def test_a_new_calibration_is_begun_and_then_measured(tmp_path: Path) -> None:
    """What it does is said from the beginning; its time includes the beginning."""
    said: list[str] = []
    measure(tmp_path / "new", 130.0, said.append)
    assert said == [
        "2 cases; measuring how much work makes each size of slowdown",
        "timing a plain run, a dry run and a pair",
        "group 1: 60 s",
    ]
    assert read_record(tmp_path / "new")["cases"] == IDS


def test_a_line_that_a_kill_has_torn_is_passed_over(together: Together, tmp_path: Path) -> None:
    """The calibration goes on after it: the groups behind it are read."""
    measure(tmp_path, 1.0, lambda _: None)
    whole = (tmp_path / GROUPS_FILE).read_text()
    (tmp_path / GROUPS_FILE).write_text(whole + whole[:50])
    measure(tmp_path, 1.0, lambda _: None)
    assert [number for number, _ in together.numbers] == [0, 1]
    assert len(list(read_groups(tmp_path))) == 2


@pytest.mark.usefixtures("together")
def test_a_group_that_cannot_be_written_is_told_with_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The groups before are kept."""
    measure(tmp_path, 1.0, lambda _: None)
    monkeypatch.setattr("benchmarks.files.append", full)
    path = re.escape(str(tmp_path / GROUPS_FILE))
    with pytest.raises(StoreError, match=f"^cannot write a group to {path}: No space left"):
        measure(tmp_path, 1.0, lambda _: None)
    assert len(list(read_groups(tmp_path))) == 1


@pytest.mark.usefixtures("together")
def test_what_killed_processes_left_is_removed_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That is said, before anything is measured."""
    removed: list[str] = []

    def remove(kind: str, say: Callable[[str], None]) -> None:
        removed.append(kind)
        say("removing it")

    monkeypatch.setattr("benchmarks.files.remove_abandoned", remove)
    said: list[str] = []
    measure(tmp_path, 1.0, said.append)
    assert (removed, said) == (["process"], ["removing it", "group 1: 60 s"])
