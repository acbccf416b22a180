"""Peaks: what is measured and in which order, with a fake clock."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.counts import products
from benchmarks.limits import chain, peaks, probes
from benchmarks.limits.bounds import bound
from benchmarks.limits.call_time import seconds_per_call
from benchmarks.limits.libraries import MeasuredLibrary, Pass, libraries
from benchmarks.limits.peak import Peak, Shape, chain_shapes, measured_shape
from benchmarks.limits.peaks import measure_peaks, shapes_by_importance
from benchmarks.measuring.sweeping.peak_processes import peak_seconds
from benchmarks.workload import Workload
from rnnimpl.registry import listing

WORKLOAD = Workload(mode="inference", T=3, B=2, I=5, H=7)
NAMES = ("torch", "numpy", "fused_cpu")
COMMON: dict[str, Any] = {"device": "cpu", "dtype": "float32", "precision": "ieee", "threads": 1}


def gemm(M: int, N: int, K: int, rate: float, **changes: Any) -> Peak:
    fields = {"source": "torch", **COMMON, **changes}
    return Peak(kind="gemm", M=M, N=N, K=K, seconds=2 * M * N * K / rate, flops_per_second=rate, **fields)


class FakeClock:
    """Moves only when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def takes(self, seconds: float) -> Callable[[], None]:
        def call() -> None:
            self.now += seconds

        return call


class FakeLibrary:
    """Computes at 1000 operations and 100 bytes a second, chains at 500; a call takes a millisecond."""

    def __init__(self, clock: FakeClock, name: str = "fake") -> None:
        self.clock = clock
        self.name = name

    def gemm(self, M: int, N: int, K: int) -> Callable[[], object]:
        return self.clock.takes(2 * M * N * K / 1000)

    def chain(self, M: int, N: int, K: int) -> Callable[[], object]:
        return self.clock.takes(2 * 2 * M * N * K / 500)

    def passes(self, array_bytes: int) -> list[Pass]:
        return [Pass(self.clock.takes(1.0), 50), Pass(self.clock.takes(2.0), 200)]

    def call(self) -> Callable[[], object]:
        return self.clock.takes(0.001)

    def synchronize(self) -> None:
        pass


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes and times that take next to nothing."""
    monkeypatch.setattr(peaks, "LARGE_SIZES", {"cpu": (4, 8)})
    monkeypatch.setattr(peaks, "LARGE_SECONDS", 0.001)
    monkeypatch.setattr(peaks, "SHAPE_SECONDS", 0.001)
    monkeypatch.setattr(peaks, "BANDWIDTH_BYTES", (4096, 4096))
    monkeypatch.setattr(chain, "SECONDS", 0.001)
    for name in ("RATE_SECONDS", "READ_SECONDS", "LATENCY_SECONDS"):
        monkeypatch.setattr(probes, name, 0.0005)
    monkeypatch.setattr(probes, "LARGEST_READ", 2**16)


@pytest.fixture
def libraries_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the peaks of this project's C++."""
    monkeypatch.setattr(peaks, "native_peaks", lambda *_: [])


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
@pytest.mark.usefixtures("small")
def test_everything_that_bounds_the_workloads_is_measured(dtype: Any) -> None:
    workload = dataclasses.replace(WORKLOAD, mode="training", dtype=dtype)
    found = measure_peaks([workload], 60.0)
    names = {"torch"} if dtype == "bfloat16" else {"torch", "numpy"}
    recurrent = (2, 7, 7)
    shapes = {(4, 4, 4), (8, 8, 8)} | {product.shape for product in products(workload)} - {recurrent}
    for name in names:
        own = [peak for peak in found if peak.source == name]
        assert {(peak.M, peak.N, peak.K) for peak in own if peak.kind == "gemm"} == shapes
        assert [(peak.M, peak.N, peak.K) for peak in own if peak.kind == "chain"] == [recurrent]
        assert sorted(peak.kind for peak in own if peak.kind not in ("gemm", "chain")) == ["bandwidth", "call"]
    cores = {"multiply_add", "step", "read"}
    assert {peak.kind for peak in found if peak.source == "cores"} == (set() if dtype == "bfloat16" else cores)
    assert {peak.source for peak in found} == names | (set() if dtype == "bfloat16" else {"cores", "fused_cpu"})
    assert all(peak.belongs_to(workload) and peak.seconds > 0 for peak in found)
    limit = bound(workload, found)
    assert limit is not None
    assert limit.multiply_adds_measured == (dtype != "bfloat16")
    assert limit.blas_seconds is not None


