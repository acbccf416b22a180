"""Files that a stranger wrote, or a fault: whatever they hold is read, passed over and named, or refused."""

from __future__ import annotations

import io
import json
import os
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from benchmarks.commands.endings import FAULT, ending_of
from benchmarks.history import findings, folder
from benchmarks.history.record import Measurement
from benchmarks.history.report import markdown, terminal_lines
from benchmarks.measuring.sweeping import launch
from benchmarks.measuring.sweeping.runner import Sweeper
from benchmarks.measuring.sweeping.sweep_plan import SweepPlan
from benchmarks.reading import DEEPEST, parse_json
from benchmarks.reporting import report
from benchmarks.reporting.answers.compare import compare_runs
from benchmarks.reporting.answers.workload_winners import winners_by_workload
from benchmarks.reporting.words.unmeasured import check_measured
from benchmarks.reporting.words.workload_lines import workload_lines
from benchmarks.runs.frames import runs_frame
from benchmarks.runs.loading import load_runs
from benchmarks.store import Run, StoreError, open_run
from benchmarks.stored_trial import parse_trial
from benchmarks.sweeps import PRESETS
from tests.strange_files import EXTREMES, HUGE, mutants, paths
from tests.synthetic_history import process
from tests.synthetic_runs import failed, run_of, trial, workload

TRIALS = (
    trial("nn_rnn", workload("training"), 1e-3),
    trial("numpy_loop", workload("training"), 2e-3),
    failed("torch_loop", workload("training"), "crashed", "killed by SIGSEGV"),
)


