"""Probes: which are taken for which workloads and caches, with made-up loops; and that the real ones run."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from pathlib import Path
from typing import Any

import pytest

from benchmarks.limits import chain, peaks, probes
from benchmarks.limits.peaks import measure_peaks
from benchmarks.limits.probes import Cache, NativeProbes, ProbeError, data_caches, level_of, probe_peaks, read_sizes
from benchmarks.workload import Workload
from rnnimpl import load
from rnnimpl.dtypes import Dtype
from rnnimpl.interface import CellName, Unavailable
from rnnimpl.native import build

CACHES = (Cache("L1", 32_000, 1), Cache("L2", 512_000, 1), Cache("L3", 8_000_000, 4))
WORKLOADS = [Workload(mode="inference", T=4, B=2, I=3, H=H, threads=2) for H in (100, 10, 100)]


class Scripted:
    """Records its requests, and answers each with another number."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []

    def multiply_adds(self, dtype: Dtype, threads: int, seconds: float) -> float:
        self.asked.append(("multiply_adds", dtype, threads))
        return threads * 1e9

    def read(self, threads: int, array_bytes: int, shared: bool, seconds: float) -> float:
        self.asked.append(("read", threads, array_bytes, shared))
        return threads * 1e9

    def least_step(self, dtype: Dtype, seconds: float) -> float:
        return 2e-9

    def exchange(self, seconds: float) -> float:
        return 1e-7


def test_the_rates_are_measured_on_the_workloads_threads_and_on_one_before_and_after() -> None:
    asked = Scripted()
    found = list(probe_peaks(WORKLOADS, asked, CACHES))
    rates = [each for each in asked.asked if each[0] == "multiply_adds"]
    assert rates == [("multiply_adds", "float32", 2), ("multiply_adds", "float32", 1)] * 2
    assert [asked.asked[0][0], asked.asked[-1][0]] == ["multiply_adds"] * 2
    assert {peak.kind: peak.seconds for peak in found if peak.kind in ("step", "exchange")} == {
        "step": 2e-9,
        "exchange": 1e-7,
    }
    assert [peak.flops_per_second for peak in found if peak.kind == "multiply_add"] == [2e9, 1e9] * 2


def test_weights_are_read_whole_by_one_in_parts_by_all_and_together() -> None:
    """w_hh has 40 kB and 400 B; arrays for the levels come beside."""
    asked = Scripted()
    list(probe_peaks(WORKLOADS, asked, CACHES))
    reads = [each[1:] for each in asked.asked if each[0] == "read"]
    levels = {1: {16_000, 256_000, 4_000_000, 32_000_000}, 2: {16_000, 256_000, 2_000_000, 16_000_000}}
    alone, parts, shared = (
        {size for threads, size, together in reads if (threads, together) == of}
        for of in ((1, False), (2, False), (2, True))
    )
    assert alone == levels[1] | {40_000, 400}
    assert parts == levels[2] | {20_000, 200}
    assert shared == {40_000, 400}
    assert len(reads) == len(set(reads))


def test_one_thread_exchanges_nothing_and_shares_nothing() -> None:
    alone = [dataclasses.replace(workload, threads=1) for workload in WORKLOADS]
    found = list(probe_peaks(alone, Scripted(), CACHES))
    assert {peak.kind for peak in found} == {"multiply_add", "step", "read"}
    assert {peak.threads for peak in found} == {1}


@pytest.mark.parametrize(
    ("array_bytes", "threads", "shared", "level"),
    [
        (32_000, 1, False, "L1"),
        (32_001, 1, False, "L2"),
        (32_000, 8, False, "L1"),
        (4_000_000, 2, False, "L3"),
        (4_000_001, 2, False, "memory"),
        (8_000_000, 4, True, "L3"),
        (2_000_000, 16, False, "L3"),
        (2_000_001, 16, False, "memory"),
    ],
)
def test_an_array_lies_in_the_first_cache_that_holds_it(
    array_bytes: int, threads: int, shared: bool, level: str
) -> None:
    """A cache that four cores share holds four of their arrays; there is another for the next four."""
    assert level_of(array_bytes, threads, shared, CACHES) == level


def test_without_known_caches_all_is_memory() -> None:
    assert read_sizes(2, ()) == (probes.LARGEST_READ,)
    assert level_of(1, 1, False, ()) == "memory"


def test_caches_of_instructions_and_unknown_sizes_do_not_count() -> None:
    described: list[dict[str, Any]] = [
        {"level": 2, "type": "unified", "bytes": 512, "logical_cores": 2},
        {"level": 1, "type": "data", "bytes": 32, "logical_cores": 1},
        {"level": 1, "type": "instruction", "bytes": 32, "logical_cores": 1},
        {"level": 3, "type": "unified", "bytes": None, "logical_cores": 4},
        {"level": None, "type": "unified", "bytes": 1, "logical_cores": 4},
    ]
    assert data_caches(described) == (Cache("L1", 32, 1), Cache("L2", 512, 2))


@pytest.fixture(scope="module")
def native() -> NativeProbes:
    return NativeProbes()


