"""The share of the cores that others used while a case was sampled: other programs, or the hypervisor.

Nothing here changes what is measured: a visit with much interference is marked, not dropped.
"""

from __future__ import annotations

import time
from typing import NamedTuple

import psutil

from benchmarks.measuring.processes.process_tree import ProcessTree


class CoreSeconds(NamedTuple):
    """Core seconds since the start of the machine or of a process, and the clock at the same time.

    `busy` is of the whole machine, `ours` of this process and the worker; `at` is the time of `time.monotonic`.
    """

    at: float
    busy: float
    ours: float


class Interference:
    """The core time that others used, summed over the blocks of a visit."""

    def __init__(self) -> None:
        self._elsewhere_seconds = 0.0
        self._core_seconds = 0.0

    @property
    def share(self) -> float | None:
        """The share of all cores' time that others used, 0 to 1; None before the first block."""
        if not self._core_seconds:
            return None
        return min(1.0, max(0.0, self._elsewhere_seconds / self._core_seconds))

    def add(self, before: CoreSeconds, after: CoreSeconds, cores: int) -> None:
        """Count the time between two readings on a machine with `cores` cores."""
        self._elsewhere_seconds += (after.busy - before.busy) - (after.ours - before.ours)
        self._core_seconds += (after.at - before.at) * cores


def read_core_seconds(worker: ProcessTree) -> CoreSeconds:
    """The core time so far of the machine, with time stolen by a hypervisor, and of the sweep.

    The sweep is this process, and the worker with all processes that it has started.
    """
    machine = psutil.cpu_times()
    idle = machine.idle + getattr(machine, "iowait", 0.0)
    # The user time includes guests.
    counted_twice = getattr(machine, "guest", 0.0) + getattr(machine, "guest_nice", 0.0)
    of_parent = psutil.Process().cpu_times()
    ours = worker.cpu_seconds() + of_parent.user + of_parent.system
    return CoreSeconds(time.monotonic(), sum(machine) - idle - counted_twice, ours)
