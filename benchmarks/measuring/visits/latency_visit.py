"""One visit to a case of which the time of every call is kept, in one process or in several at once."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import functools
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import latencies
from benchmarks.machine import read_energy
from benchmarks.measuring.checking import call_checking
from benchmarks.measuring.checking.call_checking import Expected, read_results
from benchmarks.measuring.checking.clocks import BlockClock, on_core_seconds
from benchmarks.measuring.checking.expectations import BlockCheck
from benchmarks.measuring.checking.stream_checking import StreamCheck
from benchmarks.measuring.measure import Wrong
from benchmarks.measuring.modes.stream import MOST_CALLS, SILENCE_SECONDS
from benchmarks.measuring.processes.interference import CoreSeconds
from benchmarks.measuring.processes.process import Worker
from benchmarks.measuring.visits.visit import Visit
from benchmarks.sweeps import Sweep

FIRST_BEGIN_SECONDS = 0.3
"""Seconds after which the processes of a first block begin together: they have their first calls behind them."""
BEGIN_SECONDS = 0.02
"""The same of later blocks, beside twice the time of the first calls."""


class LatencyVisit(Visit):
    """A visit whose samples are the median call of each block, and that keeps each block's histogram."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.workers: list[Worker] = []
        self._begin_seconds = FIRST_BEGIN_SECONDS
        self._check: StreamCheck | None = None

    def prepare(
        self, worker: Worker, expected: Expected, sweep: Sweep, results: Path, others: Sequence[Worker] = ()
    ) -> None:
        super().prepare(worker, expected, sweep, results)
        self.workers = [worker, *others]
        for other in others:
            if self.goes_on:
                other.begin_visit()
                self._received(functools.partial(self._prepare_other, other, expected))

    def take_block(self, check: BlockCheck) -> None:
        """Have the calls of a block made, in all processes at once, and check one of each."""
        assert isinstance(check, StreamCheck)
        self._check = check
        begin_at = time.perf_counter() + self._begin_seconds if len(self.workers) > 1 else 0.0
        checks = [check.on_another_stream(begin_at=begin_at) for _ in self.workers]
        energy_before = read_energy(self.case.workload.device)
        before = [worker.read_interference() for worker in self.workers]
        on_core = [on_core_seconds(worker.pid) for worker in self.workers]
        sent = time.perf_counter()
        replies = self._stream(checks)
        received = time.perf_counter()
        if not self.goes_on:
            return
        on_core = [_difference(on_core_seconds(w.pid), then) for w, then in zip(self.workers, on_core, strict=True)]
        suspended_seconds = max(worker.suspended_seconds for worker in self.workers)
        after = [worker.read_interference() for worker in self.workers]
        energy_after = read_energy(self.case.workload.device)
        times = [self._checked(*each) for each in zip(self.workers, checks, replies, strict=True)]
        if not self.goes_on:
            return
        disturbances = _together(before), _together(after)
        if not self.keeps_block(suspended_seconds, disturbances, (energy_before, energy_after)):
            return
        nanoseconds = np.concatenate(times)
        self.latencies.append(latencies.encode(nanoseconds))
        self.seconds.append(float(np.median(nanoseconds)) / 1e9)
        self.blocks.append(1)
        self.sampling_seconds += replies[0]["ended"] - replies[0]["began"]
        self._begin_seconds = BEGIN_SECONDS + 2 * check.request.lead * self.seconds[-1]
        for reply, of_worker, core in zip(replies, times, on_core, strict=True):
            clock = {name: reply[name] for name in ("began", "ended", "untimed", "calls")}
            timed = float(of_worker.sum()) / 1e9
            self.clocks.append(BlockClock(sent=sent, received=received, timed=timed, on_core=core, **clock))

    def finish(self) -> None:
        """Measure the first call after a silence, where a state is handed on, and finish as every visit does."""
        if self.goes_on and self._check is not None and self.case.workload.mode == "streaming":
            check = self._check.on_another_stream(place=0.0, silence_seconds=SILENCE_SECONDS, begin_at=0.0)
            replies = self._stream([check])
            if self.goes_on:
                times = self._checked(self.worker, check, replies[0])
                if self.goes_on and not self.worker.suspended_seconds:
                    self.record(after_silence_seconds=float(times[0]) / 1e9)
        super().finish()
        for other in self.workers[1:]:
            if self.goes_on:
                self._received(functools.partial(self._request, {"do": "finish"}, other))

    def _prepare_other(self, other: Worker, expected: Expected) -> dict[str, Any]:
        """Build and check the case in a further process; the reply where it refuses, else an empty one."""

        def ask(request: dict[str, Any]) -> dict[str, Any]:
            return self._request(request, other)

        reply = call_checking.prepare(ask, self.case.workload, expected, self.results)
        return reply if "status" in reply else {}

    def _stream(self, checks: Sequence[StreamCheck]) -> list[dict[str, Any]]:
        """The replies of one worker for each check, all at work at once; empty where one of them cannot go on."""
        requests = [{"do": "stream", "calls": dataclasses.asdict(check.request)} for check in checks]
        if len(requests) == 1:
            reply = self._ask(requests[0])
            return [reply] if self.goes_on else []
        with concurrent.futures.ThreadPoolExecutor(len(requests)) as threads:
            asked = [
                threads.submit(self._request, request, worker)
                for request, worker in zip(requests, self.workers, strict=True)
            ]
        replies = [self._received(each.result) for each in asked]
        return replies if self.goes_on else []

    def _checked(self, worker: Worker, check: StreamCheck, reply: Mapping[str, Any]) -> latencies.Nanoseconds:
        """The times of a block's calls; where a result is wrong or the worker is lost, the visit has ended."""
        nothing = np.zeros(0, np.int64)
        if not self.goes_on:
            return nothing
        self._received(lambda: self._request({"do": "streamed", "results": str(self.results)}, worker))
        if not self.goes_on:
            return nothing
        try:
            results = read_results(self.results, check.result_bytes + 8 * MOST_CALLS)
        except Wrong as wrong:
            self.end("wrong", str(wrong))
            return nothing
        nanoseconds = results.pop("nanoseconds", nothing)
        problem = _problem_of_times(nanoseconds, reply) or check.problem(results, reply["position"])
        if problem is not None:
            self.end("wrong", problem)
        return nanoseconds


def _problem_of_times(nanoseconds: latencies.Nanoseconds, reply: Mapping[str, Any]) -> str | None:
    """Why these cannot be the times of the block's calls, in a sentence; None where they can."""
    calls, position = reply["calls"], reply["position"]
    if nanoseconds.dtype != np.int64 or nanoseconds.shape != (calls,) or nanoseconds.min() < 1:
        return f"a block gave times of shape {nanoseconds.shape}; expected whole nanoseconds from 1 of {calls} calls"
    if position >= calls:
        return f"a block kept the results of call {position}, and has {calls}"
    return None


def _difference(now: float | None, then: float | None) -> float | None:
    return None if now is None or then is None else now - then


def _together(readings: Sequence[CoreSeconds]) -> CoreSeconds:
    """One reading of all workers; the time of this process, which sleeps meanwhile, is in it once for each."""
    first, *others = readings
    return first._replace(ours=first.ours + sum(each.ours for each in others))
