"""One visit to one case: what is asked of its worker in turn, and the trial that comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from benchmarks.machine import gpu_state
from benchmarks.measuring.interference import Interference
from benchmarks.measuring.process import Worker, WorkerLost
from benchmarks.sweeps import Sweep
from benchmarks.trial import MEASURED, Status, Trial
from benchmarks.workload import Case


class Visit:
    """A case between its first request and its trial. Once `status` is set, it has ended."""

    def __init__(self, case: Case, source: str, round_number: int) -> None:
        self.case = case
        self.source = source
        self.round = round_number
        self.status: Status | None = None
        self.reason: str | None = None
        self.started_at = _now()
        self.seconds: list[float] = []
        self.backward_seconds: list[float] = []
        self.blocks: list[int] = []
        self.sampling_seconds = 0.0
        self.interference = Interference()
        self.fields: dict[str, Any] = {}

    @property
    def ended(self) -> bool:
        """Whether nothing more can be measured."""
        return self.status is not None

    @property
    def warmup_seconds(self) -> float:
        """Seconds the warm-up took, 0 before it is over."""
        return float(self.fields.get("warmup_seconds", 0.0))

    def end(self, status: Status, reason: str | None) -> None:
        """Settle the status. Where it is not one of a measured trial, there are no times."""
        self.status = status
        self.reason = reason
        if status not in MEASURED:
            self.seconds, self.backward_seconds, self.blocks = [], [], []

    def prepare(self, worker: Worker, expectation: Path, checked_steps: int, sweep: Sweep) -> None:
        """Have the case built, checked and warmed up."""
        self.worker = worker
        self.timeout_seconds = sweep.timeout_seconds
        self.fields["checked_steps"] = checked_steps
        if self.case.workload.device == "cuda":
            self.fields["gpu_before"] = gpu_state()
        reply = self._ask(
            {
                "do": "prepare",
                "workload": self.case.workload.id,
                "expectation": str(expectation),
                "checked_steps": checked_steps,
            }
        )
        self.fields |= reply.pop("errors", {})
        self.fields |= reply

    def take_block(self) -> None:
        """Have one block of samples taken."""
        before = self.worker.read_interference()
        reply = self._ask({"do": "block"})
        if not self.ended:
            self.interference.add(before, self.worker.read_interference(), psutil.cpu_count() or 1)
            self.seconds += reply["seconds"]
            self.blocks.append(len(reply["seconds"]))
            self.sampling_seconds += reply["elapsed"]
            if self.case.workload.mode == "training":
                self.backward_seconds += reply["backward_seconds"]

    def finish(self) -> None:
        """Have the case taken down, and learn what is known only then."""
        self.fields |= self._ask({"do": "finish"})
        if self.case.workload.device == "cuda":
            self.fields["gpu_after"] = gpu_state()

    def trial(self) -> Trial:
        """The record of this visit, which has ended."""
        assert self.status is not None
        known = {name: self.fields[name] for name in _FIELDS if name in self.fields}
        return Trial(
            case=self.case,
            source=self.source,
            round=self.round,
            status=self.status,
            reason=self.reason,
            started_at=self.started_at,
            finished_at=_now(),
            seconds=tuple(self.seconds),
            backward_seconds=tuple(self.backward_seconds),
            blocks=tuple(self.blocks),
            sampling_seconds=self.sampling_seconds or None,
            elsewhere_share=self.interference.share,
            **known,
        )

    def _ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Ask the worker; where it cannot go on, the visit has ended with its reason."""
        try:
            reply = self.worker.ask(dict(request), self.timeout_seconds)
        except WorkerLost as lost:
            self.end(lost.status, lost.reason)
            return {}
        if "status" in reply:
            self.end(reply.pop("status"), reply.pop("reason"))
        return reply


_FIELDS = (
    "calls_per_sample",
    "setup_seconds",
    "first_call_seconds",
    "check_seconds",
    "warmup_seconds",
    "peak_bytes",
    "error_output",
    "error_gradient",
    "checked_steps",
    "describe",
    "device_span_seconds",
    "kernel_seconds",
    "kernel_launches",
    "gpu_before",
    "gpu_after",
)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
