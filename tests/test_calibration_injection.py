"""Injected slowdowns: the extra work in a call, and its amount for each size of slowdown."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from benchmarks.regression.calibration import injection
from benchmarks.suite import test_speed
from benchmarks.workload import Case
from rnnimpl import RnnConfig, Weights, load
from rnnimpl.interface import CellName


def test_injected_work_does_not_change_the_results(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the named case has the work."""
    done: list[tuple[int, int]] = []
    monkeypatch.setattr(injection, "extra_work", lambda config, amount: done.append((config.hidden_size, amount)))
    case = "numpy_loop/cpu/inference/T4-B1-I8-H8-L1-tanh-float32"
    config = RnnConfig(input_size=8, hidden_size=8)
    weights = Weights.init(config, seed=0)
    x = np.ones((4, 1, 8), dtype=np.float32)
    slowed = injection.with_extra_work(load, {case: 7})("numpy_loop")(config, weights, "cpu")
    plain = load("numpy_loop")(config, weights, "cpu")
    np.testing.assert_array_equal(slowed.forward(x)[0], plain.forward(x)[0])
    slowed.vjp(x)
    assert done == [(8, 7), (8, 0)]


def test_the_suite_loads_slowed_implementations(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does so once pytest has collected it, by the amounts in the environment."""
    done: list[tuple[int, int]] = []
    monkeypatch.setattr(injection, "extra_work", lambda config, amount: done.append((config.hidden_size, amount)))
    monkeypatch.setattr(test_speed, "load", load)
    monkeypatch.setenv("RNNBENCH_INJECTED_WORK", json.dumps({"numpy_loop/cpu/training/T4-B1-I8-H8-L1-tanh-float32": 3}))
    injection.pytest_collection_finish()
    config = RnnConfig(input_size=8, hidden_size=8)
    loaded = vars(test_speed)["load"]("numpy_loop")(config, Weights.init(config, seed=0), "cpu")
    loaded.vjp(np.ones((4, 1, 8), dtype=np.float32))
    assert done == [(8, 3)]


def test_injected_work_grows_with_its_amount(monkeypatch: pytest.MonkeyPatch) -> None:
    """The amount is the steps of a loop in narrow networks, and the rows of a product in wide ones; 0 does nothing."""
    products: list[tuple[int, ...]] = []
    monkeypatch.setattr("numpy.matmul", lambda rows, matrix, **_: products.append((*rows.shape, *matrix.shape)))
    wide = RnnConfig(input_size=1, hidden_size=injection.WIDE)
    for amount in (0, 5, 6):
        injection.extra_work(wide, amount)
    assert products == [(5, 128, 128, 128), (6, 128, 128, 128)]
    steps: list[int] = []

    def counted(amount: int) -> range:
        steps.append(amount)
        return range(amount)

    monkeypatch.setattr(injection, "range", counted, raising=False)
    injection.extra_work(dataclasses.replace(wide, hidden_size=injection.WIDE - 1), 7)
    assert (steps, len(products)) == ([7], 2)


def test_injected_products_are_as_wide_as_the_gates(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row of an LSTM's product with the state has 4*H columns, one of a GRU's 3*H."""
    shapes: list[tuple[int, ...]] = []
    monkeypatch.setattr("numpy.matmul", lambda _, matrix, out: shapes.append((*matrix.shape, *out.shape)))
    cells: tuple[CellName, ...] = ("lstm", "gru")
    for cell in cells:
        injection.extra_work(RnnConfig(input_size=1, hidden_size=injection.WIDE, cell=cell), 2)
    assert shapes == [(128, 512, 2, 512), (128, 384, 2, 384)]


def test_work_is_injected_in_the_case_of_one_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cases of two cells may have the same implementation, mode and sizes."""
    done: list[tuple[str, int]] = []
    monkeypatch.setattr(injection, "extra_work", lambda config, amount: done.append((config.cell, amount)))
    amounts = {f"numpy_loop/cpu/inference/T4-B1-I8-H8-L1-{cell}-float32": 3 + len(cell) for cell in ("gru", "lstm")}
    for case in map(Case.parse, amounts):
        config = case.workload.config
        slowed = injection.with_extra_work(load, amounts)("numpy_loop")(config, Weights.init(config, seed=0), "cpu")
        slowed.forward(np.ones((4, 1, 8), dtype=np.float32))
    assert done == [("gru", 6), ("lstm", 7)]


def test_a_slowdown_is_the_median_over_neighbouring_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls take a second, those with the work 1.5 s, and one of them is interrupted."""
    now = [0.0]
    waits = iter([0.0, 9.0, 0.0, 0.0])

    def without() -> None:
        now[0] += 1.0

    def with_work() -> None:
        now[0] += 1.5 + next(waits)

    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    assert injection.slowdown(with_work, without, 15.0) == pytest.approx(0.5)
    assert next(waits) == 0.0


def test_amounts_are_interpolated_between_probes() -> None:
    """A unit of work costs a thousandth of the call, so 2 % take 20 units."""
    assert injection.amounts_by_probes(lambda amount: amount / 1000) == {"0.02": 20, "0.05": 50, "0.1": 100, "0.2": 200}


def test_amounts_are_refined_by_interleaved_processes() -> None:
    """The injection costs 1 % by itself, a unit of work 0.2 %; one process in nine is a stray."""
    amounts = [5, 5, 10, 20, 20, 50, 50, 100, 100]
    measured = [(amount, 0.01 + 0.002 * amount) for amount in amounts]
    assert injection.refined_amounts([(20, 0.4), *measured]) == {"0.02": 5, "0.05": 20, "0.1": 45, "0.2": 95}
    assert injection.refined_amounts([(amount, 0.03 + 0.002 * amount) for amount in amounts])["0.02"] == 1
