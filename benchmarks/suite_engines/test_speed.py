"""Time each regression case of the engines as `benchmarks/suite` times its own."""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.suite import test_speed as plain
from benchmarks.suite_engines.cases import engine_cases

CASES = [pytest.param(case.id, marks=pytest.mark.benchmark(group=case.workload.id)) for case in engine_cases()]


@pytest.mark.parametrize("case_id", CASES)
def test_speed(benchmark: BenchmarkFixture, case_id: str) -> None:
    """One call of the case, from its input on the device until its results are ready there, checked before."""
    plain.test_speed(benchmark, case_id)
