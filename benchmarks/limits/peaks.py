"""Measuring the machine's peaks: rates of products, chains of them, bandwidths, latencies, cost of a call.

They are measured in the calling process, which has bound its threads, for workloads that share a device, dtype,
precision and thread count. `bounds` derives what they mean for a workload.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from benchmarks.counts import flops, products
from benchmarks.limits.call_time import seconds_per_call
from benchmarks.limits.chain import chain_peaks, prepare_kernels
from benchmarks.limits.libraries import MeasuredLibrary, libraries
from benchmarks.limits.peak import Peak, Shape, chain_shapes, measured_shape, settings
from benchmarks.limits.probes import DTYPES as PROBED
from benchmarks.limits.probes import NativeProbes, ProbeError, data_caches, probe_peaks
from benchmarks.machine import available_bytes, caches, last_level_cache_bytes
from benchmarks.workload import Device, Workload
from rnnimpl.interface import Unavailable

LARGE_SIZES: Mapping[Device, tuple[int, ...]] = {"cpu": (1024,), "cuda": (4096, 8192)}
"""Edges of the square products among which the highest rate is found."""
SHAPE_SECONDS = 0.03
LARGE_SECONDS = 0.4
BANDWIDTH_BYTES = (64 * 2**20, 2**30)
"""The least and the largest size of each array that is copied."""


def shapes_by_importance(workloads: Sequence[Workload]) -> tuple[Shape, ...]:
    """The shapes to measure, first those with the largest share of some workload's operations."""
    shares: dict[Shape, float] = {}
    for workload in workloads:
        # Sequences of several lengths have products of many shapes, and no bounds.
        if not workload.has_one_length:
            continue
        of_this: dict[Shape, float] = {}
        for product in products(workload):
            shape = measured_shape(product.shape, workload)
            of_this[shape] = of_this.get(shape, 0.0) + product.flops / flops(workload)
        for shape, share in of_this.items():
            shares[shape] = max(share, shares.get(shape, 0.0))
    return tuple(sorted(shares, key=lambda shape: (-shares[shape], math.prod(shape))))


def measure_peaks(
    workloads: Sequence[Workload],
    seconds_budget: float,
    clock: Callable[[], float] = time.perf_counter,
    say: Callable[[str], None] = warnings.warn,
) -> list[Peak]:
    """Measure the peaks that bound the workloads: of the cores, then of each library.

    Of a library the calls come first, then large products, memory, and the workloads' own products and chains. The
    cores and each library have their share of `seconds_budget`, and the next one has what is left of it. At its end the
    shapes that matter least are left out; the measurement under way is finished. `say` is handed why a peak could not
    be measured. Sets the thread count of the libraries and PyTorch's precision for this process. Raises ValueError
    unless all workloads share device, dtype, precision and threads.
    """
    groups = dict.fromkeys(map(settings, workloads))
    if len(groups) != 1:
        raise ValueError(f"the workloads have {len(groups)} settings {list(groups)}; expected them to share one")
    # One after the other: in turns with another library, PyTorch's products take far longer than alone.
    sources = [
        *native_peaks(workloads, clock, say),
        *(_library_peaks(workloads, each, clock) for each in libraries(workloads[0])),
    ]
    start = clock()
    found: list[Peak] = []
    for number, source in enumerate(sources, start=1):
        for peak in source:
            found.append(peak)
            if clock() - start >= seconds_budget * number / len(sources):
                break
    return found


def native_peaks(
    workloads: Sequence[Workload], clock: Callable[[], float], say: Callable[[str], None]
) -> list[Iterator[Peak]]:
    """The peaks of this project's C++, compiled on return; none where it cannot compile or lacks the settings."""
    device, dtype, _, _ = settings(workloads[0])
    if device != "cpu" or dtype not in PROBED:
        return []
    try:
        probes = NativeProbes()
        prepare_kernels(workloads)
    except Unavailable as missing:
        say(f"what the cores reach is not measured, bounds rest on libraries: {missing}")
        return []

    def measured() -> Iterator[Peak]:
        try:
            yield from probe_peaks(workloads, probes, data_caches(caches()))
        except ProbeError as failed:
            say(str(failed))
        yield from chain_peaks(workloads, clock)

    return [measured()]


def _library_peaks(
    workloads: Sequence[Workload], library: MeasuredLibrary, clock: Callable[[], float]
) -> Iterator[Peak]:
    """Every peak of a library, measured on demand, the most important first."""
    device, dtype, precision, threads = settings(workloads[0])
    common: dict[str, Any] = {"device": device, "dtype": dtype, "precision": precision, "threads": threads}
    seconds = seconds_per_call(library.call(), library.synchronize, clock, SHAPE_SECONDS)
    yield Peak(kind="call", source=library.name, seconds=seconds, **common)
    for edge in LARGE_SIZES[device]:
        yield _gemm(library, (edge, edge, edge), clock, LARGE_SECONDS, common)
    yield _bandwidth(library, _bandwidth_bytes(device), clock, common)
    chains = {shape for workload in workloads for shape in chain_shapes(workload)}
    for shape in shapes_by_importance(workloads):
        yield (_chain if shape in chains else _gemm)(library, shape, clock, SHAPE_SECONDS, common)


def _chain(
    library: MeasuredLibrary, shape: Shape, clock: Callable[[], float], most_seconds: float, common: Mapping[str, Any]
) -> Peak:
    M, N, K = shape
    seconds = seconds_per_call(library.chain(M, N, K), library.synchronize, clock, most_seconds) / 2
    rate = 2 * M * N * K / seconds
    return Peak(kind="chain", source=library.name, M=M, N=N, K=K, seconds=seconds, flops_per_second=rate, **common)


def _gemm(
    library: MeasuredLibrary, shape: Shape, clock: Callable[[], float], most_seconds: float, common: Mapping[str, Any]
) -> Peak:
    M, N, K = shape
    seconds = seconds_per_call(library.gemm(M, N, K), library.synchronize, clock, most_seconds)
    rate = 2 * M * N * K / seconds
    return Peak(kind="gemm", source=library.name, M=M, N=N, K=K, seconds=seconds, flops_per_second=rate, **common)


def _bandwidth(
    library: MeasuredLibrary, array_bytes: int, clock: Callable[[], float], common: Mapping[str, Any]
) -> Peak:
    """The better of a copy and, where the library has it in one pass, STREAM's triad a + s*b (McCalpin 1995)."""
    measured = []
    for traffic in library.passes(array_bytes):
        seconds = seconds_per_call(traffic.run, library.synchronize, clock, LARGE_SECONDS / 4)
        measured.append((traffic.moved_bytes / seconds, seconds))
    rate, seconds = max(measured)
    return Peak(kind="bandwidth", source=library.name, seconds=seconds, bytes_per_second=rate, **common)


def _bandwidth_bytes(device: Device) -> int:
    """Bytes of each array: four times the last cache, which then holds little of it on the next pass."""
    least, most = BANDWIDTH_BYTES
    if device == "cuda":
        return most
    available = available_bytes(device)
    affordable = most if available is None else available // 8
    return max(min(4 * (last_level_cache_bytes() or most // 4), most, affordable), min(least, affordable))
