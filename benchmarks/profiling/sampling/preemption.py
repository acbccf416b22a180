"""How long this process was preempted while it was timed: by other programs, or by the hypervisor.

It is read in blocks with a profiler and without, so that both are judged alike.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import psutil

THREADS = Path("/proc/self/task")
"""A folder for each thread of this process (proc(5))."""


class RunDelays(NamedTuple):
    """Seconds since a start that is not known: only differences have a meaning."""

    by_thread: Mapping[str, float] | None
    """For how long each thread of this process was runnable without a core. None where Linux does not say."""
    stolen: float
    """The steal time of the cores that this process may use: a hypervisor ran something else."""


def read_run_delays() -> RunDelays:
    """The run delays of this process up to now."""
    cores = psutil.cpu_times(percpu=True)
    usable = os.sched_getaffinity(0)
    stolen = sum(getattr(times, "steal", 0.0) for core, times in enumerate(cores) if core in usable)
    return RunDelays(_by_thread(), stolen)


def preempted_seconds(before: RunDelays, after: RunDelays) -> float | None:
    """For how long threads that are in both readings were preempted between them; None where it is not known."""
    if before.by_thread is None or after.by_thread is None:
        return None
    delayed = sum(
        seconds - before.by_thread[thread] for thread, seconds in after.by_thread.items() if thread in before.by_thread
    )
    return delayed + after.stolen - before.stolen


def _by_thread() -> dict[str, float] | None:
    """The second number of a thread's schedstat is its run delay (Documentation/scheduler/sched-stats.rst)."""
    found = {}
    for thread in THREADS.iterdir():
        try:
            found[thread.name] = int((thread / "schedstat").read_text(encoding="ascii").split()[1]) / 1e9
        except ProcessLookupError:
            # The thread ended after its file was opened.
            continue
        except OSError:
            # The thread may have ended after the threads were listed.
            if thread.exists():
                return None
    return found
