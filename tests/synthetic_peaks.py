"""Peaks with known rates."""

from __future__ import annotations

from typing import Any

from benchmarks.limits.peak import Level, Peak, PeakKind


def peak(kind: PeakKind, source: str = "cores", threads: int = 1, seconds: float = 1.0, **fields: Any) -> Peak:
    common: dict[str, Any] = {"device": "cpu", "dtype": "float32", "precision": "ieee"}
    return Peak(kind=kind, source=source, threads=threads, seconds=seconds, **{**common, **fields})


def gemm(M: int, N: int, K: int, rate: float, source: str = "torch", kind: PeakKind = "gemm", **changes: Any) -> Peak:
    seconds = 2 * M * N * K / rate
    return peak(kind, source, seconds=seconds, M=M, N=N, K=K, flops_per_second=rate, **changes)


def multiply_add(rate: float, threads: int = 1) -> Peak:
    return peak("multiply_add", threads=threads, flops_per_second=rate)


def read(size: int, rate: float, level: Level, threads: int = 1, kind: PeakKind = "read") -> Peak:
    return peak(kind, threads=threads, bytes_per_second=rate, working_set_bytes=size, level=level)
