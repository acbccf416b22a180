"""One thread for every library and the machine in pytest-benchmark's file, as for `benchmarks/suite`."""

from benchmarks.suite.conftest import pytest_benchmark_update_machine_info

__all__ = ["pytest_benchmark_update_machine_info"]
