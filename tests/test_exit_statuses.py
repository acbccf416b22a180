"""Exit statuses: each means one thing, whatever a verb raises, and none but a verdict is 1."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from benchmarks.__main__ import app
from benchmarks.commands import endings
from benchmarks.measuring.sweeping import launch
from benchmarks.measuring.sweeping.sweep_plan import SweepPlan
from benchmarks.presentation.plain_text import significant
from benchmarks.raised import by_statement, by_us
from benchmarks.store import Run
from benchmarks.workload import Case
from tests.synthetic_runs import failed, run_of, trial, workload

CASE = "nn_rnn/cpu/inference/T4-B1-I4-H4-L1-tanh-float32"

# What each verb is called with, and the first of what it calls.
VERBS = {
    "advise": (["my_module:build", "--input", "4,2"], "advice.advise.advise"),
    "export": (["run", "--table", "ranking"], "runs.loading.load_runs"),
    "list": ([], "sweeps.sweep_names"),
    "sweep": (["quick", "--out", "out"], "measuring.sweeping.sweep_plan.plan_sweep"),
    "report": (["run"], "runs.loading.load_runs"),
    "pack": (["run"], "runs.loading.load_runs"),
    "compare": (["run", "run"], "reporting.answers.compare.compare_runs"),
    "train": (["--impl", "numpy_loop"], "training.train.train"),
    "profile": ([CASE], "profiling.profile.profile_cases"),
    "regress": (["--base", "HEAD", "--out", "out"], "regression.regress.plan"),
    "track": ([], "history.plan.plan_track"),
    "history": ([], "history.findings.find_history"),
    "calibrate": (["--out", "out", "--budget", "0s"], "regression.calibration.report.write"),
}


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    """A shell in an empty folder, which is also its temporary folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.delenv("TMPDIR", raising=False)
    return CliRunner(env={"COLUMNS": "400"})


def raising(monkeypatch: pytest.MonkeyPatch, runner: CliRunner, verb: str, error: BaseException) -> Result:
    """The exit status and output of a verb whose work raises this."""
    words, function = VERBS[verb]

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(f"benchmarks.{function}", fail)
    return runner.invoke(app, [verb, *words])


def test_every_verb_is_here() -> None:
    """A new verb is added to the list above, and to the table of the documentation."""
    names = {each.name or each.callback.__name__ for each in app.registered_commands if each.callback}
    assert set(VERBS) == names
    page = (Path(__file__).parent.parent / "docs" / "command_line.md").read_text(encoding="utf-8")
    assert {f"`{verb}`" for verb in VERBS} <= {row.split("|")[1].strip() for row in re.findall(r"^\|.*\|$", page, re.M)}


