"""The peaks of the machine, measured in a process for each device, dtype, precision and thread count."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from benchmarks.limits.peak import Settings, settings
from benchmarks.measuring.processes.lost import WorkerLost
from benchmarks.measuring.processes.process import Meanwhile, Worker
from benchmarks.workload import Workload

PEAK_SECONDS = 12.0
PEAK_SHARES = (0.02, 0.1)
"""The peaks of one device, dtype, precision and thread count take this many seconds, or the first share of the budget
where that is longer. The second share is the most for all peaks together."""
PEAK_TIMEOUT_SECONDS = 120.0
"""Grace of a process that measures peaks: it finishes the product under way, and a compiler is slow."""


def peak_seconds(budget_seconds: float, groups: int) -> float:
    """Seconds for the peaks of each of `groups` groups of settings."""
    least, most = (share * budget_seconds for share in PEAK_SHARES)
    return min(max(PEAK_SECONDS, least), most / groups)


def measure_peaks(
    workloads: Iterable[Workload],
    *,
    seconds: float,
    log: Path,
    say: Callable[[str], None],
    begin: Callable[[int, int], None] = lambda _number, _of: None,
    meanwhile: Meanwhile | None = None,
) -> list[dict[str, Any]]:
    """The peaks of every device, dtype, precision and thread count of the workloads, as JSON values.

    Each takes about `seconds`, in a process of its own that writes to `log`. A peak that could not be measured is left
    out, and `say` is handed the reason. `begin` is told the number of each group and of all before it is measured;
    `meanwhile` is called while it is.
    """
    groups: dict[Settings, list[Workload]] = defaultdict(list)
    for workload in workloads:
        groups[settings(workload)].append(workload)
    peaks: list[dict[str, Any]] = []
    for number, ((device, _, precision, threads), members) in enumerate(groups.items(), start=1):
        begin(number, len(groups))
        try:
            worker = Worker("", threads=threads, precision=precision, device=device, log=log)
        except WorkerLost as lost:
            say(f"the peaks of {device} could not be measured: {lost.reason}")
            continue
        worker.meanwhile = meanwhile
        request = {"do": "peaks", "workloads": [each.id for each in members], "seconds": seconds}
        try:
            worker.wait_ready()
            reply = worker.ask(request, seconds + PEAK_TIMEOUT_SECONDS)
            if "status" in reply:
                say(f"the peaks of {device} could not be measured: {reply['reason']}")
            for problem in reply.get("problems", []):
                say(problem)
            peaks += reply.get("peaks", [])
        except WorkerLost as lost:
            say(f"the peaks of {device} could not be measured: {lost.reason}")
        finally:
            worker.kill()
    return peaks
