"""Time each regression case with pytest-benchmark's fixture, after its results were checked against float64."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.measuring.inputs import make_inputs
from benchmarks.measuring.measure import Prepared, Subject
from benchmarks.suite.cases import regression_cases
from benchmarks.workload import Case, Workload
from rnnimpl import Unavailable, load
from rnnimpl.expectation import Expectation
from rnnimpl.tolerance import expect

WARM_UP_SECONDS = 0.02
"""Whoever compares takes a low quantile or the median of many rounds, so the first of them may still be slow."""
CASES = [pytest.param(case.id, marks=pytest.mark.benchmark(group=case.workload.id)) for case in regression_cases()]


@pytest.mark.parametrize("case_id", CASES)
def test_speed(benchmark: BenchmarkFixture, case_id: str) -> None:
    """One call of the case, from its input on the device until its results are ready there.

    It is first checked: Wrong is raised when a result is outside its tolerance, and nothing is timed.
    """
    case = Case.parse(case_id)
    workload = case.workload
    try:
        implementation = load(case.implementation)
        implementation.configure_process(threads=workload.threads, precision=workload.precision)
        subject = Subject(implementation, workload, clock=time.perf_counter)
    except Unavailable as missing:
        pytest.skip(str(missing))
    prepared = subject.prepare(expectation(workload), workload.T, warm_up_seconds=WARM_UP_SECONDS)
    benchmark.extra_info.update(describe(case, prepared))
    benchmark(one_call(subject))


@functools.cache
def expectation(workload: Workload) -> Expectation:
    """What the workload's results should be, once a process."""
    inputs = make_inputs(workload)
    return expect(workload.config, inputs.weights, inputs.x, None, inputs.dy, inputs.dh_n, precision=workload.precision)


def one_call(subject: Subject) -> Callable[[], None]:
    """The call that is timed: a forward pass, and in training its pullback; it waits for the device."""
    rnn, x, dy, dh_n = subject.rnn, subject.x, subject.dy, subject.dh_n

    def inference() -> None:
        rnn.forward(x)
        rnn.synchronize()

    def training() -> None:
        _, _, pullback = rnn.vjp(x)
        pullback(dy, dh_n)
        rnn.synchronize()

    return inference if subject.workload.mode == "inference" else training


def describe(case: Case, prepared: Prepared) -> dict[str, Any]:
    """What the case was and what making it ready took, for pytest-benchmark's `extra_info`; JSON values."""
    return {
        "case": case.id,
        "implementation": case.implementation,
        "workload": dataclasses.asdict(case.workload),
        "describe": dict(prepared.describe),
        "setup_seconds": prepared.setup_seconds,
        "first_call_seconds": prepared.first_call_seconds,
        **prepared.errors,
    }
