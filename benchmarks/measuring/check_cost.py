"""The time that a changed input adds to a call, measured: `python -m benchmarks.measuring.check_cost`.

A sweep gives every timed call another input (see `changing_input`). Here blocks of such calls take turns with blocks of
calls on one unchanged input, in one process, for each implementation and workload of a sweep.
"""

from __future__ import annotations

import argparse
import dataclasses
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor

from benchmarks.measuring.calls.timing import CallSeconds, Clock, sample_block
from benchmarks.measuring.environment import worker_environment
from benchmarks.measuring.measure import Subject
from benchmarks.measuring.sweeping.implementations import parse_implementation
from benchmarks.sweeps import load_sweep
from benchmarks.workload import Workload
from rnnimpl.interface import Unavailable, Unsupported
from rnnimpl.registry import default_names, listing, load

ROUNDS = 16
BLOCK_SECONDS = 0.03
LEAST_CALLS = 3
MOST_CALLS = 1_000_000
WARM_UP_SECONDS = 0.3
INCONCLUSIVE = 3
"""The exit status where no case was measured, as of every command here."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class CheckCost:
    """The seconds of a call on an unchanged input, and how many times as long a call on a changed input takes."""

    implementation: str
    workload: str
    seconds: float
    ratio: float


def compare_blocks(
    same: Callable[[], CallSeconds], changed: Callable[[], CallSeconds], clock: Clock
) -> tuple[float, float]:
    """The median seconds of `same`, and the median ratio of `changed` to it over neighbouring blocks."""
    _block(same, clock, WARM_UP_SECONDS)
    _block(changed, clock, WARM_UP_SECONDS)
    seconds, ratios = [], []
    for number in range(ROUNDS):
        # Each is first in every second round.
        order = (changed, same) if number % 2 else (same, changed)
        found = {timed: _block(timed, clock, BLOCK_SECONDS) for timed in order}
        seconds.append(found[same])
        ratios.append(found[changed] / found[same])
    return statistics.median(seconds), statistics.median(ratios)


def costs_of(implementation: str, workloads: Sequence[str]) -> list[CheckCost]:
    """The costs of an implementation on workloads, by their IDs, in this process; none on those that it lacks."""
    clock = time.perf_counter
    found = []
    for workload in workloads:
        parsed = Workload.parse(workload)
        try:
            subject = Subject(load(implementation), parsed, clock=clock)
            subject.call.make()
        except (Unavailable, Unsupported):
            continue
        seconds, ratio = compare_blocks(subject.timed_call, subject.changed_call, clock)
        found.append(CheckCost(implementation=implementation, workload=workload, seconds=seconds, ratio=ratio))
    return found


def table(costs: Sequence[CheckCost]) -> str:
    """A line for each implementation and one for all: its cases, and the median, least and largest of their ratios."""
    rows: list[tuple[str, ...]] = [("implementation", "cases", "median", "least", "largest")]
    for name in [*dict.fromkeys(cost.implementation for cost in costs), "all"]:
        ratios = [cost.ratio for cost in costs if name in (cost.implementation, "all")]
        figures = (statistics.median(ratios), min(ratios), max(ratios))
        rows.append((name, str(len(ratios)), *(f"{figure:.3f}" for figure in figures)))
    return "\n".join(f"| {' | '.join(row)} |" for row in [rows[0], ("---",) * len(rows[0]), *rows[1:]])


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print a line for each case, and a table at the end."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.measuring.check_cost", description=__doc__)
    parser.add_argument("sweep", nargs="?", default="default", help="a preset or a TOML file (default: %(default)s)")
    parser.add_argument("--cell", default="tanh", help="the cell of the workloads (default: %(default)s)")
    parser.add_argument(
        "--impl", action="append", help="an implementation; may be repeated (default: all that run here)"
    )
    given = parser.parse_args(arguments)
    try:
        sweep = load_sweep(given.sweep).override(cell=(given.cell,), threads=(1,), device=("cpu",))
        sources = [parse_implementation(text)[1] for text in given.impl or default_names()]
    except ValueError as error:
        parser.error(str(error))
    names = [source for source in sources if "cpu" in listing(source).unavailable]
    workloads = [workload.id for workload in sweep.workloads(("cpu",), cores=1)]
    # A worker's threads and allocator are settled before its framework is imported.
    os.environ.update(worker_environment(1))
    costs: list[CheckCost] = []
    for name in names:
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
            for cost in process.submit(costs_of, name, workloads).result():
                print(
                    f"{cost.implementation}/{cost.workload}  {cost.seconds * 1e6:.1f} µs  {cost.ratio:.3f}", flush=True
                )
                costs.append(cost)
    if not costs:
        print("no case was measured: none of the implementations runs here", file=sys.stderr)
        return INCONCLUSIVE
    print()
    print(table(costs))
    return 0


def _block(timed: Callable[[], CallSeconds], clock: Clock, seconds: float) -> float:
    """The median seconds of the calls of a block."""
    calls = sample_block(timed, clock, calls=1, block_seconds=seconds, samples=MOST_CALLS, least_calls=LEAST_CALLS)
    return statistics.median(call.total for call in calls)


if __name__ == "__main__":
    sys.exit(main())
