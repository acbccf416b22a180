"""How fast a workload could be on this machine, from peaks that were measured on it. Pure functions of records."""

from __future__ import annotations

from collections.abc import Iterable

from benchmarks.counts import products
from benchmarks.machine.peaks import Peak, Shape, measured_shape
from benchmarks.workload import Workload


def peak_flops(workload: Workload, peaks: Iterable[Peak]) -> float | None:
    """The highest rate of a matrix product under the workload's settings, operations a second; None when unknown."""
    rates = (peak.flops_per_second for peak in peaks if peak.belongs_to(workload))
    return max((rate for rate in rates if rate is not None), default=None)


def peak_bandwidth(workload: Workload, peaks: Iterable[Peak]) -> float | None:
    """The highest memory bandwidth under the workload's settings, bytes a second; None when unknown."""
    rates = (peak.bytes_per_second for peak in peaks if peak.belongs_to(workload))
    return max((rate for rate in rates if rate is not None), default=None)


def call_seconds(workload: Workload, engine: str, peaks: Iterable[Peak]) -> float | None:
    """What the least call of a library costs under the workload's settings; None when unknown."""
    found = (peak for peak in peaks if peak.kind == "call" and peak.engine == engine and peak.belongs_to(workload))
    return min((peak.seconds for peak in found), default=None)


def bound_seconds(workload: Workload, peaks: Iterable[Peak]) -> float | None:
    """Seconds that the workload's products take, each at the best rate measured at its own shape.

    The chain of recurrent products is in it: they run one after another, at the rate of a (B, H, H) product.
    Nothing else is, no nonlinearity and no framework. It bounds what calls a BLAS for each product; code that
    packs the recurrent weights once, or keeps them in registers, can be faster. None when a shape's rate was not
    measured.
    """
    rates: dict[Shape, float] = {}
    for peak in peaks:
        if peak.M is None or peak.N is None or peak.K is None or peak.flops_per_second is None:
            continue
        if peak.belongs_to(workload):
            shape = (peak.M, peak.N, peak.K)
            rates[shape] = max(peak.flops_per_second, rates.get(shape, 0.0))
    total = 0.0
    for product in products(workload):
        rate = rates.get(measured_shape(product.shape, workload.device))
        if rate is None:
            return None
        total += product.flops / rate
    return total
