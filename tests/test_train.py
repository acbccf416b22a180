"""Training: what each implementation learns, how curves are judged, and the files that are left."""

from __future__ import annotations

import itertools
import math
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmarks.store import StoreError
from benchmarks.training import adding, oscillators
from benchmarks.training.learning_curve import Curve, TrainResult, final_loss, judge, tolerance
from benchmarks.training.report import table, write_report
from benchmarks.training.task import ReadOut, Task
from benchmarks.training.tasks import TASKS
from benchmarks.training.train import train
from benchmarks.trial import NothingMeasured
from rnnimpl import Grads, RnnConfig, Unavailable, Weights
from rnnimpl.cells import CELLS
from rnnimpl.dtypes import Dtype
from rnnimpl.impls.numpy_loop import NumpyLoop
from rnnimpl.interface import NumpyArray, Pullback, State
from rnnimpl.registry import listing
from tests.engines import ordinary

IMPLEMENTATIONS = ordinary()
TANH = TASKS["tanh"]
ANY_CELL = pytest.mark.parametrize("cell", sorted(TASKS))

Vjp = tuple[NumpyArray, State[NumpyArray], Pullback[NumpyArray]]


class SlightlyWrong(NumpyLoop):
    """The gradient of one weight is too large by one part in ten thousand."""

    devices = ("cpu",)
    cells = ("tanh",)

    def vjp(self, x: NumpyArray, state: State[NumpyArray] | None = None) -> Vjp:
        y, state_n, right = super().vjp(x, state)

        def pullback(dy: NumpyArray, dstate_n: State[NumpyArray]) -> Grads[NumpyArray]:
            grads = right(dy, dstate_n)
            weights = dict(grads.weights)
            weights["weight_hh_l0"] = weights["weight_hh_l0"] * np.float32(1.0001)
            return Grads(grads.x, grads.state, weights)

        return y, state_n, pullback


class FailsAtTheThirdStep(NumpyLoop):
    """It raises when it is built for the fourth time: once to be described, then once a step."""

    devices = ("cpu",)
    built = 0

    def __init__(self, config: RnnConfig, weights: Weights, device: str = "cpu") -> None:
        super().__init__(config, weights, device)
        type(self).built += 1
        if self.built == 4:
            raise ArithmeticError("lost the thread")


class LeavesBySystemExit(NumpyLoop):
    """Its backward pass ends the program, as the argument parser of a script does."""

    devices = ("cpu",)

    def vjp(self, x: NumpyArray, state: State[NumpyArray] | None = None) -> Vjp:
        raise SystemExit(0)


class LeavesAtOnce(NumpyLoop):
    """Its backward pass ends the process."""

    devices = ("cpu",)

    def vjp(self, x: NumpyArray, state: State[NumpyArray] | None = None) -> Vjp:
        os._exit(0)


class LeavesByKeyboardInterrupt(NumpyLoop):
    """Its backward pass says that the user pressed Ctrl-C."""

    devices = ("cpu",)

    def vjp(self, x: NumpyArray, state: State[NumpyArray] | None = None) -> Vjp:
        raise KeyboardInterrupt


class IsInterrupted(NumpyLoop):
    """The user presses Ctrl-C in its backward pass."""

    devices = ("cpu",)

    def vjp(self, x: NumpyArray, state: State[NumpyArray] | None = None) -> Vjp:
        signal.raise_signal(signal.SIGINT)
        return super().vjp(x, state)


class Overflows(NumpyLoop):
    """Its outputs are not numbers."""

    devices = ("cpu",)

    def vjp(self, x: NumpyArray, state: State[NumpyArray] | None = None) -> Vjp:
        y, state_n, pullback = super().vjp(x, state)
        return np.full_like(y, np.nan), state_n, pullback


class NeedsWhatIsNotThere(NumpyLoop):
    """It cannot be loaded."""

    devices = ("cpu",)
    requires = ("a-package-that-nobody-has>=1",)


