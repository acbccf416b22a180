"""Trainings that cannot start or that end early: wrong arguments, folders in use, failing implementations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmarks.store import StoreError
from benchmarks.training.learning_curve import Curve, TrainResult
from benchmarks.training.report import table, terminal_lines, write_report
from benchmarks.training.tasks import TASKS
from benchmarks.training.train import train
from benchmarks.trial import NothingMeasured
from tests.training_faults import FailsAtTheThirdStep, named

TANH = TASKS["tanh"]


def test_what_an_implementation_raises_is_its_reason_and_the_others_go_on(tmp_path: Path) -> None:
    """The steps before it are kept, the row says what was raised and when."""
    FailsAtTheThirdStep.built = 0
    fails = "tests.training_faults:FailsAtTheThirdStep"

    result = train(implementations=[fails, "numpy_loop"], steps=5, out=tmp_path)

    assert named(result, fails).status == "failed"
    assert named(result, fails).reason == "ArithmeticError at step 3: lost the thread"
    assert named(result, fails).losses.size == 2
    assert named(result, "numpy_loop").losses.size == 5
    assert not result.passed
    summary = pd.read_csv(tmp_path / "summary.csv").set_index("implementation")
    assert summary.loc[fails, "reason"] == "ArithmeticError at step 3: lost the thread"


@pytest.mark.parametrize(
    ("name", "device", "status", "reason"),
    [
        ("tests.training_faults:NeedsWhatIsNotThere", "cpu", "unavailable", "a-package-that-nobody-has"),
        ("tests.training_faults:NeedsAnotherMachine", "cpu", "unavailable", "no abacus"),
        ("numpy_loop", "cuda", "unsupported", "runs on cpu"),
    ],
)
def test_what_cannot_run_is_a_row_with_its_reason(
    name: str, device: str, status: str, reason: str, tmp_path: Path
) -> None:
    """A training without any curve does not pass; its row has the reason, and there is no plot."""
    result = train(implementations=[name], device=device, steps=2, out=tmp_path)

    assert result.curves[0].status == status
    assert reason in str(result.curves[0].reason)
    assert not result.passed
    assert reason in table(result)
    assert pd.read_csv(tmp_path / "losses.csv").empty
    assert not (tmp_path / "losses.png").exists()


def test_what_cannot_run_does_not_spoil_what_can(tmp_path: Path) -> None:
    """A training passes when those that run are right, whatever is not there."""
    absent = "tests.training_faults:NeedsAnotherMachine"

    assert train(implementations=[absent, "numpy_hoisted"], steps=2, out=tmp_path).passed


def test_an_implementation_without_the_cell_is_a_row_with_its_reason(tmp_path: Path) -> None:
    class_without = "tests.training_faults:SlightlyWrong"
    result = train(implementations=[class_without, "numpy_loop"], cell="gru", steps=2, out=tmp_path)
    assert named(result, class_without).status == "unsupported"
    assert "'gru'" in str(named(result, class_without).reason)
    assert result.passed


def test_progress_is_shown_on_a_terminal_and_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    train(implementations=["numpy_loop"], steps=2, out=tmp_path)
    assert capsys.readouterr() == ("", "")

    # It makes rich take standard error for a terminal.
    monkeypatch.setenv("FORCE_COLOR", "1")
    train(implementations=["numpy_loop"], steps=2, out=tmp_path / "on a terminal")
    assert "steps," in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"implementations": []}, r"implementations is empty; expected one or more of .*numpy_loop"),
        ({"implementations": ["numpy_lop"]}, r"implementation is 'numpy_lop'; did you mean numpy_loop"),
        ({"implementations": ["numpy_loop", "numpy_loop"]}, r"implementations has numpy_loop more than once"),
        ({"cell": "ltsm"}, r"cell is 'ltsm'; expected one that has a learning task: tanh, relu, lstm, gru"),
        ({"steps": 0}, r"steps is 0; expected 1 or more"),
        ({"device": "tpu"}, r"device is 'tpu'; expected cpu, cuda or cuda:N"),
        ({"device": "tpu", "implementations": []}, r"device is 'tpu'; expected cpu, cuda or cuda:N"),
        ({"dtype": "float16"}, r"dtype is 'float16': .*small updates.*; expected one of float32, float64"),
        ({"dtype": "int8"}, r"dtype is 'int8'; expected one of float32, float64"),
    ],
)
def test_bad_input_is_named_with_what_was_expected(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    arguments: dict[str, Any] = {"implementations": ["numpy_loop"], "steps": 1, "out": tmp_path / "out"} | change

    with pytest.raises(ValueError, match=message):
        train(**arguments)
    assert not (tmp_path / "out").exists()


def test_a_file_is_not_a_folder_to_write_to(tmp_path: Path) -> None:
    file = tmp_path / "taken"
    file.touch()

    with pytest.raises(StoreError, match=r"--out is .*taken, where nothing can be written: File exists"):
        train(implementations=["numpy_loop"], steps=1, out=file)


def test_what_a_folder_holds_is_not_written_over(tmp_path: Path) -> None:
    """A run's folder has a summary.csv of its own."""
    (tmp_path / "summary.csv").write_text("of a sweep", encoding="utf-8")

    with pytest.raises(StoreError, match=r"which holds summary.csv; expected a new folder: nothing was changed"):
        train(implementations=["numpy_loop"], steps=1, out=tmp_path)
    assert [path.read_text(encoding="utf-8") for path in tmp_path.iterdir()] == ["of a sweep"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("LeavesBySystemExit", "SystemExit at step 1: 0"),
        ("LeavesAtOnce", "Exited at step 1: 0"),
        ("LeavesByKeyboardInterrupt", "KeyboardInterrupt at step 1"),
    ],
)
def test_an_implementation_that_ends_the_program_has_failed(name: str, said: str, tmp_path: Path) -> None:
    """Its row has the reason; the others are trained, and the program goes on."""
    result = train(implementations=[f"tests.training_faults:{name}", "numpy_loop"], steps=2, out=tmp_path / "out")
    left, right = result.curves
    assert left.status == "failed"
    assert said in str(left.reason)
    assert right.status == "ok"
    assert not result.passed


