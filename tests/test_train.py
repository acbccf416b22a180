"""Training: what each implementation learns, how curves are judged, and the files that are left."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.training import adding, oscillators
from benchmarks.training.learning_curve import TrainResult, final_loss, judge_curve, tolerance
from benchmarks.training.report import table
from benchmarks.training.tasks import TASKS
from benchmarks.training.train import train
from rnnimpl.registry import listing
from tests.engines import ordinary
from tests.training_faults import named

IMPLEMENTATIONS = ordinary()
TANH = TASKS["tanh"]


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    """Every implementation for the CPU, trained for as long as the task takes."""
    return train(implementations=IMPLEMENTATIONS, steps=80, out=tmp_path_factory.mktemp("train"))


@pytest.fixture(scope="module")
def float64_result(tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    """A training in float64, of fewer steps."""
    return train(implementations=IMPLEMENTATIONS, steps=20, dtype="float64", out=tmp_path_factory.mktemp("float64"))


@pytest.mark.parametrize("name", IMPLEMENTATIONS)
def test_every_implementation_learns_the_task(result: TrainResult, name: str) -> None:
    """Every loss starts near that of predicting the mean and ends below a quarter of repeating the last value."""
    losses = named(result, name).losses

    assert losses.size == 80
    assert losses[0] > oscillators.LOSS_OF_THE_MEAN / 2
    assert final_loss(losses) < TANH.target_loss


@pytest.mark.parametrize("name", IMPLEMENTATIONS)
def test_curves_agree_up_to_rounding(result: TrainResult, name: str) -> None:
    """Every curve is within the tolerance of the plain loop's, which is below 1e-5."""
    assert result.tolerance < 1e-5
    assert named(result, name).status == "ok", named(result, name).reason


@pytest.mark.parametrize("name", IMPLEMENTATIONS)
def test_float64_curves_agree_as_much_closer_as_they_are_rounded_finer(float64_result: TrainResult, name: str) -> None:
    """The tolerance in float64 is 2**-29 of that in float32, and every curve keeps to it."""
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


def test_a_wrong_gradient_is_distinguished_from_rounding(tmp_path: Path) -> None:
    """A relative error of 1e-4 in one weight's gradient is found, and the reason says where and how far."""
    wrong = "tests.training_faults:SlightlyWrong"

    result = train(implementations=[wrong, "numpy_loop"], steps=20, out=tmp_path)

    assert named(result, wrong).status == "wrong"
    assert "rounding explains" in str(named(result, wrong).reason)
    assert named(result, "numpy_loop").status == "ok"
    assert not result.passed


def test_a_loss_that_is_no_number_ends_the_training(tmp_path: Path) -> None:
    result = train(implementations=["tests.training_faults:Overflows"], steps=5, out=tmp_path)

    assert result.curves[0].losses.size == 1
    assert result.curves[0].status == "wrong"
    assert result.curves[0].reason == "the loss at step 1 is nan"


def test_a_curve_that_stays_high_is_wrong_when_the_training_was_long_enough() -> None:
    """A loss above the target is a fault from the task's `steps_to_learn` on, and none before."""
    high = np.full(TANH.steps_to_learn, 2 * TANH.target_loss)

    assert judge_curve(high, high, 0.0, TANH)[0] == "wrong"
    assert judge_curve(high[1:], high[1:], 0.0, TANH) == ("ok", None)
    assert judge_curve(high / 3, high / 3, 0.0, TANH) == ("ok", None)


def test_only_the_first_steps_are_held_to_the_tolerance() -> None:
    reference = np.full(150, 0.02)
    early, late = reference.copy(), reference.copy()
    early[99] *= 1.1
    late[100] *= 1.1

    assert judge_curve(early, reference, 0.05, TANH)[0] == "wrong"
    assert judge_curve(late, reference, 0.05, TANH)[0] == "ok"


def test_the_tolerance_is_five_times_the_plain_loops_own_error() -> None:
    """The tolerance scales with the dtype's roundoff, and is at least five roundoffs."""
    exact = np.ones(10)

    assert tolerance(exact * (1 + 1e-6), exact, "float32") == pytest.approx(5e-6)
    assert tolerance(exact * (1 + 1e-6), exact, "float64") == pytest.approx(5e-6 * 2.0**-29)
    assert tolerance(exact, exact, "float64") == 5 * 2.0**-53


@pytest.fixture(scope="module", params=["relu", "lstm", "gru"])
def other_cell(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    """A few steps of another cell, by every implementation that computes it."""
    names = [name for name in IMPLEMENTATIONS if request.param in listing(name).cells]
    return train(implementations=names, cell=request.param, steps=25, out=tmp_path_factory.mktemp(request.param))


def test_curves_of_every_cell_agree_up_to_rounding(other_cell: TrainResult) -> None:
    """All implementations that compute the cell are compared in one training and one table."""
    assert len(other_cell.curves) >= 4
    assert [(curve.implementation, curve.reason) for curve in other_cell.curves if curve.status != "ok"] == []
    assert other_cell.passed
    assert f"one {other_cell.task.cell} layer" in table(other_cell)
    assert set(pd.read_csv(other_cell.folder / "summary.csv")["cell"]) == {other_cell.task.cell}


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_gated_cells_learn_the_adding_problem(cell: str, tmp_path: Path) -> None:
    """Plain gradient descent reaches a loss that needs both values."""
    steps = TASKS[cell].steps_to_learn
    result = train(implementations=["numpy_hoisted"], cell=cell, steps=steps, out=tmp_path)

    assert result.passed, result.curves[0].reason
    assert result.curves[0].losses[0] > adding.LOSS_OF_ONE_VALUE
    assert final_loss(result.curves[0].losses) < adding.TARGET_LOSS


def test_final_loss_is_a_mean_over_the_last_steps() -> None:
    assert final_loss(np.r_[np.full(50, 9.0), np.full(20, 2.0)]) == 2.0
    assert math.isnan(final_loss(np.array([])))