class NeedsAnotherMachine(NumpyLoop):
    """It can be loaded and not built."""

    devices = ("cpu",)

    def __init__(self, config: RnnConfig, weights: Weights, device: str = "cpu") -> None:
        super().__init__(config, weights, device)
        raise Unavailable("this machine has no abacus")


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    """Every implementation for the CPU, trained for as long as the task takes."""
    return train(implementations=IMPLEMENTATIONS, steps=80, out=tmp_path_factory.mktemp("train"))


@pytest.fixture(scope="module")
def float64_result(tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    """The same in float64, and for fewer steps."""
    return train(implementations=IMPLEMENTATIONS, steps=20, dtype="float64", out=tmp_path_factory.mktemp("float64"))


def named(result: TrainResult, name: str) -> Curve:
    (curve,) = (curve for curve in result.curves if curve.implementation == name)
    return curve


@pytest.mark.parametrize("name", IMPLEMENTATIONS)
def test_every_implementation_learns_the_task(result: TrainResult, name: str) -> None:
    """Each starts near the loss of predicting the mean and ends below a quarter of repeating the last value."""
    losses = named(result, name).losses

    assert losses.size == 80
    assert losses[0] > oscillators.LOSS_OF_THE_MEAN / 2
    assert final_loss(losses) < TANH.target_loss


@pytest.mark.parametrize("name", IMPLEMENTATIONS)
def test_curves_agree_up_to_rounding(result: TrainResult, name: str) -> None:
    """Each curve is the plain loop's within what rounding in float32 explains, which is below 1e-5."""
    assert result.tolerance < 1e-5
    assert named(result, name).status == "ok", named(result, name).reason


@pytest.mark.parametrize("name", IMPLEMENTATIONS)
def test_float64_curves_agree_as_much_closer_as_they_are_rounded_finer(float64_result: TrainResult, name: str) -> None:
    """In float64 the same rule allows 2**-29 of what it allows in float32, and every curve keeps to it."""
    assert float64_result.tolerance < 1e-5 * 2.0**-29
    assert named(float64_result, name).status == "ok", named(float64_result, name).reason


def test_the_files_of_a_training(result: TrainResult) -> None:
    """losses.csv has one row a step and implementation, summary.csv and table.md one an implementation, and plots."""
    losses = pd.read_csv(result.folder / "losses.csv")
    summary = pd.read_csv(result.folder / "summary.csv")

    assert list(losses.columns) == ["implementation", "step", "loss"]
    assert losses.groupby("implementation", sort=False)["step"].agg(["min", "max", "count"]).to_numpy().tolist() == (
        [[1, 80, 80]] * len(IMPLEMENTATIONS)
    )
    assert losses["loss"].tolist() == [loss for curve in result.curves for loss in curve.losses]
    assert summary["implementation"].tolist() == IMPLEMENTATIONS
    assert (summary["status"] == "ok").all()
    assert summary["largest_deviation"].max() <= result.tolerance
    assert summary["final_loss"].max() < TANH.target_loss
    assert (summary["seconds_per_step"] > summary["setup_seconds_per_step"]).all()
    assert all(f"| {name} | ok |" in table(result) for name in IMPLEMENTATIONS)
    assert (result.folder / "table.md").read_text(encoding="utf-8") == table(result)
    assert (result.folder / "losses.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (result.folder / "losses.svg").read_text(encoding="utf-8")


def test_the_folder_is_a_new_one_in_results_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    result = train(implementations=["numpy_loop"], steps=1)

    assert result.folder.parent == Path("results")
    assert result.folder.name.startswith("train-")
    assert (tmp_path / result.folder / "losses.csv").exists()


def test_a_wrong_gradient_is_told_from_rounding(tmp_path: Path) -> None:
    """A relative error of 1e-4 in one weight's gradient is found, and the reason says where and how far."""
    wrong = f"{__name__}:SlightlyWrong"

    result = train(implementations=[wrong, "numpy_loop"], steps=20, out=tmp_path)

    assert named(result, wrong).status == "wrong"
    assert "rounding explains" in str(named(result, wrong).reason)
    assert named(result, "numpy_loop").status == "ok"
    assert not result.passed


def test_what_an_implementation_raises_is_its_reason_and_the_others_go_on(tmp_path: Path) -> None:
    """The steps before it are kept, the row says what was raised and when."""
    FailsAtTheThirdStep.built = 0
    fails = f"{__name__}:FailsAtTheThirdStep"

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
        (f"{__name__}:NeedsWhatIsNotThere", "cpu", "unavailable", "a-package-that-nobody-has"),
        (f"{__name__}:NeedsAnotherMachine", "cpu", "unavailable", "no abacus"),
        ("numpy_loop", "cuda", "unsupported", "runs on cpu"),
    ],
)
def test_what_cannot_run_is_a_row_with_its_reason(
    name: str, device: str, status: str, reason: str, tmp_path: Path
) -> None:
    """Nothing trained, so nothing passed; the row says why, and there is nothing to plot."""
    result = train(implementations=[name], device=device, steps=2, out=tmp_path)

    assert result.curves[0].status == status
    assert reason in str(result.curves[0].reason)
    assert not result.passed
    assert reason in table(result)
    assert pd.read_csv(tmp_path / "losses.csv").empty
    assert not (tmp_path / "losses.png").exists()


