"""Lower bounds on the time of a workload on this machine, and what a call's time goes to.

The functions are pure functions of workload and peaks. `docs/limits.md` has the formulas with their reasons, and what
each can and cannot bound.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from benchmarks.counts import chain_flops, least_bytes, necessary_flops, products
from benchmarks.limits.chain_bound import LimitName, chain_bound
from benchmarks.limits.peak import LEVELS, Level, Peak, Shape, chain_shapes, measured_shape
from benchmarks.limits.reached import Bandwidth, Reached
from benchmarks.workload import Workload

LIBRARIES = ("torch", "numpy")

LIMIT_NAMES: Mapping[LimitName, str] = {
    "compute": "compute",
    **{level: f"bandwidth of {level}" for level in LEVELS},
    "chain": "latency of the chain",
    "overhead": "overhead",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bound:
    """Lower bounds on the time of one call, in seconds; None where a peak that it needs was not measured."""

    compute_seconds: float
    """All necessary products, on all threads at the rate of multiply-adds in registers."""
    weights_seconds: float | None
    """w_hh, read once a step by each thread that needs it, at the bandwidth of its level."""
    weights_level: Level | None
    latency_seconds: float | None
    """The steps one after another, each at the latency of the least step and, where threads share it, of an exchange
    between two cores."""
    memory_seconds: float | None
    """Inputs and weights read once and results written once, at the bandwidth of their level."""
    memory_level: Level | None
    overhead_seconds: float
    """The shortest call of a library from Python, once in inference and twice in training; 0 where not measured."""
    parts: Mapping[LimitName, float]
    """{limit: seconds}, which add up to `attainable_seconds`: each phase is counted at the limit that bounds it."""
    multiply_adds_measured: bool
    """Whether the bound rests on measured multiply-adds, which nothing exceeds. Else it rests on the fastest product of
    a library, which other code may exceed."""
    chain_seconds: float | None
    """The steps' products at the best rate of any measured chain."""
    chain_source: str | None
    """The source of that chain; in training of a cell of several gates, of the forward and the backward chain."""
    reached_seconds: float | None
    """`attainable_seconds` with that chain in place of its bound: a time that known means can reach."""
    blas_seconds: float | None
    """All products, each one call of the library that is fastest at its shape. Code that packs its weights once can be
    faster."""

    @property
    def attainable_seconds(self) -> float:
        """The time that no implementation can be faster than: the phases one after another, each at its own limit."""
        return sum(self.parts.values())

    @property
    def binds(self) -> LimitName:
        """The limit with the largest part of `attainable_seconds`."""
        return max(self.parts, key=lambda limit: self.parts[limit])


def bound(workload: Workload, peaks: Iterable[Peak]) -> Bound | None:
    """The bounds of a workload from the peaks of its run; None when they hold no rate of its settings.

    Sequences of several lengths have none: in a batch another number of them shares the weights at each step, and
    calls at different lengths have different times.
    """
    if not workload.has_one_length:
        return None
    reached = Reached(workload, peaks)
    rate = reached.rate(workload.threads)
    if rate is None:
        return None
    chain = chain_bound(workload, reached)
    parts: dict[LimitName, float] = {chain.binds: chain.seconds}
    parts["compute"] = parts.get("compute", 0.0) + (necessary_flops(workload) - chain_flops(workload)) / rate
    memory = _memory(workload, reached)
    memory_seconds = None if memory is None else least_bytes(workload) / memory.bytes_per_second
    if memory is not None and memory_seconds is not None and memory_seconds > sum(parts.values()):
        parts = {memory.level: memory_seconds}
    calls = 2 if workload.mode == "training" else 1
    overhead_seconds = calls * (reached.seconds("call", workload.threads) or 0.0)
    parts["overhead"] = overhead_seconds
    fastest = [reached.chain(shape) for shape in chain_shapes(workload)]
    chain_seconds = _chain_seconds(workload, fastest)
    beyond = None if chain_seconds is None else max(0.0, chain_seconds - chain.seconds)
    return Bound(
        compute_seconds=necessary_flops(workload) / rate,
        weights_seconds=chain.weights_seconds,
        weights_level=chain.weights_level,
        latency_seconds=chain.latency_seconds,
        memory_seconds=memory_seconds,
        memory_level=None if memory is None else memory.level,
        overhead_seconds=overhead_seconds,
        parts=MappingProxyType(parts),
        multiply_adds_measured=reached.multiply_adds_measured,
        chain_seconds=chain_seconds,
        chain_source=None
        if chain_seconds is None
        else ", ".join(dict.fromkeys(each.source for each in fastest if each)),
        reached_seconds=None if beyond is None else sum(parts.values()) + beyond,
        blas_seconds=blas_seconds(workload, reached.peaks),
    )


