"""How much of the cores something else took while a case was sampled: other programs, or the hypervisor.

Nothing here changes what is measured. A trial that was disturbed is marked, not dropped.
"""

from __future__ import annotations

import time
from typing import NamedTuple

import psutil

from benchmarks.measuring.process_tree import ProcessTree


class Reading(NamedTuple):
    """Seconds since the machine's or the process's start: of all cores together but for `at`, which is one clock."""

    at: float
    busy: float
    ours: float


class Interference:
    """Adds up, over the blocks of a visit, what the cores did for others."""

    def __init__(self) -> None:
        self._elsewhere_seconds = 0.0
        self._core_seconds = 0.0

    @property
    def share(self) -> float | None:
        """The share of all cores' time that others took, 0 to 1; None before the first block."""
        if not self._core_seconds:
            return None
        return min(1.0, max(0.0, self._elsewhere_seconds / self._core_seconds))

    def add(self, before: Reading, after: Reading, cores: int) -> None:
        """Count the time between two readings on a machine with so many cores."""
        self._elsewhere_seconds += (after.busy - before.busy) - (after.ours - before.ours)
        self._core_seconds += (after.at - before.at) * cores


def read(worker: ProcessTree) -> Reading:
    """Now: what the whole machine has worked, time stolen by a hypervisor included, and what of it was ours.

    Ours is what this process did, and the worker with all that it has started.
    """
    machine = psutil.cpu_times()
    idle = machine.idle + getattr(machine, "iowait", 0.0)
    # Guests are counted in user time already.
    counted_twice = getattr(machine, "guest", 0.0) + getattr(machine, "guest_nice", 0.0)
    of_parent = psutil.Process().cpu_times()
    ours = worker.cpu_seconds() + of_parent.user + of_parent.system
    return Reading(time.monotonic(), sum(machine) - idle - counted_twice, ours)