@pytest.mark.parametrize("verb", VERBS)
def test_a_fault_of_ours_is_status_70_and_asks_for_a_report(
    verb: str, runner: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sentence names the file that has the traceback."""
    result = raising(monkeypatch, runner, verb, ArithmeticError("lost the thread"))
    assert result.exit_code == endings.FAULT
    assert "a fault of rnnbench, not of yours: ArithmeticError: lost the thread; please report it" in result.output
    assert "Traceback" not in result.output
    (kept,) = Path().glob("rnnbench-fault-*.txt")
    assert str(kept) in result.output
    assert "in fail\n    raise error\nArithmeticError: lost the thread" in kept.read_text(encoding="utf-8")


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "/data/x"),
            2,
            "/data/x: No space left on device; free space",
        ),
        (PermissionError(errno.EACCES, "Permission denied", "/data"), 2, "/data: Permission denied; allow it, or name"),
        (MemoryError(), 2, "there is not enough memory (none is left): end other programs"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid"), 2, "a name or a file is no UTF-8 text"),
        (ModuleNotFoundError("No module named 'x'", name="x"), 2, "x is not installed: pip install it"),
        (SystemExit(0), 2, "code that was imported ended the interpreter by exit(0)"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), 141, ""),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_what_the_machine_or_others_cause_is_reported_in_a_sentence(
    verb: str,
    error: BaseException,
    status: int,
    message: str,
    runner: CliRunner,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The sentence has the remedy, and the status is neither a verdict nor success."""
    result = raising(monkeypatch, runner, verb, error)
    assert result.exit_code == status
    assert message in result.output
    assert "Traceback" not in result.output


def test_a_fault_is_distinguished_from_a_message_for_the_user() -> None:
    """The statement that raised it decides: a ValueError of Python or of a library is no message for the user."""
    with pytest.raises(TypeError, match="must be real number") as ours:
        significant("x")  # type: ignore[arg-type]  # the mistake that is to be raised
    assert endings.ending_of(ours.value)[0] == endings.FAULT
    with pytest.raises(ValueError, match="case is") as theirs:
        Case.parse("x")
    assert endings.ending_of(theirs.value) == (endings.WRONG_USE, str(theirs.value))
    assert by_statement(theirs.value)
    assert by_us(theirs.value)


def test_a_raise_statement_is_known_as_one() -> None:
    """This holds in any code but this project's."""
    with pytest.raises(KeyError) as raised:
        raise KeyError("x")
    assert by_statement(raised.value)
    assert not by_us(raised.value)
    with pytest.raises(KeyError) as not_raised:
        dict[str, int]()["x"]
    assert not by_statement(not_raised.value)


def test_a_fault_that_cannot_be_kept_is_printed(runner: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder for temporary files is full."""

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tempfile.mkstemp", full)
    result = raising(monkeypatch, runner, "report", ArithmeticError("lost"))
    assert result.exit_code == endings.FAULT
    assert "please report it with what follows" in result.output
    assert "raise error" in result.output


@pytest.mark.parametrize("verb", ["sweep", "profile"])
@pytest.mark.parametrize("temporary", ["missing", "file", "full"])
def test_without_temporary_files_nothing_is_begun(
    verb: str, temporary: str, runner: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sentence names TMPDIR."""

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    Path("file").touch()
    monkeypatch.setenv("TMPDIR", str(Path(temporary).absolute()))
    if temporary == "full":
        Path("full").mkdir()
        monkeypatch.setattr(os, "fsync", full)
    before = sorted(Path().iterdir())
    words, _ = VERBS[verb]
    result = runner.invoke(app, [verb, *words])
    assert result.exit_code == endings.WRONG_USE
    assert re.search(
        r"no temporary file can be written \(.*\); expected a folder with free space: TMPDIR is '", result.output
    )
    assert sorted(Path().iterdir()) == before


def _sweep_that(monkeypatch: pytest.MonkeyPatch, *, leaves: list[str], complete: bool) -> None:
    """Have sweeps measure nothing, leave trials with these reasons, and end so."""

    def sweep(run: Run, plan: SweepPlan, *_: object) -> bool:
        for reason in leaves:
            run.append(failed("numpy_loop", plan.workloads[0], "failed", reason))
        run.update(activity_seconds={"peaks": 4.5, "starting workers": 0.5})
        return complete

    monkeypatch.setattr(launch, "measure_missing", sweep)


def test_a_sweep_that_measured_nothing_is_status_3_with_the_reasons(
    runner: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not end with success; escape codes of a reason do not reach the terminal."""
    _sweep_that(monkeypatch, leaves=["there is \x1b[31mno abacus"], complete=True)
    result = runner.invoke(app, ["sweep", "quick", "--impl", "numpy_loop", "--device", "cpu", "--out", "run"])
    assert result.exit_code == endings.INCONCLUSIVE, result.output
    assert "error: nothing was measured in run: numpy_loop is failed: there is [31mno abacus" in result.output
    assert "\x1b" not in result.output


def test_a_budget_that_ends_before_the_first_case_is_reported(
    runner: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sentence says what took the budget, and names a larger one as the remedy; there is no empty table."""
    _sweep_that(monkeypatch, leaves=[], complete=False)
    result = runner.invoke(app, ["sweep", "quick", "--device", "cpu", "--budget", "5s", "--out", "run"])
    assert result.exit_code == endings.INCONCLUSIVE, result.output
    assert (
        "nothing was measured in run: the budget ended before any case was: peaks took 4.50 s, starting workers took "
        "500 ms; go on with a larger budget: python -m benchmarks sweep --resume run --budget 10m"
    ) in result.output
    assert "The fastest implementation" not in result.output


@pytest.mark.parametrize(
    ("seconds", "blocks", "status"),
    [
        (1e-3, (3,) * 6, 0),
        (2e-3, (3,) * 6, 1),
        ([8e-4] * 9 + [1.2e-3] * 9, (3,) * 6, 3),
        (1e-3, (3,) * 3, 3),
    ],
    ids=["same", "slower", "wide", "too few blocks"],
)
def test_compare_ends_by_its_verdict(
    seconds: float | list[float], blocks: tuple[int, ...], status: int, runner: CliRunner
) -> None:
    """It is 0 where no case is slower, 1 where one is, 3 where no case can be told."""
    run_of(Path("old"), [trial("nn_rnn", workload(), 1e-3)])
    run_of(Path("new"), [trial("nn_rnn", workload(), seconds, blocks=blocks)])
    result = runner.invoke(app, ["compare", "old", "new"])
    assert result.exit_code == status, result.output


def test_lines_that_cannot_be_read_are_named_by_report_and_compare(runner: CliRunner) -> None:
    """Each is a caution in one line without escape codes; the other lines count."""
    run_of(Path("run"), [trial("nn_rnn", workload(), 1e-3)])
    with Path("run", "trials.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"status": "\x1b[31m"}\n')
    for words in (["report", "run"], ["compare", "run", "run"]):
        result = runner.invoke(app, words)
        assert result.exit_code == 0, result.output
        assert "caution: run/trials.jsonl, line 2: not a trial, passed over" in result.output
        assert "\x1b[31m" not in result.output