@pytest.mark.parametrize(("cell", "G"), [("lstm", 4), ("gru", 3)])
@pytest.mark.usefixtures("small")
def test_the_chains_of_a_gated_cell_are_measured_forward_and_backward(cell: Any, G: int) -> None:
    """Libraries measure both chains of a gated cell, the kernel of `fused_cpu` the forward one."""
    gated = dataclasses.replace(WORKLOAD, mode="training", cell=cell)
    found = measure_peaks([gated, WORKLOAD], 60.0)
    shapes = {name: {(p.M, p.N, p.K) for p in found if p.kind == "chain" and p.source == name} for name in NAMES}
    of_cell = {(2, 7 * G, 7), (2, 7, 7 * G)}
    assert shapes["torch"] == shapes["numpy"] == {(2, 7, 7)} | of_cell
    own = {(2, 7 * G, 7)} if cell in listing("fused_cpu").cells else set()
    assert shapes["fused_cpu"] == {(2, 7, 7)} | own
    for workload in (gated, WORKLOAD):
        limit = bound(workload, found)
        assert limit is not None
        assert limit.chain_seconds is not None
        assert limit.blas_seconds is not None


@pytest.mark.parametrize("shape", [(3, 4, 4), (3, 16, 4), (3, 4, 16), (1, 16, 4), (1, 4, 16)])
def test_a_product_of_a_librarys_chain_needs_the_one_before(shape: Shape, monkeypatch: pytest.MonkeyPatch) -> None:
    """A product's result, or a block of it, is the next product's factor, or a block of that; ones stay ones."""
    N, K = shape[1:]
    for name, module in (("mm", torch), ("matmul", np)):
        seen: list[tuple[Any, Any, Any]] = []
        multiply = getattr(module, name)

        def watch(a: Any, b: Any, out: Any, seen: Any = seen, multiply: Any = multiply) -> None:
            seen.append((a, b, out))
            multiply(a, b, out=out)

        monkeypatch.setattr(module, name, watch)
        library = next(each for each in libraries(WORKLOAD) if each.name == ("torch" if module is torch else "numpy"))
        twice = library.chain(*shape)
        twice()
        twice()
        first, second, third, _ = ((np.asarray(a), np.asarray(b), np.asarray(out)) for a, b, out in seen)
        assert (first[0].shape, first[1].shape, first[2].shape) == ((3 if shape[0] == 3 else 1, K), (K, N), shape[:2])
        assert np.shares_memory(first[2], second[0])
        assert np.shares_memory(second[2], third[0])
        assert third[2] == pytest.approx(1.0)
        # Forward w_hh (N, K) is turned, backward it is taken as it is.
        assert first[1].flags["C_CONTIGUOUS" if N < K else "F_CONTIGUOUS"]


def test_every_library_multiplies_what_it_says() -> None:
    for library in libraries(WORKLOAD):
        result: Any = library.gemm(3, 4, 5)()
        assert tuple(result.shape) == (3, 4)
        for traffic in library.passes(4096):
            traffic.run()
        moved = [traffic.moved_bytes for traffic in library.passes(4096)]
        assert moved == [2 * 4096, 3 * 4096][: len(moved)]


@pytest.mark.usefixtures("small", "libraries_alone")
def test_rates_are_operations_and_bytes_over_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()
    monkeypatch.setattr(peaks, "libraries", lambda _: (FakeLibrary(clock),))
    found = measure_peaks([WORKLOAD], 1e9, clock)
    assert [peak.flops_per_second for peak in found if peak.kind == "gemm"] == pytest.approx([1000.0] * 3)
    (product,) = (peak for peak in found if peak.kind == "chain")
    assert (product.seconds, product.flops_per_second) == pytest.approx((2 * 2 * 7 * 7 / 500, 500.0))
    assert [peak.seconds for peak in found if peak.kind == "call"] == pytest.approx([0.001])
    (bandwidth,) = (peak for peak in found if peak.kind == "bandwidth")
    assert (bandwidth.bytes_per_second, bandwidth.seconds) == pytest.approx((100.0, 2.0))


@pytest.mark.usefixtures("small", "libraries_alone")
def test_where_the_budget_ends_each_library_has_had_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()
    both: tuple[MeasuredLibrary, ...] = (FakeLibrary(clock, "one"), FakeLibrary(clock, "other"))
    monkeypatch.setattr(peaks, "libraries", lambda _: both)
    all_of_it = measure_peaks([WORKLOAD], 1e9, clock)
    assert [name for name, _ in itertools.groupby(peak.source for peak in all_of_it)] == ["one", "other"]
    # Of each library, the calls and two large products take 5.8 seconds, and memory then takes 15.
    hurried = measure_peaks([WORKLOAD], 10.0, clock)
    assert [(peak.source, peak.kind) for peak in hurried] == [
        *(("one", "call"), ("one", "gemm"), ("one", "gemm")),
        *(("other", "call"), ("other", "gemm"), ("other", "gemm")),
    ]


def test_workloads_of_different_settings_are_not_measured_together() -> None:
    with pytest.raises(ValueError, match="expected them to share one"):
        measure_peaks([WORKLOAD, dataclasses.replace(WORKLOAD, threads=2)], 1.0)
    with pytest.raises(ValueError, match="the workloads have 0 settings"):
        measure_peaks([], 1.0)