def _chain_seconds(workload: Workload, fastest: Sequence[Peak | None]) -> float | None:
    """Seconds of the chains' products at the rates of `fastest`, one or one for each way; None where one is unknown."""
    if len(fastest) == 1:
        parts = [chain_flops(workload)]
    else:
        forward = chain_flops(dataclasses.replace(workload, mode="inference"))
        parts = [forward, chain_flops(workload) - forward]
    total = 0.0
    for part, peak in zip(parts, fastest, strict=True):
        if peak is None:
            return None
        assert peak.flops_per_second is not None
        total += part / peak.flops_per_second
    return total


def _memory(workload: Workload, reached: Reached) -> Bandwidth | None:
    """The level that holds all data that a call must move, and its bandwidth."""
    if workload.device == "cuda":
        # A device's caches are not measured, and may be faster.
        copied = peak_bandwidth(workload, reached.peaks)
        return None if copied is None else Bandwidth(copied, "memory")
    return reached.bandwidth("read", workload.threads, least_bytes(workload) / workload.threads)


def share_of_attainable(seconds: float, of: Bound) -> float:
    """The bound over a call's seconds: 1 is as fast as possible."""
    return of.attainable_seconds / seconds


def time_parts(seconds: float, of: Bound) -> dict[LimitName, float]:
    """{limit: seconds} of a call's time; the parts add up to it.

    Up to the bound the time has the bound's parts. Beyond it, `chain` has the extra time of the steps' products, by the
    fastest measured chain or with each product a library's call, whichever is longer, as far as the time reaches;
    `overhead` has the rest. A call that is faster than its bound, by noise, has the bound's parts scaled to its time.
    """
    attainable = of.attainable_seconds
    if seconds <= attainable:
        return {limit: part * seconds / attainable for limit, part in of.parts.items()}
    beyond = seconds - attainable
    chained = max(0.0, (of.blas_seconds or 0.0) - attainable, (of.reached_seconds or 0.0) - attainable)
    parts = dict(of.parts)
    parts["chain"] = parts.get("chain", 0.0) + min(beyond, chained)
    parts["overhead"] = parts.get("overhead", 0.0) + max(0.0, beyond - chained)
    return parts


def what_bounds(seconds: float, of: Bound) -> LimitName:
    """The limit with the largest part of a call's time; `LIMIT_NAMES` has the words."""
    parts = time_parts(seconds, of)
    return max(parts, key=lambda limit: parts[limit])


def peak_flops(workload: Workload, peaks: Iterable[Peak]) -> float | None:
    """The highest rate of a matrix product under the workload's settings, operations a second; None when unknown."""
    rates = (peak.flops_per_second for peak in peaks if peak.kind == "gemm" and peak.belongs_to(workload))
    return max((rate for rate in rates if rate is not None), default=None)


def peak_bandwidth(workload: Workload, peaks: Iterable[Peak]) -> float | None:
    """The highest memory bandwidth under the workload's settings, bytes a second; None when unknown."""
    rates = (peak.bytes_per_second for peak in peaks if peak.kind == "bandwidth" and peak.belongs_to(workload))
    return max((rate for rate in rates if rate is not None), default=None)


def blas_seconds(workload: Workload, peaks: Iterable[Peak]) -> float | None:
    """Seconds of the workload's products, each a library's call at the best rate measured at its own shape.

    They include the chain of recurrent products, one call after another at the rate of a (B, H) by (H, G*H) product,
    and no gates and no framework. Code that packs the recurrent weights once can be faster. None when a shape's rate
    was not measured.
    """
    rates: dict[Shape, float] = {}
    for peak in peaks:
        if peak.kind not in ("gemm", "chain") or peak.source not in LIBRARIES or not peak.belongs_to(workload):
            continue
        assert peak.M is not None
        assert peak.N is not None
        assert peak.K is not None
        assert peak.flops_per_second is not None
        shape = (peak.M, peak.N, peak.K)
        rates[shape] = max(peak.flops_per_second, rates.get(shape, 0.0))
    total = 0.0
    for product in products(workload):
        rate = rates.get(measured_shape(product.shape, workload))
        if rate is None:
            return None
        total += product.flops / rate
    return total