def test_what_cannot_run_does_not_spoil_what_can(tmp_path: Path) -> None:
    """A training passes when those that run are right, whatever is not there."""
    absent = f"{__name__}:NeedsAnotherMachine"

    assert train(implementations=[absent, "numpy_hoisted"], steps=2, out=tmp_path).passed


def test_a_loss_that_is_no_number_ends_the_training(tmp_path: Path) -> None:
    result = train(implementations=[f"{__name__}:Overflows"], steps=5, out=tmp_path)

    assert result.curves[0].losses.size == 1
    assert result.curves[0].status == "wrong"
    assert result.curves[0].reason == "the loss at step 1 is nan"


def test_a_curve_that_stays_high_is_wrong_when_the_training_was_long_enough() -> None:
    """A loss above the target is a fault from the task's `steps_to_learn` on, and none before."""
    high = np.full(TANH.steps_to_learn, 2 * TANH.target_loss)

    assert judge(high, high, 0.0, TANH)[0] == "wrong"
    assert judge(high[1:], high[1:], 0.0, TANH) == ("ok", None)
    assert judge(high / 3, high / 3, 0.0, TANH) == ("ok", None)


def test_only_the_first_steps_are_held_to_the_tolerance() -> None:
    reference = np.full(150, 0.02)
    early, late = reference.copy(), reference.copy()
    early[99] *= 1.1
    late[100] *= 1.1

    assert judge(early, reference, 0.05, TANH)[0] == "wrong"
    assert judge(late, reference, 0.05, TANH)[0] == "ok"


def test_the_tolerance_is_five_times_the_plain_loops_own_error() -> None:
    """It scales with the dtype's roundoff, and is five roundoffs where the plain loop shows less than one."""
    exact = np.ones(10)

    assert tolerance(exact * (1 + 1e-6), exact, "float32") == pytest.approx(5e-6)
    assert tolerance(exact * (1 + 1e-6), exact, "float64") == pytest.approx(5e-6 * 2.0**-29)
    assert tolerance(exact, exact, "float64") == 5 * 2.0**-53


def test_the_read_outs_gradients_are_those_of_finite_differences() -> None:
    """dy, dw and db are the slopes of the loss; it is quadratic, so central differences are exact up to rounding."""
    generator = np.random.default_rng(0)
    y = generator.standard_normal((5, 4, 5))
    target = generator.standard_normal((5, 4, 1))
    w, b = generator.standard_normal((1, 5)), generator.standard_normal(1)
    scored = ReadOut(w, b).score(y, target, scored_from=2)

    for array, gradient in ((y, scored.dy), (w, scored.dw), (b, scored.db)):
        slopes = np.empty_like(array)
        for index in np.ndindex(array.shape):
            value = array[index]
            array[index] = value + 1e-3
            above = ReadOut(w, b).score(y, target, scored_from=2).loss
            array[index] = value - 1e-3
            below = ReadOut(w, b).score(y, target, scored_from=2).loss
            array[index] = value
            slopes[index] = (above - below) / 2e-3
        # A loss of about 10 has a rounding error of about 1e-15, divided by 2e-3.
        np.testing.assert_allclose(gradient, slopes, rtol=0, atol=1e-11)


