"""The schedule of a sweep: which workload is visited when, and what becomes of each case.

Round 0 visits every workload once. Later rounds return to the workloads with few visits or wide intervals, the least
visited first and then the widest, until all are narrow or the budget is spent. Before them come the cases without a
time whose process was killed from outside. A new round has new processes in a new memory layout, unless the present
ones have hardly been used. In a visit, the implementations of one workload are built one after another and then take
turns, block by block, each in turn being first; all other processes are suspended meanwhile.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from benchmarks.measuring.checking.expectations import Expectations
from benchmarks.measuring.processes.lost import BUDGET_GRACE_SECONDS, WorkerLost
from benchmarks.measuring.processes.pool import WorkerPool
from benchmarks.measuring.sweeping.leaders import Leaders
from benchmarks.measuring.visits.by_mode import visit_class
from benchmarks.measuring.visits.visit import Visit
from benchmarks.presentation.clock import ticking
from benchmarks.statistics import MINIMUM_BLOCKS, Estimate, estimate
from benchmarks.store import Run
from benchmarks.sweeps import Sweep
from benchmarks.trial import MEASURED, Status, Trial, deciding
from benchmarks.workload import Case, Workload
from rnnimpl.registry import listing

MAX_VISITS = 30
LEAST_VISITS = 3
"""Visits to a workload while the budget lasts, however narrow its intervals: the speed of one process may depend on
where its code and arrays are, and an interval over its blocks does not show that."""
LOSSES_TRIED = 5
"""A case whose visits were lost to signals or suspensions this often is not visited again."""
RENEWAL_SHARE = 0.1
"""Starting new processes may take at most this share of the time."""
Item = TypeVar("Item")


class Progress(Protocol):
    """Shows what a sweep does."""

    def show(self, *, done: int, total: int, what: str, seconds_left: float) -> None:
        """Show how many of the round's workloads are done, what is being measured, and the time left."""

    def show_ahead(self, ahead: str) -> None:
        """Say what is ahead so far."""

    def tick(self, *, timed: bool = False, note: str = "") -> None:
        """Let the clock advance; called while an answer is waited for, as `Meanwhile` says."""