def to_text(record: Any) -> str:
    """A record as JSON, with a number of 400 digits where it has `HUGE`."""
    return json.dumps(record).replace(f'"{HUGE}"', HUGE)


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run to be changed, beside a good one; reports without their plots, and sweeps without measuring."""

    def only_plan(run: Run, plan: SweepPlan, _: Console) -> None:
        sweeper = Sweeper(run, plan.sweep, plan.workloads, plan.implementations, scratch=tmp_path, progress=Silent())
        run.update(activity_seconds=dict(sweeper.activity_seconds))

    monkeypatch.setattr(report, "write_plots", lambda *_: [])
    monkeypatch.setattr(launch, "measure_alone", only_plan)
    monkeypatch.setattr("benchmarks.machine.describe_machine", lambda: {"key": "synthetic-2cores-8GiB"})
    for name in ("good", "strange"):
        run_of(tmp_path / name, TRIALS, sweep=PRESETS["quick"].to_json())
    return tmp_path / "strange"


class Silent:
    """Progress that is not shown."""

    def show(self, **_: object) -> None:
        """Nothing."""

    def show_ahead(self, ahead: str) -> None:
        """Nothing."""

    def tick(self, *, timed: bool = False, note: str = "") -> None:
        """Nothing."""


def faults_of_reading(run: Path) -> list[str]:
    """Tracebacks of report, compare and resume on a run that they should read or refuse in a sentence."""
    good = run.parent / "good"

    def resumed() -> None:
        launch.resume_sweep(run, budget=None, console=Console(file=io.StringIO()))

    def shown() -> None:
        loaded = load_runs(run)
        frame = runs_frame(loaded)
        workload_lines(frame, winners_by_workload(frame), 80)
        check_measured(loaded)

    readers = {
        "report": lambda: report.build_report(run),
        "table": shown,
        "compare": lambda: compare_runs(run, good, across_machines=True),
        "resume": resumed,
    }
    found = []
    for name, reader in readers.items():
        try:
            reader()
        except Exception as error:  # noqa: BLE001  # whatever it is, it is judged
            if ending_of(error)[0] == FAULT:
                found.append(f"{name}: {type(error).__name__}: {error}")
    return found


def test_every_mutant_of_a_trial_is_read_or_named(read: Path) -> None:
    """All of them in one file: each line is a trial or a problem, and what is read can be reported."""
    lines = [to_text(changed) for each in TRIALS[::2] for _, changed in mutants(each.to_json())]
    with (read / "trials.jsonl").open("a", encoding="utf-8") as file:
        file.write("".join(line + "\n" for line in lines))
    reading = open_run(read).read()
    assert len(reading.trials) + len(reading.problems) == len(TRIALS) + len(lines)
    assert len(reading.problems) > len(lines) / 4
    assert all(len(problem) < 500 for problem in reading.problems)
    assert faults_of_reading(read) == []


@pytest.mark.parametrize("seed", range(5))
def test_mutants_of_a_record_are_read_or_refused(read: Path, seed: int) -> None:
    """`run.json` with several values changed at once, so that later checks are reached, too."""
    chance = random.Random(seed)
    good = json.loads((read / "run.json").read_text(encoding="utf-8"))
    for changes in (2, 16):
        record = json.loads(json.dumps(good))
        for at in chance.sample(list(paths(record)), changes):
            _change(record, at, chance.choice(EXTREMES))
        (read / "run.json").write_text(to_text(record), encoding="utf-8")
        assert faults_of_reading(read) == [], record


def _change(record: Any, at: tuple[Any, ...], value: Any) -> None:
    """Set the value there, unless an earlier change took the way to it."""
    for name in at[:-1]:
        try:
            record = record[name]
        except (KeyError, IndexError, TypeError):
            return
    if isinstance(record, dict) or (isinstance(record, list) and record and at[-1] == 0):
        record[at[-1]] = value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sweep", [[[]]]),
        ("sweep", {"name": 5}),
        ("implementations", "all"),
        ("implementations", {"numpy_loop": 5e-324}),
        ("implementations", {}),
        ("activity_seconds", "../../up"),
        ("activity_seconds", {"peaks": "long", "sampling": None}),
        ("machine", None),
        ("peaks", {"kind": "gemm"}),
    ],
)
def test_a_record_of_another_form_is_no_traceback(read: Path, name: str, value: object) -> None:
    """A missing field that a sweep needs is named; other fields are left out."""
    record = json.loads((read / "run.json").read_text(encoding="utf-8"))
    (read / "run.json").write_text(json.dumps(record | {name: value}), encoding="utf-8")
    assert faults_of_reading(read) == []


WHOLE = {
    "empty": b"",
    "truncated": b'{"schema": 2, "name": "x',
    "nested": b'{"schema": 2, "a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "nested within recursion": b'{"schema": 2, "a": ' + b"[" * 900 + b"]" * 900 + b"}",
    "long number": b'{"schema": 2, "a": ' + b"9" * 400 + b"}",
    "longer number": b'{"schema": 2, "a": ' + b"9" * 5000 + b"}",
    "not a number": b'{"schema": 2, "peaks": NaN, "activity_seconds": {"a": Infinity, "b": 1e999}}',
    "duplicate keys": b'{"schema": 2, "schema": 2, "name": 1, "name": "x"}',
    "long text": b'{"schema": 2, "command": "' + b"x" * 2**20 + b'"}',
    "latin": b'{"schema": 2, "name": "\xe9"}',
    "byte order mark": b'\xef\xbb\xbf{"schema": 2}',
    "UTF-16": '{"schema": 2}'.encode("utf-16"),
    "NUL": b'{"schema": 2}\0',
    "surrogate": b'{"schema": 2, "command": "\\ud800", "name": "\\ud800"}',
}


@pytest.mark.parametrize("content", WHOLE.values(), ids=WHOLE)
def test_a_record_of_any_content_is_read_or_refused(read: Path, content: bytes) -> None:
    """Records and lines of trials of any content are read or refused."""
    (read / "run.json").write_bytes(content)
    assert faults_of_reading(read) == []
    (read / "run.json").write_bytes((read.parent / "good" / "run.json").read_bytes())
    with (read / "trials.jsonl").open("ab") as file:
        file.write(content + b"\n")
    assert faults_of_reading(read) == []
    assert open_run(read).trials() == list(TRIALS)


@pytest.mark.parametrize("name", ["run.json", "trials.jsonl"])
@pytest.mark.parametrize("kind", ["pipe", "folder", "link to itself"])
def test_what_is_no_file_is_refused(read: Path, name: str, kind: str) -> None:
    """A named pipe would be waited for without end."""
    (read / name).unlink()
    if kind == "pipe":
        os.mkfifo(read / name)
    elif kind == "folder":
        (read / name).mkdir()
    else:
        (read / name).symlink_to(name)
    assert faults_of_reading(read) == []
    if kind == "pipe":
        with pytest.raises(StoreError, match=f"cannot read .*{name}: Is a directory or a special file"):
            open_run(read).read()


@pytest.mark.parametrize("size", [2**53 - 1, 2**31, 10**18])
@pytest.mark.parametrize("letter", ["T", "B", "I", "H", "L", "threads"])
def test_a_size_beyond_all_measure_is_passed_over(read: Path, letter: str, size: int) -> None:
    """Formulas add up over layers: such a number of them would take for ever."""
    with (read / "trials.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(TRIALS[0].to_json() | {letter: size}) + "\n")
    (problem,) = open_run(read).read().problems
    assert (
        f"line {len(TRIALS) + 1}: not a trial, passed over (ValueError: {letter} is {size}; expected at most" in problem
    )


def test_a_line_without_end_costs_only_itself(read: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line is not read into memory as a whole, and the line after it is read."""
    monkeypatch.setattr("benchmarks.reading.LARGEST_FILE", 8192)
    monkeypatch.setattr("benchmarks.json_lines.LARGEST_FILE", 8192)
    lines = (read / "trials.jsonl").read_bytes().splitlines(keepends=True)
    (read / "trials.jsonl").write_bytes(b"".join([lines[0], b'"' + b"x" * 50_000 + b'"\n', *lines[1:]]))
    reading = open_run(read).read()
    assert reading.trials == list(TRIALS)
    (problem,) = reading.problems
    assert "line 2: not a trial" in problem


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=40)
@given(st.dictionaries(st.sampled_from(sorted(TRIALS[0].to_json())), json_values, min_size=1, max_size=4))
def test_a_trial_of_any_values_is_one_or_says_what_it_is_not(values: dict[str, Any]) -> None:
    """No other exceptions than those that reading names a line by."""
    try:
        parse_trial(TRIALS[0].to_json() | values)
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError):
        return