def drawn(task: Task) -> tuple[NumpyArray, NumpyArray]:
    """x and target of 100 batches, one after another in time."""
    x, target = zip(*itertools.islice(task.batches("float64", seed=3), 100), strict=True)
    return np.stack(x), np.stack(target)


def test_the_stated_losses_of_the_oscillators_are_those_of_their_predictors() -> None:
    """On 100 batches, predicting the mean, the last value, and the best multiple of it cost what is stated."""
    x, target = drawn(TANH)

    # Values within a sequence are not independent; over 3200 sequences the mean of squares is good to about 1 %.
    assert np.mean(target**2) == pytest.approx(oscillators.LOSS_OF_THE_MEAN, rel=0.03)
    assert np.mean((target - x) ** 2) == pytest.approx(oscillators.LOSS_OF_THE_LAST_VALUE, rel=0.03)
    best = np.sum(x * target) / np.sum(x * x)
    assert np.mean((target - best * x) ** 2) == pytest.approx(0.141, rel=0.03)
    assert oscillators.TARGET_LOSS < oscillators.LOSS_OF_THE_MEAN / 20


def test_the_adding_problem_is_the_sum_of_the_two_marked_values() -> None:
    """One mark is in either half, and predicting the mean or one of the two values costs what is stated."""
    x, target = drawn(TASKS["lstm"])
    values, marks = x[..., 0], x[..., 1]

    half = adding.T // 2
    assert (marks[:, :half].sum(axis=1) == 1).all()
    assert (marks[:, half:].sum(axis=1) == 1).all()
    assert set(np.unique(marks)) == {0, 1}
    said = target[:, -1, :, 0]
    np.testing.assert_allclose(said, (values * marks).sum(axis=1), atol=1e-6)
    # Over 6400 sequences the mean of these squares is good to about 2 %.
    assert np.mean(said**2) == pytest.approx(adding.LOSS_OF_THE_MEAN, rel=0.05)
    first = (values * marks)[:, :half].sum(axis=1)
    assert np.mean((said - first) ** 2) == pytest.approx(adding.LOSS_OF_ONE_VALUE, rel=0.05)


def test_every_cell_has_a_task() -> None:
    """Named for the cell, with a target that the predictors to compare with do not reach."""
    assert set(TASKS) == set(CELLS)
    assert all(task.cell == cell and task.config("float32").cell == cell for cell, task in TASKS.items())
    for task in TASKS.values():
        dearer = [loss for loss in task.known_losses.values() if loss > task.target_loss]
        assert len(dearer) == 2
        assert task.steps_to_learn < task.steps


@ANY_CELL
def test_every_training_sees_the_same_weights_and_data(cell: str) -> None:
    """They depend on the seed alone: float64 holds the very values of float32."""
    task = TASKS[cell]

    def first(dtype: Dtype) -> list[Any]:
        weights, read_out = task.start(dtype, seed=0)
        arrays: list[Any] = [*weights.arrays.values(), read_out.w, read_out.b]
        return arrays + [array for batch in itertools.islice(task.batches(dtype, seed=0), 2) for array in batch]

    for again, single, double in zip(first("float32"), first("float32"), first("float64"), strict=True):
        assert single.dtype == np.float32
        assert double.dtype == np.float64
        np.testing.assert_array_equal(again, single)
        np.testing.assert_array_equal(single, double)
    x, target = next(task.batches("float32", seed=0))
    assert x.shape == (task.T, task.B, task.I)
    assert target.shape == (task.T, task.B, 1)


def test_the_next_value_is_the_target_of_the_oscillators() -> None:
    x, target = next(TANH.batches("float32", seed=0))
    np.testing.assert_array_equal(x[1:], target[:-1])


