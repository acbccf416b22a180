"""A visit to a case in this process."""

from __future__ import annotations

import time
from typing import Any

from benchmarks.measuring.checking.expectations import Expectations
from benchmarks.measuring.measure import Subject, Wrong
from benchmarks.workload import Workload
from rnnimpl.interface import Rnn

EXPECTATIONS = Expectations(seed=1)
BLOCKS = 6


def visit(implementation: type[Rnn[Any]], workload: Workload) -> str | None:
    """Why a visit finds the implementation wrong, in this process; None where it does not."""
    expected = EXPECTATIONS.get(workload)
    try:
        subject = Subject(implementation, workload, clock=time.perf_counter, seed=expected.seed)
        subject.prepare(expected.expectation, expected.steps, warm_up_seconds=0.0)
        for check in EXPECTATIONS.spot_checks(workload, BLOCKS):
            subject.block(check.call)
            problem = check.problem(subject.results(check.rows, check.steps, check.weights))
            if problem is not None:
                return problem
        subject.finish()
    except Wrong as wrong:
        return str(wrong)
    return None
