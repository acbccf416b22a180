"""Injected work is found in its own kind. These tests measure: `pytest -m injected` on a quiet machine runs them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from benchmarks.measuring.measure import Subject
from benchmarks.profiling.sampling.cpu_profile import profile_cpu
from benchmarks.profiling.sampling.kinds import WorkKind
from benchmarks.workload import Workload
from rnnimpl.impls.numpy_hoisted import NumpyHoisted
from rnnimpl.interface import CellName, NumpyArray, State

CELLS: tuple[CellName, ...] = ("tanh", "lstm")
SOURCE, TARGET = np.ones(1 << 20, np.float32), np.empty(1 << 20, np.float32)
SQUARE, PRODUCT = np.ones((384, 384), np.float32), np.empty((384, 384), np.float32)


def sleep() -> None:
    time.sleep(0.004)


def copy() -> None:
    for _ in range(8):
        np.copyto(TARGET, SOURCE)


def multiply() -> None:
    for _ in range(2):
        np.matmul(SQUARE, SQUARE, out=PRODUCT)


def loop() -> None:
    total = 0
    for number in range(60_000):
        total += number


def seconds_by_kind(cell: CellName, work: Callable[[], None]) -> tuple[dict[str, float], float]:
    """Unprofiled seconds of a call by kind, and the median time of the injected work in it."""
    costs: list[float] = []
    workload = Workload(mode="inference", T=32, B=1, I=64, H=64, cell=cell)

    class WithWork(NumpyHoisted):
        def forward(
            self, x: NumpyArray, state: State[NumpyArray] | None = None
        ) -> tuple[NumpyArray, State[NumpyArray]]:
            start = time.perf_counter()
            work()
            costs.append(time.perf_counter() - start)
            return super().forward(x, state)

    subject = Subject(WithWork, workload, clock=time.perf_counter)
    for _ in range(20):
        subject.call.make()
    found: dict[str, Any] = profile_cpu(subject, 4.0)
    samples = found["passes"]["1"]["kinds"]
    seconds_a_sample = found["unprofiled_seconds"] / sum(samples.values())
    return {kind: count * seconds_a_sample for kind, count in samples.items()}, statistics.median(costs)


@pytest.mark.injected
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(
    ("work", "kind"), [(sleep, "waiting"), (copy, "memory"), (multiply, "products"), (loop, "overhead")]
)
def test_injected_work_is_found_in_its_kind(work: Callable[[], None], kind: WorkKind, cell: CellName) -> None:
    """To within a tenth of its cost, as the same process measured it."""
    without, _ = seconds_by_kind(cell, lambda: None)
    found, cost = seconds_by_kind(cell, work)
    assert found[kind] - without.get(kind, 0.0) == pytest.approx(cost, rel=0.1)