@pytest.mark.parametrize("dtype", probes.DTYPES)
def test_the_loops_do_what_they_count(native: NativeProbes, dtype: Dtype) -> None:
    """Each loop checks its result, and fails if it is wrong."""
    for threads in (1, 2):
        assert 0 < native.multiply_adds(dtype, threads, 1e-4) < 1e15
    assert 0 < native.least_step(dtype, 1e-4) < 1


@pytest.mark.parametrize(("threads", "shared"), [*itertools.product((1, 2), (False, True))])
@pytest.mark.parametrize("array_bytes", [1, 1000, 2**16, 2**20])
def test_arrays_of_any_size_are_read(native: NativeProbes, threads: int, shared: bool, array_bytes: int) -> None:
    assert 0 < native.read(threads, array_bytes, shared, 1e-4) < 1e15


def test_a_small_array_is_read_as_fast_as_a_larger_one_of_the_same_cache(native: NativeProbes) -> None:
    """About: what adding up a pass's vectors takes is no part of a limit. It once was, and took three times as long."""
    assert native.read(1, 4096, False, 0.05) > 0.5 * native.read(1, 24 * 1024, False, 0.05)


def test_two_threads_exchange_a_line(native: NativeProbes) -> None:
    assert 0 < native.exchange(1e-4) < 1


def test_a_loop_that_cannot_run_says_why(native: NativeProbes) -> None:
    with pytest.raises(ProbeError, match="there is no memory for it"):
        native.read(1, 2**60, False, 1e-4)


def test_a_step_of_our_own_chain_takes_its_share_of_a_call() -> None:
    """T is large enough to hide a call, and a network of it keeps a state of ones."""
    now = itertools.count()
    assert 0 < chain.step_seconds(1, 2, "relu", "float32", lambda: next(now) / 1000) < 1


@pytest.mark.parametrize("cell", ["relu", "lstm", "gru"])
@pytest.mark.parametrize("H", [1, 64])
def test_a_chain_of_any_cell_keeps_its_state_from_vanishing(cell: CellName, H: int, monkeypatch: Any) -> None:
    """Numbers so small that they are slow would be measured otherwise, here of any implementation that has the cell."""
    outputs: list[Any] = []

    class Watched(load("numpy_loop")):  # type: ignore[misc]  # a class that is loaded by its name
        def forward(self, x: Any, state: Any = None) -> Any:
            found = super().forward(x, state)
            outputs.extend([found[0], *found[1]])
            return found

    monkeypatch.setattr(chain, "load", lambda _: Watched)
    now = itertools.count()
    chain.step_seconds(1, H, cell, "float32", lambda: next(now) / 10)
    assert min(each.min() for each in outputs) > 0.5
    assert max(each.max() for each in outputs) < 1e4


def test_the_kernels_chain_is_measured_for_the_cells_that_it_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plain cell's stands for tanh and relu alike; of a cell that it does not compute nothing is measured."""
    asked: list[tuple[Any, ...]] = []

    class Kernel(load("numpy_loop")):  # type: ignore[misc]  # a class that is loaded by its name
        cells = ("tanh", "relu", "lstm")

    def step_seconds(*of: Any) -> float:
        asked.append(of[:3])
        return 1.0

    monkeypatch.setattr(chain, "load", lambda _: Kernel)
    monkeypatch.setattr(chain, "step_seconds", step_seconds)
    cells: tuple[CellName, ...] = ("tanh", "relu", "lstm", "gru")
    one = dataclasses.replace(WORKLOADS[1], threads=1)
    found = list(chain.chain_peaks([dataclasses.replace(one, cell=cell) for cell in cells], lambda: 0.0))
    assert asked == [(2, 10, "relu"), (2, 10, "lstm")]
    assert [(p.M, p.N, p.K, p.flops_per_second) for p in found] == [(2, 10, 10, 400.0), (2, 40, 10, 1600.0)]


def test_without_a_compiler_the_libraries_are_measured_and_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: Any, **__: Any) -> None:
        raise Unavailable("no C++ compiler: none")

    monkeypatch.setattr(probes, "library", missing)
    monkeypatch.setattr(peaks, "libraries", lambda _: ())
    said: list[str] = []
    assert measure_peaks(WORKLOADS, 1.0, say=said.append) == []
    assert said == ["what the cores reach is not measured, bounds rest on libraries: no C++ compiler: none"]


def test_a_probe_that_fails_is_said_and_the_rest_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing(Scripted):
        def exchange(self, seconds: float) -> float:
            raise ProbeError("probe exchange failed")

    monkeypatch.setattr(peaks, "NativeProbes", Failing)
    monkeypatch.setattr(peaks, "chain_peaks", functools.partial(lambda *_: iter(())))
    monkeypatch.setattr(peaks, "libraries", lambda _: ())
    said: list[str] = []
    found = measure_peaks(WORKLOADS, 1.0, say=said.append)
    assert [peak.kind for peak in found] == ["multiply_add", "multiply_add", "step"]
    assert said == ["probe exchange failed"]


def test_each_source_has_a_library_of_its_own(tmp_path: Path) -> None:
    """Libraries compiled from two sources have two names."""
    key = functools.partial(build.library_name, ["c++"], "1", ())
    other = tmp_path / "api.cpp"
    other.write_text("int other() { return 0; }")
    assert len({key(build.API), key(probes.PROBES), key(other)}) == 3
