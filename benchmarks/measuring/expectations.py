"""What each workload's results should be: computed once in float64, read by every worker that checks itself."""

from __future__ import annotations

from pathlib import Path

from benchmarks.counts import flops
from benchmarks.measuring.inputs import make_inputs
from benchmarks.workload import Workload
from rnnimpl.tolerance import expect

REFERENCE_FLOPS = 2e10
"""What the reference may cost: about a second. A longer workload is checked on as many first steps as that buys."""
KEPT_BYTES = 2 << 30
"""Expectations are kept for later rounds until they fill this much of the disk; beyond, they are computed again."""


class Expectations:
    """Files of expected results in a scratch folder, by workload."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self._kept: dict[Workload, Path] = {}
        self._made = 0

    def get(self, workload: Workload) -> tuple[Path, int]:
        """The file that `rnnimpl.expectation.Expectation.load` reads, and how many of the T steps it covers."""
        steps = checked_steps(workload)
        if workload not in self._kept:
            if sum(path.stat().st_size for path in self._kept.values()) > KEPT_BYTES:
                for path in self._kept.values():
                    path.unlink()
                self._kept.clear()
            self._made += 1
            path = self.scratch / f"expectation-{self._made}.npz"
            inputs = make_inputs(workload).prefix(steps)
            expectation = expect(
                workload.config, inputs.weights, inputs.x, None, inputs.dy, inputs.dh_n, precision=workload.precision
            )
            expectation.save(path)
            self._kept[workload] = path
        return self._kept[workload], steps


def checked_steps(workload: Workload) -> int:
    """How many first steps the reference is computed for: all of them where it can be afforded."""
    return max(1, min(workload.T, int(workload.T * REFERENCE_FLOPS / flops(workload))))
