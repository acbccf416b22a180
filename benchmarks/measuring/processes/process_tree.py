"""The processes of one worker: itself and those it has started, stopped together while others are measured."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from benchmarks.measuring.processes.supervisor import descendants

STOP_SECONDS = 1.0
"""Limit for all processes to stop after their signal, while they may continue or start one another."""
_ENDED = (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
_STOPPED = (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP)


class ProcessTree:
    """A worker, its supervisor and its helpers: the processes that the worker or one of its helpers has started.

    All are found below the supervisor, wherever they forked to. The supervisor itself is never stopped.
    """

    def __init__(self, supervisor: int, worker: psutil.Process) -> None:
        self.supervisor = supervisor
        self.worker = worker
        self.most_helpers = 0
        """The largest number of helpers at a suspension of the worker, since this was set to 0."""
        self.unsuspended_seconds = 0.0
        """Core time that these processes used while suspended, since this was set to 0."""
        self._stopped: list[psutil.Process] = []
        self._at_stop: dict[psutil.Process, float] = {}
        """{process: its core time when all of them had stopped}."""
        self._seen: set[psutil.Process] = set()

    def suspend(self) -> None:
        """Stop the worker, then its helpers, and wait until all have stopped: a signal takes effect with a delay."""
        helpers: dict[int, psutil.Process] = {}
        deadline = time.monotonic() + STOP_SECONDS
        while time.monotonic() < deadline:
            # A process that is stopped already was stopped by somebody else, who will continue it.
            running = [each for each in (self.worker, *helpers.values()) if _status(each) not in (*_STOPPED, *_ENDED)]
            for process in running:
                self._stop(process, deadline)
            # While one was being stopped, another may have started more, or continued the first.
            new = {process.pid: process for process in self._living({self.worker.pid, *helpers})}
            if not running and not new:
                break
            helpers |= new
        self.most_helpers = max(self.most_helpers, len(helpers))
        self._seen.update(helpers.values())
        self._at_stop = {process: _cpu_seconds(process) for process in (self.worker, *helpers.values())}

    def resume(self) -> None:
        """Continue all processes that `suspend` stopped. Raises psutil.NoSuchProcess when the worker is gone."""
        if self._stopped:
            self._count_unsuspended()
        stopped, self._stopped = self._stopped, []
        for process in stopped:
            if process != self.worker:
                with contextlib.suppress(psutil.Error):
                    process.resume()
        self.worker.resume()

    def cpu_seconds(self) -> float:
        """Core time of the worker, of its helpers, and of their children that have been waited for."""
        return sum(map(_cpu_seconds, (self.worker, *self._living({self.worker.pid}))))

    def kill(self, *, find: bool) -> None:
        """Kill the worker and all known helpers; with `find`, those too that are found now.

        A fallback for a supervisor that does not do it. Without the supervisor no helpers can be found.
        """
        found = list(self._living({self.worker.pid})) if find else []
        for process in (self.worker, *self._seen, *found):
            with contextlib.suppress(psutil.Error):
                process.kill()

    def _stop(self, process: psutil.Process, deadline: float) -> None:
        with contextlib.suppress(psutil.Error):
            process.suspend()
            if process not in self._stopped:
                self._stopped.append(process)
            while _status(process) not in (*_STOPPED, *_ENDED) and time.monotonic() < deadline:
                pass

    def _living(self, known: set[int]) -> Iterator[psutil.Process]:
        """The helpers that live now, without the known ones."""
        for pid in self._pids():
            if pid not in known:
                with contextlib.suppress(psutil.Error):
                    process = psutil.Process(pid)
                    if _status(process) not in _ENDED:
                        yield process

    def _pids(self) -> list[int]:
        if Path("/proc/thread-self/children").exists():
            return descendants(self.supervisor)
        with contextlib.suppress(psutil.Error):
            return [child.pid for child in self.worker.children(recursive=True)]
        return []

    def _count_unsuspended(self) -> None:
        """Add the core time used since the worker was stopped, by processes started since included."""
        for process, before in self._at_stop.items():
            self.unsuspended_seconds += max(0.0, _cpu_seconds(process) - before)
        known = {process.pid for process in self._at_stop}
        self.unsuspended_seconds += sum(map(_cpu_seconds, self._living(known)))


def _status(process: psutil.Process) -> str:
    try:
        return process.status()
    except psutil.NoSuchProcess:
        return psutil.STATUS_DEAD


def _cpu_seconds(process: psutil.Process) -> float:
    """Core time of a process and of its children that have been waited for; 0 when it is gone."""
    try:
        return sum(process.cpu_times()[:4])
    except psutil.Error:
        return 0.0
