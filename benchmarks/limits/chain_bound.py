"""Lower bounds of the recurrence: products of (B, H) by (H, G*H), each of which needs the one before."""

from __future__ import annotations

import dataclasses
from typing import Literal

from benchmarks.counts import chain_flops, chain_reads, chain_steps, step_bytes
from benchmarks.limits.peak import Level
from benchmarks.limits.reached import Bandwidth, Reached
from benchmarks.workload import Workload

LimitName = Literal["compute", "L1", "L2", "L3", "L4", "memory", "chain", "overhead"]
"""A limit of a call: the multipliers, the bandwidth of a level, the chain of steps, or overhead."""


@dataclasses.dataclass(frozen=True)
class ChainBound:
    """Lower bounds in seconds on all steps together; None where a peak that it needs was not measured."""

    compute_seconds: float
    weights_seconds: float | None
    weights_level: Level | None
    latency_seconds: float | None

    @property
    def seconds(self) -> float:
        """The largest of the bounds: computing, reading and waiting can overlap."""
        return max(self.compute_seconds, self.weights_seconds or 0.0, self.latency_seconds or 0.0)

    @property
    def binds(self) -> LimitName:
        """The limit whose bound is the largest."""
        if self.weights_level and self.weights_seconds == self.seconds:
            return self.weights_level
        return "chain" if self.latency_seconds == self.seconds else "compute"


def chain_bound(workload: Workload, reached: Reached) -> ChainBound:
    """The better of two ways: threads that never wait for one another, or threads that share each step."""
    ways = [_apart(workload, reached)]
    if workload.threads > 1:
        ways.append(_shared(workload, reached))
    return min(ways, key=lambda way: way.seconds)


def _apart(workload: Workload, reached: Reached) -> ChainBound:
    """The bound where each thread has sequences, layers or directions of its own, and reads all of a w_hh in each step.

    There are B * L * D of them, so no more threads can help. Threads with sequences of one layer read the same weights.
    """
    stacked = workload.config.num_stacked
    threads = min(workload.threads, workload.B * stacked)
    rate = reached.rate(threads)
    assert rate is not None
    if threads == workload.threads > 1:
        read = _share_of_a_thread(reached.bandwidth("shared_read", threads, step_bytes(workload)), threads)
    else:
        # With idle threads, each of the others is at most as fast as one that has the caches to itself.
        read = reached.bandwidth("read", 1, step_bytes(workload))
    # The thread with the fewest layers and directions has this many, one after another.
    passes = chain_reads(workload) * stacked / min(threads, stacked)
    step = reached.seconds("step", 1)
    return ChainBound(
        compute_seconds=chain_flops(workload) / rate,
        weights_seconds=None if read is None else passes * step_bytes(workload) / read.bytes_per_second,
        weights_level=None if read is None else read.level,
        latency_seconds=None if step is None else chain_steps(workload) * step,
    )


def _shared(workload: Workload, reached: Reached) -> ChainBound:
    """The bound where all threads share each step: each reads its part of w_hh, and waits for the others' results.

    The latency of a step is that of the least step of any cell, a multiply-add without a gate: a lower bound for all.
    """
    threads = workload.threads
    rate = reached.rate(threads)
    assert rate is not None
    read = reached.bandwidth("read", threads, step_bytes(workload) / threads)
    step, exchange = reached.seconds("step", 1), reached.seconds("exchange", threads)
    bytes_in_all = chain_reads(workload) * workload.config.num_stacked * step_bytes(workload)
    return ChainBound(
        compute_seconds=chain_flops(workload) / rate,
        weights_seconds=None if read is None else bytes_in_all / read.bytes_per_second,
        weights_level=None if read is None else read.level,
        latency_seconds=None if step is None else chain_steps(workload) * (step + (exchange or 0.0)),
    )


def _share_of_a_thread(read: Bandwidth | None, threads: int) -> Bandwidth | None:
    return None if read is None else read._replace(bytes_per_second=read.bytes_per_second / threads)