def test_ctrl_c_amid_somebodys_code_ends_the_training(tmp_path: Path) -> None:
    """Ctrl-C is not a failure of the code that it interrupts: no statement of it raised the exception."""
    with pytest.raises(KeyboardInterrupt):
        train(implementations=["tests.training_faults:IsInterrupted"], steps=2, out=tmp_path / "out")


def test_a_training_that_nothing_could_do_is_reported(tmp_path: Path) -> None:
    """The message has each reason."""
    result = train(implementations=["tests.training_faults:NeedsAnotherMachine"], steps=2, out=tmp_path / "out")
    with pytest.raises(NothingMeasured, match="NeedsAnotherMachine is unavailable: this machine has no abacus"):
        result.check_trained()


@pytest.mark.parametrize("width", [60, 80, 200])
def test_the_table_fits_a_terminal_with_whole_names(tmp_path: Path, width: int) -> None:
    curves = tuple(
        Curve(implementation=name, status="unavailable", reason=f"{name} needs what this machine does not have at all")
        for name in ("torch_compile_module", "onnxruntime_rnn")
    )
    result = TrainResult(
        task=TANH,
        curves=curves,
        reference=np.ones(1),
        tolerance=1.0,
        device="cpu",
        dtype="float32",
        folder=tmp_path,
    )
    lines = terminal_lines(result, width)
    assert all(len(line) <= width for line in lines)
    for name in ("torch_compile_module", "onnxruntime_rnn"):
        assert any(name in line.split() for line in lines)
        assert f"  {name}: {name} needs" in "\n".join(lines)


def test_markup_and_formulas_of_a_reason_are_shown_as_they_are(tmp_path: Path) -> None:
    """Markdown in the table and formulas in the CSV files are text."""
    reason = "=cmd()|[link](http://example.org) **bold** <b>\x1b[31m"
    curve = Curve(implementation="@mine", status="unavailable", reason=reason)
    result = TrainResult(
        task=TANH,
        curves=(curve,),
        reference=np.ones(1),
        tolerance=1.0,
        device="cpu",
        dtype="float32",
        folder=tmp_path,
    )
    said = " ".join(terminal_lines(result, 200))
    assert "@mine: =cmd()|[link](http://example.org) **bold** <b> [31m" in said
    row = table(result).splitlines()[6]
    assert row.count(" | ") == 6
    assert r"=cmd()\|\[link\](http://example.org) \*\*bold\*\* &lt;b&gt;" in row
    assert "\x1b" not in row
    write_report(result)
    summary = pd.read_csv(tmp_path / "summary.csv").iloc[0]
    assert summary["implementation"] == "'@mine"
    assert summary["reason"].startswith("'=cmd()")
