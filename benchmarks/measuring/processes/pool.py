"""The workers of a sweep: at most one process for each name and setting of a process."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from benchmarks.measuring.processes.lost import WorkerLost, ended_by_budget
from benchmarks.measuring.processes.process import START_SECONDS, Meanwhile, Worker
from benchmarks.workload import Case

STARTS_TRIED = 5
"""An implementation whose worker was lost at its start so often in a row is not tried again. Fewer could be chance:
somebody, or the kernel, may kill processes without the implementation having a part in it."""

_Key = tuple[str, str, int, str, str, int]


class WorkerPool:
    """Workers by what they measure. A dead one is replaced when it is next needed.

    `folder` holds their logs, `compiled` what they compile. `most_start_seconds` gives the time that the budget leaves
    for a start. `meanwhile` is called while an answer is waited for.
    """

    def __init__(
        self,
        folder: Path,
        compiled: Path,
        *,
        most_start_seconds: Callable[[], float] = lambda: math.inf,
        meanwhile: Meanwhile | None = None,
    ) -> None:
        self.meanwhile = meanwhile
        self.folder = folder
        self.compiled = compiled
        self.most_start_seconds = most_start_seconds
        self.layout = 0
        """The memory layout that new workers start with, as a number (see `address_space`)."""
        self._workers: dict[_Key, Worker] = {}
        self._not_started: dict[_Key, WorkerLost] = {}
        self._refused: dict[_Key, WorkerLost] = {}
        self._failed_starts: dict[_Key, int] = {}

    def start(self, case: Case, source: str) -> None:
        """Start a case's workers without waiting: importing frameworks takes seconds, and several can at once."""
        for place in range(case.workload.processes):
            self._start(case, source, place)

    def _start(self, case: Case, source: str, place: int) -> None:
        key = _key(case, place)
        if key in self._refused or (key in self._workers and self._workers[key].alive):
            return
        self._end(key)
        workload = case.workload
        log = self.folder / f"worker-{'-'.join(map(str, key)).replace('/', '_').replace(':', '.')}.log"
        try:
            self._workers[key] = Worker(
                source,
                threads=workload.threads,
                precision=workload.precision,
                device=workload.device,
                log=log,
                denormals=workload.denormals,
                place=place,
                layout=self.layout,
                compiled=self.compiled,
            )
            self._workers[key].meanwhile = self.meanwhile
        except WorkerLost as lost:
            self._not_started[key] = lost

    def get_all(self, case: Case, source: str) -> list[Worker]:
        """The workers of a visit, one for each process of the workload, as `get` gives each.

        In mode many-lengths it is a new one: a process that has met a length knows it.
        """
        if case.workload.mode == "many-lengths":
            self._end(_key(case, 0))
        return self.wait(case, source)

    def wait(self, case: Case, source: str) -> list[Worker]:
        """All workers of a case once they are ready, as `get` gives each."""
        return [self.get(case, source, place) for place in range(case.workload.processes)]

    def get(self, case: Case, source: str, place: int = 0) -> Worker:
        """A worker for a case, ready and idle. Raises WorkerLost with the status and reason when there is none."""
        key = _key(case, place)
        self._start(case, source, place)
        if key in self._refused:
            raise self._refused[key]
        most_seconds = self.most_start_seconds()
        try:
            if key in self._not_started:
                raise self._not_started.pop(key)
            worker = self._workers[key]
            if worker.ready:
                return worker
            reply = worker.wait_ready(most_seconds)
        except WorkerLost as lost:
            if lost.status == "timeout" and most_seconds < START_SECONDS:
                raise ended_by_budget(lost) from None
            self._failed_starts[key] = self._failed_starts.get(key, 0) + 1
            if self._failed_starts[key] >= STARTS_TRIED:
                self._refused[key] = lost
            raise
        if "status" in reply:
            worker.kill()
            # Its refusal has a reason, and another start would give the same.
            self._refused[key] = WorkerLost(reply["status"], reply["reason"])
            raise self._refused[key]
        self._failed_starts[key] = 0
        return worker

    def _end(self, key: _Key) -> None:
        if key in self._workers:
            self._workers.pop(key).kill()

    def kill(self) -> None:
        """Kill all workers: all are signalled before any is waited for."""
        for worker in self._workers.values():
            worker.begin_kill()
        for worker in self._workers.values():
            worker.kill()
        self._workers.clear()


def _key(case: Case, place: int) -> _Key:
    """The key of one of a case's workers; the name in the run is part of it: two names of one source have two."""
    workload = case.workload
    return case.implementation, workload.device, workload.threads, workload.precision, workload.denormals, place
