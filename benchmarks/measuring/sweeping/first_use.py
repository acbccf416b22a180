"""What the first use of an implementation on a machine costs: set-up and first call with nothing kept from earlier."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.measuring.processes.lost import WorkerLost
from benchmarks.measuring.processes.process import Meanwhile, Worker
from benchmarks.workload import Workload
from rnnimpl.cache import VARIABLE
from rnnimpl.registry import listing

LEAST_BUDGET_SECONDS = 300.0
"""The shortest budget of a sweep that measures first uses too."""
MOST_SHARE = 0.1
"""The most of the budget that the first use of one implementation may take."""


def first_uses(
    implementations: Mapping[str, str],
    workloads: Sequence[Workload],
    scratch: Path,
    budget_seconds: float,
    *,
    begin: Callable[[str], None] = lambda _: None,
    meanwhile: Meanwhile | None = None,
) -> dict[str, dict[str, float]]:
    """{implementation: {cell and dtype: seconds of its first use}} for those that keep what they compile.

    `implementations` are {name: source}. Each is measured once, for the cell and dtype of the first workload that it
    has, in a process with an empty cache below `scratch`. What cannot be measured is left out, and so is everything in
    a sweep with a budget below `LEAST_BUDGET_SECONDS`. `begin` is told the name before it is measured.
    """
    if budget_seconds < LEAST_BUDGET_SECONDS:
        return {}
    found: dict[str, dict[str, float]] = {}
    for name, source in implementations.items():
        known = listing(source)
        on_cpu = [each for each in workloads if each.device == "cpu" and each.cell in known.cells]
        if not known.keeps_compiled or not on_cpu:
            continue
        begin(name)
        # Its own set-up and call take next to nothing.
        workload = dataclasses.replace(on_cpu[0], T=2, B=1, I=8, H=8, L=1, bidirectional=False)
        seconds = first_use(
            source, workload, scratch / f"first-use-{len(found)}", budget_seconds * MOST_SHARE, meanwhile
        )
        if seconds is not None:
            found[name] = {f"{workload.cell} {workload.dtype}": seconds}
    return found


def first_use(
    source: str, workload: Workload, cache: Path, timeout_seconds: float, meanwhile: Meanwhile | None = None
) -> float | None:
    """Seconds of set-up and first call in a new process whose user's cache is the folder `cache`; None if it fails."""
    cache.mkdir()
    try:
        worker = Worker(
            source,
            threads=workload.threads,
            precision=workload.precision,
            device=workload.device,
            log=cache.with_suffix(".log"),
            variables={VARIABLE: str(cache)},
        )
    except WorkerLost:
        return None
    worker.meanwhile = meanwhile
    request = {"do": "prepare", "workload": workload.id, "seed": 0, "steps": workload.T}
    try:
        worker.wait_ready()
        reply = worker.ask({**request, "results": str(cache / "results.npz")}, timeout_seconds)
    except WorkerLost:
        return None
    finally:
        worker.kill()
    if "status" in reply:
        return None
    return float(reply["setup_seconds"]) + float(reply["first_call_seconds"])
