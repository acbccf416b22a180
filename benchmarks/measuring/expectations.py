"""What each workload's results should be, computed in float64 and kept in this process's memory alone."""

from __future__ import annotations

import secrets

from benchmarks.counts import flops
from benchmarks.measuring.checking import Expected, SpotCheck, make_spot_checks
from benchmarks.measuring.inputs import Inputs, make_inputs
from benchmarks.workload import Workload
from rnnimpl.tolerance import expect

REFERENCE_FLOPS = 2e10
"""What the reference may cost: about a second. A longer workload is checked on as many first steps as that buys."""
KEPT_BYTES = 2 << 30
"""Expectations are kept for later rounds until they fill this much memory; beyond, they are computed again."""
SEED_BITS = 48


class Expectations:
    """What is expected of workloads on data that are drawn anew for each sweep.

    No implementation can have seen these data before, or know them before it is asked to compute them. The same `seed`
    gives the same data again.
    """

    def __init__(self, seed: int | None = None) -> None:
        self.seed = secrets.randbits(SEED_BITS) if seed is None else seed
        self._kept: dict[Workload, Expected] = {}
        self._kept_bytes = 0

    def get(self, workload: Workload) -> Expected:
        """What the first call should give, and on which data."""
        if workload not in self._kept:
            steps = checked_steps(workload)
            inputs = self._inputs(workload).prefix(steps)
            expectation = expect(
                workload.config,
                inputs.weights,
                inputs.x,
                None,
                inputs.dy,
                inputs.dstate_n,
                precision=workload.precision,
            )
            size = sum(value.nbytes for value in expectation.values.values())
            if self._kept_bytes + size > KEPT_BYTES:
                self._kept.clear()
                self._kept_bytes = 0
            self._kept[workload] = Expected(self.seed, steps, expectation)
            self._kept_bytes += size
        return self._kept[workload]

    def spot_checks(self, workload: Workload, blocks: int) -> list[SpotCheck]:
        """A check of one timed call for each of so many blocks, other ones each time they are asked for."""
        return make_spot_checks(workload, self._inputs(workload), self.get(workload), blocks)

    def _inputs(self, workload: Workload) -> Inputs:
        return make_inputs(workload, self.seed)


def checked_steps(workload: Workload) -> int:
    """How many first steps the reference is computed for: all of them where it can be afforded."""
    return max(1, min(workload.T, int(workload.T * REFERENCE_FLOPS / flops(workload))))