def test_the_best_median_of_the_blocks_counts() -> None:
    """The first use, a lucky sample and a disturbed block do not count."""
    clock = FakeClock()
    durations = iter([5.0, 1.0, *(3.0, 1.0, 3.0, 1.0, 3.0), *(1.5, 1.5, 1.5)])
    found = seconds_per_call(lambda: clock.takes(next(durations))(), lambda: None, clock, 15.0)
    assert found == pytest.approx(1.5)
    assert list(durations) == []


def test_short_calls_are_repeated_until_a_sample_is_long_enough() -> None:
    clock = FakeClock()
    calls = itertools.count()
    waits: list[int] = []

    def call() -> None:
        next(calls)
        clock.takes(1e-6)()

    measured = seconds_per_call(call, lambda: waits.append(next(calls)), clock, 0.015)
    assert measured == pytest.approx(1e-6)
    longest = max(later - earlier for earlier, later in itertools.pairwise(waits))
    assert longest >= 0.001 / 1e-6


def test_waiting_for_the_device_is_part_of_the_time() -> None:
    clock = FakeClock()
    assert seconds_per_call(lambda: None, clock.takes(1.0), clock, 1.0) == pytest.approx(1.0)


def test_shapes_that_make_up_most_of_a_workload_come_first() -> None:
    narrow = Workload(mode="inference", T=4, B=2, I=1, H=64)
    wide = Workload(mode="inference", T=4, B=2, I=640, H=64)
    assert shapes_by_importance([narrow, wide]) == ((2, 64, 64), (8, 64, 640), (8, 64, 1))


def test_edges_beyond_the_largest_are_measured_as_the_largest() -> None:
    assert measured_shape((10**6, 7, 2048), WORKLOAD) == (2048, 7, 2048)
    assert measured_shape((10**6, 7, 2049), dataclasses.replace(WORKLOAD, device="cuda")) == (8192, 7, 2049)


def test_the_chain_of_a_gated_cell_has_all_its_gates() -> None:
    """An LSTM of 1024 units reads 16 MiB a step, not the 8 MiB of 2048 rows; beyond 2048 units the rate stays."""
    lstm = dataclasses.replace(WORKLOAD, mode="training", B=16, H=1024, cell="lstm")
    assert chain_shapes(lstm) == ((16, 4096, 1024), (16, 1024, 4096))
    assert [measured_shape(shape, lstm) for shape in chain_shapes(lstm)] == list(chain_shapes(lstm))
    assert measured_shape((3 * 16, 4096, 1024), lstm) == (48, 2048, 1024)
    large = dataclasses.replace(lstm, H=4096)
    assert chain_shapes(large) == ((16, 8192, 2048), (16, 2048, 8192))
    assert measured_shape((16, 16384, 4096), large) == (16, 8192, 2048)
    assert chain_shapes(dataclasses.replace(large, cell="tanh")) == ((16, 2048, 2048),)
    assert chain_shapes(dataclasses.replace(lstm, mode="inference")) == ((16, 4096, 1024),)


def test_a_peak_survives_json_and_a_later_version() -> None:
    peak = gemm(2, 3, 4, 1e9)
    record = json.loads(json.dumps(peak.to_json()))
    assert Peak.from_json(record) == peak
    assert Peak.from_json({**record, "later": 1}) == peak


def test_a_peak_of_an_earlier_version_has_an_engine() -> None:
    """The `engine` of an earlier version is read as the source."""
    record = gemm(2, 3, 4, 1e9, source="numpy").to_json()
    record["engine"] = record.pop("source")
    assert Peak.from_json(record).source == "numpy"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "fft"}, "kind is 'fft'"),
        ({"device": "tpu"}, "device is 'tpu'"),
        ({"seconds": 0.0}, "seconds of a gemm peak is 0.0"),
        ({"seconds": float("inf")}, "seconds of a gemm peak is inf"),
        ({"flops_per_second": None}, "flops_per_second of a gemm peak is None"),
        ({"M": "4"}, "M of a gemm peak is '4'"),
        ({"kind": "bandwidth"}, "bytes_per_second of a bandwidth peak is None"),
        ({"kind": "read", "bytes_per_second": 1.0}, "working_set_bytes of a read peak is None"),
        ({"level": "L9"}, "level is 'L9'"),
    ],
)
def test_a_record_that_is_no_peak_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Peak.from_json({**gemm(2, 3, 4, 1e9).to_json(), **changes})


def test_measuring_peaks_has_its_share_of_the_budget() -> None:
    """Twelve seconds a group of settings, more in a sweep of hours; a tenth of a short sweep for all together."""
    assert peak_seconds(600.0, 1) == 12.0
    assert peak_seconds(8 * 3600.0, 1) == 0.02 * 8 * 3600
    assert peak_seconds(60.0, 1) == 6.0
    assert peak_seconds(60.0, 3) == 2.0