class Sweeper:
    """One execution of a sweep, writing to one run. What the run already holds is not measured again."""

    def __init__(
        self,
        run: Run,
        sweep: Sweep,
        workloads: Sequence[Workload],
        implementations: Mapping[str, str],
        *,
        scratch: Path,
        progress: Progress,
    ) -> None:
        self.run = run
        self.sweep = sweep
        self.workloads = workloads
        self.implementations = implementations
        self.progress = progress
        self.expectations = Expectations()
        self.results = scratch / "results.npz"
        self.pool = WorkerPool(
            run.folder,
            compiled=scratch / "compiled",
            most_start_seconds=lambda: max(0.0, self.seconds_left()) + BUDGET_GRACE_SECONDS,
            meanwhile=progress.tick,
        )
        self.activity_seconds: dict[str, float] = defaultdict(float, run.activity_seconds())
        self.devices = {name: tuple(listing(source).unavailable) for name, source in implementations.items()}
        self.deadline = time.monotonic() + sweep.budget_seconds
        self.workers_round = 0
        self.workers_started = time.monotonic()
        self.start_seconds = 0.0
        self.trials: dict[str, list[Trial]] = defaultdict(list)
        self.status: dict[str, Status] = {}
        self.losses: dict[str, int] = defaultdict(int)
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.blocks: dict[str, list[int]] = defaultdict(list)
        self.visits: dict[Workload, int] = defaultdict(int)
        self.visit_seconds: dict[Workload, float] = defaultdict(float)
        self.widest: dict[Workload, float] = {}
        self.leaders = Leaders(implementations)
        for trial in run.trials():
            self._add(trial)

    def cases(self, workload: Workload) -> list[Case]:
        """The cases of a workload: the implementations that are written for its device."""
        return [Case(name, workload) for name in self.implementations if workload.device in self.devices[name]]

    def measure(self) -> bool:
        """Visit workloads until every interval is narrow or the budget is spent; whether each was visited at all.

        Raises StoreError when a trial cannot be written.
        """
        try:
            return self._first_round() and self._improve()
        finally:
            self.pool.kill()
            self.run.update(activity_seconds=dict(self.activity_seconds))

    def _first_round(self) -> bool:
        unvisited = [workload for workload in self.workloads if self._unmeasured(workload)]
        self._start_workers(unvisited, done=0, total=len(unvisited))
        for number, workload in enumerate(unvisited):
            if self.seconds_left() <= 0:
                return False
            self._visit(workload, self._unmeasured(workload), 0, done=number, total=len(unvisited))
        return True

    def _improve(self) -> bool:
        while wide := self.wide():
            workload = wide[0]
            # All measured cases are measured again, so that implementations are compared block by block.
            names = [case.implementation for case in self._to_visit(workload)]
            total = len(self.workloads)
            done = total - sum(self.visits[each] <= self.visits[workload] for each in wide)
            self._renew_workers(self.visits[workload], wide, done=done, total=total)
            self._visit(workload, names, self.visits[workload], done=done, total=total)
        return True

    def wide(self) -> list[Workload]:
        """The workloads that are worth another visit, the next to be visited first.

        First are those with a case without a time, for a reason outside of it, then those with a case without an
        interval, which leave a row of the report open; then those with the fewest visits and the widest intervals.
        """

        def place(workload: Workload) -> tuple[bool, bool, int, float]:
            widest = self._widest(workload)
            return not self._lost(workload), math.isfinite(widest), self.visits[workload], -widest

        return sorted(filter(self._worth_a_visit, self.workloads), key=place)

    def _visit(self, workload: Workload, names: Sequence[str], round_number: int, *, done: int, total: int) -> None:
        """Measure some implementations of one workload in turns, and write a trial for each."""
        start = time.monotonic()

        def show(what: str) -> None:
            self.progress.show(done=done, total=total, what=what, seconds_left=self.seconds_left())

        place = f"{workload.id}, round {round_number + 1}"
        show(f"{place}: computing the reference")
        with self.activity("reference"), ticking(self.progress.tick):
            expected = self.expectations.get(workload)
            checks = self.expectations.checks(workload, MINIMUM_BLOCKS)
        visits = [
            visit_class(workload.mode)(
                Case(name, workload), self.implementations[name], round_number, budget_left=self.seconds_left
            )
            for name in names
        ]
        for visit in rotated(visits, round_number):
            show(f"{visit.case.implementation} on {place}: building, checking, warming up")
            with self.activity("building and checking"):
                try:
                    worker, *others = self.pool.get_all(visit.case, visit.source)
                except WorkerLost as lost:
                    visit.lose(lost)
                else:
                    visit.prepare(worker, expected, self.sweep, self.results, others)
            self.activity_seconds["building and checking"] -= visit.warmup_seconds
            self.activity_seconds["warm-up"] += visit.warmup_seconds
            if visit.ended:
                self._write(visit)
        active = [visit for visit in visits if not visit.ended]
        for block in range(MINIMUM_BLOCKS):
            if block > 0 and self.seconds_left() <= 0:
                break
            for visit in rotated(active, round_number + block):
                if visit.goes_on:
                    show(f"{visit.case.implementation} on {place}: sampling, block {block + 1} of {MINIMUM_BLOCKS}")
                    with self.activity("sampling"):
                        visit.take_block(checks[block])
        with self.activity("finishing"):
            for visit in active:
                if not visit.ended:
                    visit.finish()
                if not visit.ended:
                    visit.end("measured")
                self._write(visit)
        self.leaders.update(workload, {case.implementation: self._median(case) for case in self._measured(workload)})
        self.progress.show_ahead(self.leaders.words())
        self.visits[workload] = max(self.visits[workload], round_number + 1)
        self.visit_seconds[workload] = time.monotonic() - start
        self.run.update(activity_seconds=dict(self.activity_seconds))

    def _write(self, visit: Visit) -> None:
        trial = visit.trial()
        self.run.append(trial)
        self._add(trial)

    def _add(self, trial: Trial) -> None:
        case = trial.case.id
        self.trials[case].append(trial)
        self.status[case] = deciding(self.trials[case]).status
        self.losses[case] += trial.lost is not None and trial.status not in MEASURED
        self.seconds[case] += trial.seconds
        self.blocks[case] += trial.blocks
        self.visits[trial.case.workload] = max(self.visits[trial.case.workload], trial.round + 1)
        self.widest.pop(trial.case.workload, None)

    def _unmeasured(self, workload: Workload) -> list[str]:
        return [case.implementation for case in self.cases(workload) if case.id not in self.status]

    def _measured(self, workload: Workload) -> list[Case]:
        return [case for case in self.cases(workload) if self.status.get(case.id) in MEASURED]

    def _median(self, case: Case) -> float:
        return estimate(self.seconds[case.id], self.blocks[case.id]).median

    def _lost(self, workload: Workload) -> list[Case]:
        """The cases without a time whose visits something outside ended, and that are worth another visit."""
        return [
            case
            for case in self.cases(workload)
            if self.status.get(case.id) in ("crashed", "timeout", "failed")
            and deciding(self.trials[case.id]).lost is not None
            and self.losses[case.id] < LOSSES_TRIED
        ]

    def _to_visit(self, workload: Workload) -> list[Case]:
        """The cases of a later visit, in their order."""
        again = {case.id for case in self._measured(workload) if self.losses[case.id] < LOSSES_TRIED}
        again |= {case.id for case in self._lost(workload)}
        return [case for case in self.cases(workload) if case.id in again]

    def _worth_a_visit(self, workload: Workload) -> bool:
        return (
            bool(self._to_visit(workload))
            and self.visits[workload] < MAX_VISITS
            and self.visit_seconds[workload] < self.seconds_left()
            and (
                self.visits[workload] < LEAST_VISITS
                or bool(self._lost(workload))
                or self._widest(workload) > self.sweep.stop_interval
            )
        )

    def _widest(self, workload: Workload) -> float:
        """The widest interval among the workload's measured cases, as a share of its median."""
        if workload not in self.widest:
            estimates: list[Estimate] = [
                estimate(self.seconds[case.id], self.blocks[case.id]) for case in self._measured(workload)
            ]
            widths = [found.relative_half_width for found in estimates]
            self.widest[workload] = math.inf if any(map(math.isnan, widths)) else max(widths, default=0.0)
        return self.widest[workload]

    def _renew_workers(self, round_number: int, workloads: Sequence[Workload], *, done: int, total: int) -> None:
        """Start new processes for a new round, once the present ones were used for long enough."""
        used_seconds = time.monotonic() - self.workers_started
        if round_number > self.workers_round and self.start_seconds <= RENEWAL_SHARE * used_seconds:
            self.pool.kill()
            self.pool.layout = round_number
            self._start_workers(workloads, done=done, total=total)
            self.workers_round = round_number

    def _start_workers(self, workloads: Sequence[Workload], *, done: int, total: int) -> None:
        """Start all workers at once and wait until each is idle, before anything is measured."""
        start = time.monotonic()
        wanted = [case for workload in workloads for case in self.cases(workload)]
        with self.activity("starting workers"):
            for case in wanted:
                self.pool.start(case, self.implementations[case.implementation])
            for case in wanted:
                self.progress.show(
                    done=done,
                    total=total,
                    what=f"starting {case.implementation}",
                    seconds_left=self.seconds_left(),
                )
                # A worker that could not start gives its reason when its turn comes.
                with contextlib.suppress(WorkerLost):
                    self.pool.wait(case, self.implementations[case.implementation])
        self.workers_started = time.monotonic()
        self.start_seconds = self.workers_started - start

    @contextlib.contextmanager
    def activity(self, name: str) -> Iterator[None]:
        """Account the time of the block to an activity."""
        start = time.monotonic()
        try:
            yield
        finally:
            self.activity_seconds[name] += time.monotonic() - start

    def seconds_left(self) -> float:
        """Seconds of the budget that are left; negative once it is spent."""
        return self.deadline - time.monotonic()


def rotated(items: Sequence[Item], by: int) -> list[Item]:
    """The items in the same order, beginning with item number `by`."""
    if not items:
        return []
    start = by % len(items)
    return [*items[start:], *items[:start]]
