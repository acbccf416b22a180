"""Injected slowdowns: real extra work of a known size in each call of an implementation.

Loaded into a process of the suite with `-p benchmarks.regression.calibration.injection`, it adds a Python loop to the
calls of networks that the interpreter bounds, and a partial matrix product to those of networks that products bound.
RNNBENCH_INJECTED_WORK holds JSON: {case: amount of work}, in iterations of the loop or rows of the product.

Run as a module, it prints first amounts as JSON: for each case and size, calls with and without the work alternate many
times.
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
"""The injected slowdowns, as shares of the time of a call."""
WIDE = 128
"""The least number of hidden units of networks that products bound here; Python bounds the others."""
SECONDS = 0.6
"""How long calls with and without the work alternate, for each amount that is tried."""

Load = Callable[[str], type[Rnn[Any]]]


def pytest_collection_finish() -> None:
    """Replace the function by which the suite loads implementations."""
    from benchmarks.suite import test_speed
    from rnnimpl import load

    amounts: dict[str, int] = json.loads(os.environ["RNNBENCH_INJECTED_WORK"])
    slowed: Any = with_extra_work(load, amounts)
    vars(test_speed)["load"] = slowed


def with_extra_work(load: Load, amounts: Mapping[str, int]) -> Load:
    """A function like `load`, whose classes do the extra work of their case in each call; `amounts` are by case."""
    by_call = {_call(Case.parse(case)): amount for case, amount in amounts.items()}

    def load_slowed(name: str) -> type[Rnn[Any]]:
        plain: Any = load(name)

        class Slowed(plain):  # type: ignore[misc]  # the class is known only now
            """An implementation with extra work in each call."""

            def __init__(self, config: RnnConfig, weights: Weights, device: str = "cpu") -> None:
                super().__init__(config, weights, device)
                self._inference = by_call.get((name, "inference", config.cell, config.hidden_size), 0)
                self._training = by_call.get((name, "training", config.cell, config.hidden_size), 0)

            def forward(self, *arguments: Any) -> Any:
                extra_work(self.config, self._inference)
                return super().forward(*arguments)

            def vjp(self, *arguments: Any) -> Any:
                extra_work(self.config, self._training)
                return super().vjp(*arguments)

        slowed: type[Rnn[Any]] = Slowed
        return slowed

    return load_slowed


def extra_work(config: RnnConfig, amount: int) -> None:
    """Run a Python loop of `amount` steps, or multiply as many rows by a matrix of the size of w_hh: (H, G*H)."""
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


def first_amounts() -> dict[str, dict[str, int]]:
    """{case: {size: amount}}, from calls with and without the work that alternate in one process.

    `refined_amounts` gives better ones, once groups of processes are measured.
    """
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
                extra_work(config, amount)
                call()

            return slowdown(more, call, SECONDS)

        found[case.id] = amounts_by_probes(measure)
    return found


def slowdown(with_work: Callable[[], None], without: Callable[[], None], seconds: float) -> float:
    """How much longer calls take with the work, as a share: the median over pairs of neighbouring calls.

    The calls alternate for this many seconds.
    """
    from benchmarks.measuring.calls.timing import timed_in_turns

    turns = timed_in_turns((without, with_work), time.perf_counter, seconds)
    return statistics.median(slowed / plain for plain, slowed in turns) - 1


def amounts_by_probes(measure: Callable[[int], float]) -> dict[str, int]:
    """{size: amount}, interpolated between probes; `measure` gives the slowdown, as a share, of an amount.

    The amount of the probes doubles until its slowdown exceeds the largest size.
    """
    probes = [(0, 0.0)]
    while probes[-1][1] < 1.1 * max(SIZES):
        amount = max(4, 2 * probes[-1][0])
        probes.append((amount, max(measure(amount), probes[-1][1])))
    amounts, slowdowns = zip(*probes, strict=True)
    return {str(size): max(1, round(float(np.interp(size, slowdowns, amounts)))) for size in SIZES}


def refined_amounts(measured: Sequence[tuple[int, float]]) -> dict[str, int]:
    """{size: amount}, from (amount, slowdown as a share) of a case in groups of interleaved processes.

    The amounts lie on Siegel's line of repeated medians, which stray processes do not tilt. Its intercept is the cost
    of the injection itself, without work.
    """
    amounts, slowdowns = zip(*measured, strict=True)
    line = stats.siegelslopes(slowdowns, amounts)
    return {str(size): max(1, round(float((size - line.intercept) / line.slope))) for size in SIZES}


if __name__ == "__main__":
    print(json.dumps(first_amounts()))
