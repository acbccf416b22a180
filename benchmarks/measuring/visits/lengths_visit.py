"""One visit to a case that is called at many lengths, in a process that has had none of them."""

from __future__ import annotations

import dataclasses
from typing import Any

from benchmarks.machine import read_energy
from benchmarks.measuring.checking.call_checking import read_results
from benchmarks.measuring.checking.expectations import BlockCheck
from benchmarks.measuring.checking.lengths_checking import LengthsCheck
from benchmarks.measuring.measure import Wrong
from benchmarks.measuring.visits.visit import Visit


class LengthsVisit(Visit):
    """A visit whose samples are first calls; the memory is that from the first length to the last."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._held_bytes: int | None = None

    def take_block(self, check: BlockCheck) -> None:
        """Have the calls at some lengths made, and check one of them once they are over."""
        assert isinstance(check, LengthsCheck)
        energy_before = read_energy(self.case.workload.device)
        before = self.worker.read_interference()
        reply = self._ask({"do": "lengths", "calls": dataclasses.asdict(check.request)})
        if not self.goes_on:
            return
        suspended_seconds = self.worker.suspended_seconds
        after = self.worker.read_interference()
        energy_after = read_energy(self.case.workload.device)
        self._ask({"do": "of_length", "results": str(self.results)})
        if not self.goes_on:
            return
        try:
            problem = check.problem(read_results(self.results, check.result_bytes))
        except Wrong as wrong:
            problem = str(wrong)
        count = len(check.request.lengths)
        if problem is None and not len(reply["seconds"]) == len(reply["repeated_seconds"]) == count:
            problem = f"it gave the times of {len(reply['seconds'])} lengths; expected {count}"
        if problem is not None:
            self.end("wrong", problem)
            return
        if not self.keeps_block(suspended_seconds, (before, after), (energy_before, energy_after)):
            return
        self.seconds += reply["seconds"]
        self.repeated_seconds += reply["repeated_seconds"]
        self.blocks.append(count)
        self.sampling_seconds += reply["ended"] - reply["began"]
        self._held_bytes = reply["held_bytes"] if self._held_bytes is None else self._held_bytes
        self.record(growth_bytes=max(0, reply["grown_bytes"] - self._held_bytes))
