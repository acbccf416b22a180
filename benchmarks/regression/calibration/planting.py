"""Real extra work inside an implementation, of a size that is known: what a regression is, made on purpose.

Loaded into a process of the suite with `-p benchmarks.regression.calibration.planting`, it makes each implementation do
more in each call: another stretch of Python where the interpreter is the bottleneck, another partial matrix product
where products are. RNNBENCH_PLANTS holds JSON: {case: amount of work}.

Run as a module, it finds amounts to begin with: for each case and size, calls with and without it alternate many times.
"""

from __future__ import annotations

import functools
import json
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from benchmarks.workload import Case
from rnnimpl import Rnn, RnnConfig, Weights

SIZES = (0.02, 0.05, 0.10, 0.20)
"""The slowdowns, as shares of the call."""
WIDE = 128
"""Networks with so many hidden units or more are bound by products here, others by Python."""
SECONDS = 0.6
"""How long calls with and without the work alternate."""

Load = Callable[[str], type[Rnn[Any]]]


def pytest_collection_finish() -> None:
    """Have the suite load implementations that do more."""
    from benchmarks.suite import test_speed
    from rnnimpl import load

    amounts: dict[str, int] = json.loads(os.environ["RNNBENCH_PLANTS"])
    planted: Any = planting(load, amounts)
    vars(test_speed)["load"] = planted


def planting(load: Load, amounts: Mapping[str, int]) -> Load:
    """`load`, giving classes whose calls do the extra work of their case."""
    by_call = {_call(Case.parse(case)): amount for case, amount in amounts.items()}

    def load_planted(name: str) -> type[Rnn[Any]]:
        plain: Any = load(name)

        class Planted(plain):  # type: ignore[misc]  # the class is known only now
            """Does more than it should."""

            def __init__(self, config: RnnConfig, weights: Weights, device: str = "cpu") -> None:
                super().__init__(config, weights, device)
                self._inference = by_call.get((name, "inference", config.cell, config.hidden_size), 0)
                self._training = by_call.get((name, "training", config.cell, config.hidden_size), 0)

            def forward(self, *arguments: Any) -> Any:
                work(self.config, self._inference)
                return super().forward(*arguments)

            def vjp(self, *arguments: Any) -> Any:
                work(self.config, self._training)
                return super().vjp(*arguments)

        planted: type[Rnn[Any]] = Planted
        return planted

    return load_planted


def work(config: RnnConfig, amount: int) -> None:
    """Do so many steps of a Python loop, or so many rows of a product with a matrix of the size of w_hh: (H, G*H)."""
    if config.hidden_size < WIDE:
        total = 0
        for step in range(amount):
            total += step
    elif amount:
        rows, matrix, out = _product(config.hidden_size, config.num_gates * config.hidden_size, amount)
        np.matmul(rows, matrix, out=out)


@functools.cache
def _product(H: int, columns: int, amount: int) -> tuple[Any, Any, Any]:
    half = np.float32(0.5)
    return np.full((amount, H), half), np.full((H, columns), half), np.empty((amount, columns), dtype=np.float32)


def _call(case: Case) -> tuple[str, str, str, int]:
    return case.implementation, case.workload.mode, case.workload.cell, case.workload.H


def amounts_by_call() -> dict[str, dict[str, int]]:
    """{case: {size: amount}}, by calls with and without the work that alternate; `amounts_in_turns` refines them."""
    from benchmarks.measuring.measure import Subject
    from benchmarks.suite import test_speed
    from benchmarks.suite.cases import regression_cases
    from rnnimpl import load

    found: dict[str, dict[str, int]] = {}
    for case in (case for case in regression_cases() if case.workload.device == "cpu"):
        workload = case.workload
        implementation = load(case.implementation)
        implementation.configure_process(threads=workload.threads, precision=workload.precision)
        subject = Subject(implementation, workload, clock=time.perf_counter)
        subject.prepare(test_speed.expectation(workload), workload.T)
        call = test_speed.one_call(subject)

        def measure(amount: int, call: Callable[[], None] = call, config: RnnConfig = workload.config) -> float:
            def more() -> None:
                work(config, amount)
                call()

            return _slowdown(more, call, SECONDS)

        found[case.id] = _amounts(measure)
    return found


def _slowdown(with_work: Callable[[], None], without: Callable[[], None], seconds: float) -> float:
    """How much longer calls take with the work, as a share: the median over calls that follow each other."""
    ratios: list[float] = []
    clock = time.perf_counter
    end = clock() + seconds
    while clock() < end:
        start = clock()
        without()
        middle = clock()
        with_work()
        ratios.append((clock() - middle) / (middle - start))
    return statistics.median(ratios) - 1


def _amounts(measure: Callable[[int], float]) -> dict[str, int]:
    """The amount for each size, between amounts that double until the call is slower than all of them ask."""
    probes = [(0, 0.0)]
    while probes[-1][1] < 1.1 * max(SIZES):
        amount = max(4, 2 * probes[-1][0])
        probes.append((amount, max(measure(amount), probes[-1][1])))
    amounts, slowdowns = zip(*probes, strict=True)
    return {str(size): max(1, round(float(np.interp(size, slowdowns, amounts)))) for size in SIZES}


def amounts_in_turns(measured: Sequence[tuple[int, float]]) -> dict[str, int]:
    """The amount for each size, from (amount, slowdown as a share) of a case in processes that took turns.

    On Siegel's line of repeated medians, which stray processes do not tilt: a planted call costs something by itself,
    and work that costs so much among calls that are repeated costs another in the suite.
    """
    amounts, slowdowns = zip(*measured, strict=True)
    line = stats.siegelslopes(slowdowns, amounts)
    return {str(size): max(1, round(float((size - line.intercept) / line.slope))) for size in SIZES}


if __name__ == "__main__":
    print(json.dumps(amounts_by_call()))
