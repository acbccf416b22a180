"""How long this process was kept from the cores while it was timed: by other programs, or by the hypervisor.

It can be told with looks and without, so that both sides of a pair of blocks are judged by the same.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import psutil

_THREADS = Path("/proc/self/task")


class Reading(NamedTuple):
    """Seconds since any start: differences count."""

    ready: Mapping[str, float] | None
    """By thread of this process: for how long it could have run and had no core. None where Linux does not tell."""
    stolen: float
    """What the hypervisor took of the cores that this process may use."""


def read() -> Reading:
    """Now."""
    cores = psutil.cpu_times(percpu=True)
    usable = os.sched_getaffinity(0)
    stolen = sum(getattr(times, "steal", 0.0) for core, times in enumerate(cores) if core in usable)
    return Reading(_ready(), stolen)


def taken_seconds(before: Reading, after: Reading) -> float | None:
    """For how long the threads that lived all along were kept from the cores in between; None if not known."""
    if before.ready is None or after.ready is None:
        return None
    waited = sum(seconds - before.ready[thread] for thread, seconds in after.ready.items() if thread in before.ready)
    return waited + after.stolen - before.stolen


def _ready() -> dict[str, float] | None:
    """The second number of each thread's schedstat is nanoseconds (Documentation/scheduler/sched-stats.rst)."""
    found = {}
    for thread in _THREADS.iterdir():
        try:
            found[thread.name] = int((thread / "schedstat").read_text(encoding="ascii").split()[1]) / 1e9
        except ProcessLookupError:
            # It has ended since its file was opened.
            continue
        except OSError:
            # Or since the list was read.
            if thread.exists():
                return None
    return found
