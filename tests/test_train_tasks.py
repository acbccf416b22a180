"""The tasks of a training: their data, their stated losses, and the gradients of the read-out."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from benchmarks.training import adding, oscillators
from benchmarks.training.task import ReadOut, Task
from benchmarks.training.tasks import TASKS
from rnnimpl.cells import CELLS
from rnnimpl.dtypes import Dtype
from rnnimpl.interface import NumpyArray

TANH = TASKS["tanh"]
ANY_CELL = pytest.mark.parametrize("cell", sorted(TASKS))


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
    """The mean, the last value and its best multiple have the stated losses on 100 batches."""
    x, target = drawn(TANH)

    # Values within a sequence are not independent; over 3200 sequences the mean of squares is good to about 1 %.
    assert np.mean(target**2) == pytest.approx(oscillators.LOSS_OF_THE_MEAN, rel=0.03)
    assert np.mean((target - x) ** 2) == pytest.approx(oscillators.LOSS_OF_THE_LAST_VALUE, rel=0.03)
    best = np.sum(x * target) / np.sum(x * x)
    assert np.mean((target - best * x) ** 2) == pytest.approx(0.141, rel=0.03)
    assert oscillators.TARGET_LOSS < oscillators.LOSS_OF_THE_MEAN / 20


def test_the_adding_problem_is_the_sum_of_the_two_marked_values() -> None:
    """Each half has one mark, and predicting the mean or one of the two values has the stated loss."""
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
    """Weights and data follow from the seed alone, and float64 holds the values of float32."""
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
