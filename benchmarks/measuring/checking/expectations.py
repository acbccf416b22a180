"""The expected results of each workload, computed in float64 and kept in this process's memory only."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import TypeAlias

from benchmarks.counts import flops
from benchmarks.measuring.checking.call_checking import Expected, SpotCheck, make_spot_checks
from benchmarks.measuring.checking.lengths_checking import LengthsCheck, make_lengths_checks
from benchmarks.measuring.checking.stream_checking import StreamCheck, StreamExpected, expect_stream, make_stream_checks
from benchmarks.measuring.inputs import Inputs, make_inputs
from benchmarks.workload import Workload
from rnnimpl.tolerance import expect

REFERENCE_FLOPS = 2e10
"""Operations of the reference: about a second. A longer workload is checked on as many first steps as they allow."""
KEPT_BYTES = 2 << 30
"""Memory for expectations that are kept for later rounds; the others are computed again."""
SEED_BITS = 48

BlockCheck: TypeAlias = SpotCheck | StreamCheck | LengthsCheck
"""The check of a block: one kind for each kind of visit."""


class Expectations:
    """Expected results of workloads on data that each sweep draws.

    No implementation can know these data before it computes with them. The same `seed` gives the same data again.
    """

    def __init__(self, seed: int | None = None) -> None:
        self.seed = secrets.randbits(SEED_BITS) if seed is None else seed
        self._kept: dict[Workload, Expected] = {}
        self._kept_bytes = 0
        self._streams: dict[Workload, StreamExpected] = {}

    def get(self, workload: Workload) -> Expected:
        """The expected results of a workload's first call, with the seed of its data."""
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
                lengths=inputs.lengths,
            )
            size = sum(value.nbytes for value in expectation.values.values())
            if self._kept_bytes + size > KEPT_BYTES:
                self._kept.clear()
                self._kept_bytes = 0
            self._kept[workload] = Expected(self.seed, steps, expectation)
            self._kept_bytes += size
        return self._kept[workload]

    def spot_checks(self, workload: Workload, blocks: int) -> list[SpotCheck]:
        """A check of one timed call for each of `blocks` blocks; each request draws others."""
        return make_spot_checks(workload, self._inputs(workload), self.get(workload), blocks)

    def checks(self, workload: Workload, blocks: int) -> Sequence[BlockCheck]:
        """A check for each of `blocks` blocks, of the kind that the workload's mode has."""
        if workload.keeps_latencies:
            if workload not in self._streams:
                self._streams[workload] = expect_stream(workload, self.seed)
            return make_stream_checks(workload, self._streams[workload], blocks)
        if workload.mode == "many-lengths":
            return make_lengths_checks(workload, self._inputs(workload).weights, blocks)
        return self.spot_checks(workload, blocks)

    def _inputs(self, workload: Workload) -> Inputs:
        return make_inputs(workload, self.seed)


def checked_steps(workload: Workload) -> int:
    """The number of first steps that the reference is computed for: all of them where it is affordable."""
    return max(1, min(workload.T, int(workload.T * REFERENCE_FLOPS / flops(workload))))