@settings(max_examples=40)
@given(st.dictionaries(st.sampled_from(sorted(process(1, 1.0).to_json())), json_values, min_size=1, max_size=4))
def test_a_process_of_any_values_is_one_or_says_what_it_is_not(values: dict[str, Any]) -> None:
    """A process of any values is read or refused with a reason."""
    try:
        Measurement.from_json(process(1, 1.0).to_json() | values)
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError):
        return


def test_every_mutant_of_a_process_is_read_or_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All in one history, and what is read can be reported."""
    monkeypatch.setattr(findings, "in_order", lambda _, revisions: list(dict.fromkeys(revisions)))
    monkeypatch.setattr(findings, "subjects_between", lambda *_: [])
    for number in range(1, 9):
        folder.append(tmp_path, "machine", process(number, 1.0 + (number > 4)))
    lines = [to_text(changed) for _, changed in mutants(process(9, 2.0).to_json())]
    with (tmp_path / "machine" / "processes.jsonl").open("a", encoding="utf-8") as file:
        file.write("".join(line + "\n" for line in lines))
    measured, problems = folder.read(tmp_path, "machine")
    assert len(measured) + len(problems) == 8 + len(lines)
    assert len(problems) > len(lines) / 3
    history = findings.machine_history(tmp_path, tmp_path, "machine")
    assert "\x1b" not in markdown([history], {"machine": []})
    assert "\x1b" not in "".join(terminal_lines(history, 80))


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("cases", None, "cases is None; expected a mapping"),
        ("controls", [1], r"controls is \[1\]; expected a mapping"),
        ("controls", {"loop": 0}, "'loop': no work takes no time"),
        ("revision", "--output=/x", "revision is '--output=/x'; expected a commit in full"),
        ("revision", "HEAD", "revision is 'HEAD'; expected a commit in full"),
    ],
)
def test_a_process_is_refused_by_what_is_wrong(field: str, value: object, said: str) -> None:
    """A value that git would read as an option is refused too."""
    with pytest.raises(ValueError, match=said):
        Measurement.from_json(process(1, 1.0).to_json() | {field: value})


def test_depth_is_counted_without_recursion() -> None:
    """The largest depth is read and one more is refused, in lists, mappings and both."""
    for opening, closing in (("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")):
        fits = DEEPEST // (opening.count("[") + opening.count("{"))
        content = opening * fits + "1" + closing * fits
        assert parse_json(content.encode()) is not None
        with pytest.raises(ValueError, match="nested more than"):
            parse_json(f"[{content}]".encode())
