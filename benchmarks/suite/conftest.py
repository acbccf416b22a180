"""One thread for every library, before any of them is imported; and what machine it was, in pytest-benchmark's file."""

from __future__ import annotations

import os
from typing import Any

import pytest

from benchmarks.measuring.environment import worker_environment

os.environ.update(worker_environment(threads=1))


# pytest-codspeed blocks pytest-benchmark, and pytest refuses a hook that no plugin has announced.
@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_machine_info(machine_info: dict[str, Any]) -> None:
    """Add this machine's key and description, and the versions of what takes part; `machine` is the architecture's."""
    from benchmarks import machine

    described = machine.describe_machine()
    machine_info |= {"key": described["key"], "described": described, "packages": machine.packages()}