@pytest.fixture(scope="module", params=["relu", "lstm", "gru"])
def other_cell(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    """A few steps of another cell, by every implementation that computes it."""
    names = [name for name in IMPLEMENTATIONS if request.param in listing(name).cells]
    return train(implementations=names, cell=request.param, steps=25, out=tmp_path_factory.mktemp(request.param))


def test_curves_of_every_cell_agree_up_to_rounding(other_cell: TrainResult) -> None:
    """Those of all implementations that compute the cell, in one training and one table."""
    assert len(other_cell.curves) >= 4
    assert [(curve.implementation, curve.reason) for curve in other_cell.curves if curve.status != "ok"] == []
    assert other_cell.passed
    assert f"one {other_cell.task.cell} layer" in table(other_cell)
    assert set(pd.read_csv(other_cell.folder / "summary.csv")["cell"]) == {other_cell.task.cell}


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_gated_cells_learn_the_adding_problem(cell: str, tmp_path: Path) -> None:
    """By plain gradient descent, to a loss that takes both values to reach, from one above knowing one of them."""
    steps = TASKS[cell].steps_to_learn
    result = train(implementations=["numpy_hoisted"], cell=cell, steps=steps, out=tmp_path)

    assert result.passed, result.curves[0].reason
    assert result.curves[0].losses[0] > adding.LOSS_OF_ONE_VALUE
    assert final_loss(result.curves[0].losses) < adding.TARGET_LOSS


def test_an_implementation_without_the_cell_is_a_row_with_its_reason(tmp_path: Path) -> None:
    class_without = f"{__name__}:SlightlyWrong"
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
    assert "training steps" in capsys.readouterr().err


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


def test_final_loss_is_a_mean_over_the_last_steps() -> None:
    assert final_loss(np.r_[np.full(50, 9.0), np.full(20, 2.0)]) == 2.0
    assert math.isnan(final_loss(np.array([])))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("LeavesBySystemExit", "SystemExit at step 1: 0"),
        ("LeavesAtOnce", "Exited at step 1: 0"),
        ("LeavesByKeyboardInterrupt", "KeyboardInterrupt at step 1"),
    ],
)
def test_an_implementation_that_ends_the_program_has_failed(name: str, said: str, tmp_path: Path) -> None:
    """With the reason in its row; the others are trained, and the program goes on."""
    result = train(implementations=[f"tests.test_train:{name}", "numpy_loop"], steps=2, out=tmp_path / "out")
    left, right = result.curves
    assert left.status == "failed"
    assert said in str(left.reason)
    assert right.status == "ok"
    assert not result.passed


def test_ctrl_c_amid_somebodys_code_ends_the_training(tmp_path: Path) -> None:
    """It is not that code's failure: no statement of it raised the exception."""
    with pytest.raises(KeyboardInterrupt):
        train(implementations=["tests.test_train:IsInterrupted"], steps=2, out=tmp_path / "out")


def test_a_training_that_nothing_could_do_is_told(tmp_path: Path) -> None:
    """With each reason: nothing was judged."""
    result = train(implementations=["tests.test_train:NeedsAnotherMachine"], steps=2, out=tmp_path / "out")
    with pytest.raises(NothingMeasured, match="NeedsAnotherMachine is unavailable: this machine has no abacus"):
        result.check_trained()


def test_markup_and_formulas_of_a_reason_are_shown_as_they_are(tmp_path: Path) -> None:
    """In the table, which is Markdown, and in the CSV files, which spreadsheets open."""
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
    row = table(result).splitlines()[6]
    assert row.count(" | ") == 6
    assert r"=cmd()\|\[link\](http://example.org) \*\*bold\*\* &lt;b&gt;" in row
    assert "\x1b" not in row
    write_report(result)
    summary = pd.read_csv(tmp_path / "summary.csv").iloc[0]
    assert summary["implementation"] == "'@mine"
    assert summary["reason"].startswith("'=cmd()")
