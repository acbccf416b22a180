"""One visit to one case: the requests to its worker in turn, and the trial that results."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from benchmarks.machine import Energy, EnergyReading, gpu_state, read_energy
from benchmarks.measuring.checking import call_checking
from benchmarks.measuring.checking.call_checking import Expected, SpotCheck
from benchmarks.measuring.checking.clocks import BlockClock, contradiction, on_core_seconds
from benchmarks.measuring.checking.expectations import BlockCheck
from benchmarks.measuring.processes.interference import CoreSeconds, Interference
from benchmarks.measuring.processes.lost import BUDGET_GRACE_SECONDS, WorkerLost, ended_by_budget
from benchmarks.measuring.processes.process import Worker
from benchmarks.statistics import MINIMUM_BLOCKS
from benchmarks.sweeps import Sweep
from benchmarks.trial import MEASURED, QUANTITIES, Status, Trial
from benchmarks.workload import Case

LEAST_BLOCKS_KEPT = MINIMUM_BLOCKS // 2
"""A visit that something outside cut short keeps its blocks if it has this many."""


class Visit:
    """A case from its first request to its trial. Once `status` is set, the visit has ended.

    `budget_left` returns the seconds left of the sweep's budget.
    """

    def __init__(
        self, case: Case, source: str, round_number: int, *, budget_left: Callable[[], float] = lambda: math.inf
    ) -> None:
        self.case = case
        self.source = source
        self.round = round_number
        self.budget_left = budget_left
        self.lost: str | None = None
        self.is_cut_short = False
        """Whether the worker is gone and the blocks before that are kept."""
        self.status: Status | None = None
        self.reason: str | None = None
        self.started_at = _now()
        self.seconds: list[float] = []
        self.backward_seconds: list[float] = []
        self.blocks: list[int] = []
        self.latencies: list[str] = []
        self.repeated_seconds: list[float] = []
        self.sampling_seconds = 0.0
        self.clocks: list[BlockClock] = []
        self.interference = Interference()
        self.energy = Energy()
        self.quantities: dict[str, Any] = {}

    @property
    def ended(self) -> bool:
        """Whether nothing more can be measured."""
        return self.status is not None

    @property
    def goes_on(self) -> bool:
        """Whether the worker can be asked for more."""
        return self.status is None and not self.is_cut_short

    @property
    def warmup_seconds(self) -> float:
        """Seconds of the warm-up, 0 before its end."""
        return float(self.quantities.get("warmup_seconds", 0.0))

    def record(self, **measured: Any) -> None:
        """Set quantities of the trial. Raises TypeError for one that `Trial` does not declare."""
        undeclared = measured.keys() - QUANTITIES.keys()
        if undeclared:
            raise TypeError(
                f"{', '.join(sorted(undeclared))} of a visit is undeclared; expected quantities that `Trial` declares"
            )
        self.quantities |= measured

    def end(self, status: Status, reason: str | None = None) -> None:
        """Settle the status: `measured`, or why there are no times."""
        self.status = status
        self.reason = reason
        if status not in MEASURED:
            self.seconds, self.backward_seconds, self.blocks = [], [], []
            self.latencies, self.repeated_seconds = [], []

    def lose(self, lost: WorkerLost) -> None:
        """Record the loss of the worker: blocks are kept where the implementation had no part in it."""
        self.lost = lost.reason if lost.from_outside else None
        if lost.from_outside and len(self.blocks) >= LEAST_BLOCKS_KEPT:
            self.is_cut_short = True
        else:
            self.end(lost.status, lost.reason)

    def prepare(
        self,
        worker: Worker,
        expected: Expected,
        sweep: Sweep,
        results: Path,
        others: Sequence[Worker] = (),  # noqa: ARG002  # for subclasses
    ) -> None:
        """Have the case built and warmed up, and check its first call; `results` is a file for the worker to write.

        `others` are the workers of a workload of several processes, beside the first.
        """
        self.worker = worker
        worker.begin_visit()
        self.timeout_seconds = sweep.timeout_seconds
        self.results = results
        self.record(checked_steps=expected.steps, input_seed=expected.seed)
        if self.case.workload.device == "cuda":
            self.record(gpu_before=gpu_state())
        start = time.monotonic()
        reply = self._received(lambda: call_checking.prepare(self._request, self.case.workload, expected, results))
        spent = sum(reply.get(name, 0.0) for name in ("setup_seconds", "first_call_seconds", "warmup_seconds"))
        self.record(check_seconds=max(0.0, time.monotonic() - start - spent), **reply)

    def take_block(self, check: BlockCheck) -> None:
        """Have one block of samples taken, and check one of its calls once the clock has stopped."""
        assert isinstance(check, SpotCheck)
        before = self.worker.read_interference()
        energy_before = read_energy(self.case.workload.device)
        on_core_before = on_core_seconds(self.worker.pid)
        sent = time.perf_counter()
        reply = self._ask({"do": "block", "checked": dataclasses.asdict(check.call)})
        received = time.perf_counter()
        on_core_after = on_core_seconds(self.worker.pid)
        energy_after = read_energy(self.case.workload.device)
        if not self.goes_on:
            return
        suspended_seconds = self.worker.suspended_seconds
        after = self.worker.read_interference()
        request = {"do": "results", "rows": check.rows, "steps": check.steps, "weights": check.weights}
        self._ask({**request, "results": str(self.results)})
        if not self.goes_on:
            return
        problem = check.problem_in(self.results)
        if problem is not None:
            self.end("wrong", problem)
            return
        if not self.keeps_block(suspended_seconds, (before, after), (energy_before, energy_after)):
            return
        self.seconds += reply["seconds"]
        self.blocks.append(len(reply["seconds"]))
        self.sampling_seconds += reply["ended"] - reply["began"]
        if self.case.workload.mode == "training":
            self.backward_seconds += reply["backward_seconds"]
        timed = sum(reply["seconds"]) * self.quantities["calls_per_sample"]
        clock = {name: reply[name] for name in ("began", "ended", "untimed", "calls")}
        on_core = None if on_core_before is None or on_core_after is None else on_core_after - on_core_before
        self.clocks.append(BlockClock(sent=sent, received=received, timed=timed, on_core=on_core, **clock))

    def keeps_block(
        self,
        suspended_seconds: float,
        core_seconds: tuple[CoreSeconds, CoreSeconds],
        energy: tuple[EnergyReading, EnergyReading],
    ) -> bool:
        """Count what a block was disturbed by and used, from readings before and after it.

        False, and the block is lost, where the machine or the sweep was suspended: a sample may contain the suspension.
        """
        if suspended_seconds:
            self.lost = f"a block: the machine or the sweep was suspended for {suspended_seconds:.0f} s"
            return False
        self.interference.add(*core_seconds, psutil.cpu_count() or 1)
        self.energy.add(*energy)
        return True

    def finish(self) -> None:
        """Have the case taken down, record what is known only then, and compare the clocks."""
        if self.goes_on:
            self.record(**self._ask({"do": "finish"}))
        workload = self.case.workload
        elements = workload.T * workload.B * (workload.I if workload.keeps_latencies else 1)
        problem = None if self.ended else contradiction(self.clocks, changed_elements=elements)
        if problem is not None:
            self.end("wrong", problem)
        if self.case.workload.device == "cuda":
            self.record(gpu_after=gpu_state())

    def trial(self) -> Trial:
        """The record of this visit, which has ended."""
        assert self.status is not None
        self.record(sampling_seconds=self.sampling_seconds or None, elsewhere_share=self.interference.share)
        self.record(cpu_watts=self.energy.cpu_watts, gpu_watts=self.energy.gpu_watts)
        return Trial(
            case=self.case,
            source=self.source,
            round=self.round,
            status=self.status,
            reason=self.reason,
            lost=self.lost,
            started_at=self.started_at,
            finished_at=_now(),
            seconds=tuple(self.seconds),
            backward_seconds=tuple(self.backward_seconds),
            blocks=tuple(self.blocks),
            latencies=tuple(self.latencies),
            repeated_seconds=tuple(self.repeated_seconds),
            **self.quantities,
        )

    def _request(self, request: dict[str, Any], worker: Worker | None = None) -> dict[str, Any]:
        """The reply of the worker, or of another one, within the time that the budget leaves. Raises WorkerLost."""
        of_budget = max(0.0, self.budget_left()) + BUDGET_GRACE_SECONDS
        try:
            return (worker or self.worker).ask(request, min(self.timeout_seconds, of_budget))
        except WorkerLost as lost:
            if lost.status == "timeout" and of_budget < self.timeout_seconds:
                raise ended_by_budget(lost) from None
            raise

    def _ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The worker's reply; where it cannot continue, the visit has ended with its reason."""
        return self._received(lambda: self._request(dict(request)))

    def _received(self, replied: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The reply of `replied`; where the case cannot continue, the visit has ended with the reason."""
        try:
            reply = replied()
        except WorkerLost as lost:
            self.lose(lost)
            return {}
        finally:
            self.record(helper_processes=self.worker.most_helpers, unsuspended_seconds=self.worker.unsuspended_seconds)
        if "status" in reply:
            self.end(reply.pop("status"), reply.pop("reason"))
        self.record(**reply.pop("errors", {}))
        return reply


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
