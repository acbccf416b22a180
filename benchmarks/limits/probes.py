"""Peaks of the cores, measured by a small C++ program: rates, bandwidths and latencies without a library.

Where a library's product is slow, they show whether the machine is. `native/probes.cpp` has the loops; it needs a C++
compiler and two seconds once. Without a compiler there are no such peaks, and bounds rest on libraries alone.
"""

from __future__ import annotations

import ctypes
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from benchmarks.counts import step_bytes
from benchmarks.limits.peak import LEVELS, Level, Peak, settings
from benchmarks.workload import Workload
from rnnimpl.dtypes import Dtype
from rnnimpl.native.build import library

PROBES = Path(__file__).parent / "native" / "probes.cpp"
CORES = "cores"
DTYPES: tuple[Dtype, ...] = ("float32", "float64")
"""The dtypes that the loops are compiled for."""

RATE_SECONDS = 0.05
READ_SECONDS = 0.015
LATENCY_SECONDS = 0.02
"""Limits for the samples of each probe; some are taken in any case."""
LARGEST_READ = 128 * 2**20
"""Largest array of a thread: beyond the caches the bandwidth of a larger one is the same."""

_FAILURES = {-1.0: "there is no memory for it", -2.0: "the system gives no threads", -3.0: "its result is wrong"}


class ProbeError(Exception):
    """A probe could not measure; the message says which and why."""


class Probes(Protocol):
    """The loops, each measured for about `seconds`; all numbers are the best samples."""

    def multiply_adds(self, dtype: Dtype, threads: int, seconds: float) -> float:
        """Operations a second of all threads."""

    def read(self, threads: int, array_bytes: int, shared: bool, seconds: float) -> float:
        """Bytes a second of all threads."""

    def least_step(self, dtype: Dtype, seconds: float) -> float:
        """Seconds of a dependent step."""

    def exchange(self, seconds: float) -> float:
        """Seconds until one thread sees what another wrote."""


class NativeProbes:
    """The compiled loops. Raises Unavailable where they cannot be compiled, ProbeError where one fails."""

    def __init__(self) -> None:
        functions = library(PROBES, what="the probes of this machine").functions
        whole, size, real = ctypes.c_int, ctypes.c_long, ctypes.c_double

        def function(name: str, *arguments: type[Any]) -> Callable[..., float]:
            found = getattr(functions, f"probe_{name}")
            found.restype, found.argtypes = real, arguments

            def checked(*values: Any) -> float:
                result: float = found(*values)
                if not result > 0:
                    raise ProbeError(f"probe {name}{values} failed: {_FAILURES.get(result, f'it gave {result}')}")
                return result

            return checked

        self._multiply_adds = {dtype: function(f"multiply_adds_{dtype}", whole, real) for dtype in DTYPES}
        self._read = function("read", whole, size, whole, real)
        self._least_step = {dtype: function(f"least_step_{dtype}", real) for dtype in DTYPES}
        self._exchange = function("exchange", real)

    def multiply_adds(self, dtype: Dtype, threads: int, seconds: float) -> float:
        return self._multiply_adds[dtype](threads, seconds)

    def read(self, threads: int, array_bytes: int, shared: bool, seconds: float) -> float:
        return self._read(threads, array_bytes, int(shared), seconds)

    def least_step(self, dtype: Dtype, seconds: float) -> float:
        return self._least_step[dtype](seconds)

    def exchange(self, seconds: float) -> float:
        return self._exchange(seconds)


@dataclasses.dataclass(frozen=True)
class Cache:
    """A level of the data caches: its size, and the number of cores that share it."""

    level: Level
    size_bytes: int
    cores: int


def data_caches(described: Sequence[Mapping[str, Any]]) -> tuple[Cache, ...]:
    """The data caches among those that `machine.caches` describes, nearest first."""
    found = [
        Cache(f"L{cache['level']}", cache["bytes"], cache["logical_cores"])  # type: ignore[arg-type]  # checked below
        for cache in described
        if cache["type"] in ("data", "unified") and cache["bytes"] and cache["logical_cores"] and cache["level"]
    ]
    return tuple(sorted((cache for cache in found if cache.level in LEVELS), key=lambda cache: cache.level))


def level_of(array_bytes: int, threads: int, shared: bool, caches: Sequence[Cache]) -> Level:
    """The first level that holds arrays of this size, one for each thread or one that all share."""
    for cache in caches:
        arrays = 1 if shared else min(threads, cache.cores)
        if arrays * array_bytes <= cache.size_bytes:
            return cache.level
    return "memory"


def read_sizes(threads: int, caches: Sequence[Cache]) -> tuple[int, ...]:
    """Sizes that fill half of a thread's share of each cache, and one of four times its share of the last."""
    shares = [cache.size_bytes // min(threads, cache.cores) for cache in caches]
    return (*(share // 2 for share in shares), min(4 * shares[-1] if shares else LARGEST_READ, LARGEST_READ))


def probe_peaks(workloads: Sequence[Workload], probes: Probes, caches: Sequence[Cache]) -> Iterator[Peak]:
    """The peaks that bound workloads of common settings: on their threads and, where those are several, on one."""
    device, dtype, precision, threads = settings(workloads[0])

    def peak(kind: Any, count: int, **fields: Any) -> Peak:
        shared: dict[str, Any] = {"device": device, "dtype": dtype, "precision": precision, "threads": count}
        return Peak(kind=kind, source=CORES, **shared, **fields)

    def rate(count: int) -> Peak:
        found = probes.multiply_adds(dtype, count, RATE_SECONDS)
        return peak("multiply_add", count, seconds=1 / found, flops_per_second=found)

    def read(count: int, size: int, *, shared: bool) -> Peak:
        found = probes.read(count, size, shared, READ_SECONDS)
        return peak(
            "shared_read" if shared else "read",
            count,
            seconds=count * size / found,
            bytes_per_second=found,
            working_set_bytes=size,
            level=level_of(size, count, shared, caches),
        )

    counts = sorted({1, threads}, reverse=True)
    weights = sorted({min(step_bytes(workload), LARGEST_READ) for workload in workloads})
    for count in counts:
        yield rate(count)
    yield peak("step", 1, seconds=probes.least_step(dtype, LATENCY_SECONDS))
    if threads > 1:
        yield peak("exchange", threads, seconds=probes.exchange(LATENCY_SECONDS))
    for count in counts:
        for size in sorted({*read_sizes(count, caches), *(max(1, size // count) for size in weights)}):
            yield read(count, size, shared=False)
    if threads > 1:
        for size in weights:
            yield read(threads, size, shared=True)
    # The cores' clock varies: a second sample, some time later, makes it likelier that the highest is seen.
    for count in counts:
        yield rate(count)
