"""Observing one case, on made-up looks and kernels: what a phase takes, and what of the pairs reaches the record."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks.measuring.call import Call
from benchmarks.measuring.measure import Subject
from benchmarks.profiling.sampling import blocks, cpu_profile, pairs
from benchmarks.profiling.sampling.pairs import LEAST_PAIRS, Block
from benchmarks.profiling.sampling.sampler import BACKWARD, FORWARD, HAS_NO_CORE, SAMPLE
from benchmarks.profiling.sampling.symbols import Place
from benchmarks.profiling.tracing import gpu_profile
from benchmarks.profiling.tracing.chrome import Event
from benchmarks.profiling.tracing.gpu_profile import MARK
from benchmarks.workload import Workload
from rnnimpl import load

DISTURBED = 1
"""The pair that others disturb here."""


def subject() -> Subject:
    """A tiny case."""
    return Subject(load("numpy_loop"), Workload(mode="inference", T=2, B=1, I=2, H=2), clock=time.perf_counter)


class Phase:
    """Remembers what it was set to."""

    def __init__(self) -> None:
        self.told: list[int] = []

    @property
    def value(self) -> int:
        return self.told[-1]

    @value.setter
    def value(self, phase: int) -> None:
        self.told.append(phase)


class Sampler:
    """Has seen two threads multiply, in so many looks of a tenth of a second as there were blocks before, and one.

    And at one look more the main thread had no core.
    """

    def __init__(self) -> None:
        self.phase = Phase()
        self.blocks = 0

    def start(self) -> None:
        """Looks are made up."""

    def stop(self) -> np.ndarray[tuple[int], np.dtype[np.void]]:
        self.blocks += 1
        main = os.getpid()
        looks = [
            (MULTIPLIES, 0, 0, look, thread, FORWARD, 100_000_000)
            for look in range(self.blocks)
            for thread in (main, main + 1)
        ]
        return np.array([*looks, (HAS_NO_CORE, 0, 0, self.blocks, main, FORWARD, 0)], SAMPLE)


MULTIPLIES = 100
PRODUCT = Place("libtorch_cpu.so", "mkl_blas_def_sgemm_kernel_0_zen")


def observed(monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, Any], Sampler, list[float]]:
    """The record of five pairs, the sampler that it comes from, and the seconds that each block was to take."""
    sampler = Sampler()
    monkeypatch.setattr(cpu_profile, "Sampler", lambda: sampler)
    monkeypatch.setattr(cpu_profile, "places", lambda addresses: dict.fromkeys(addresses, PRODUCT))
    order = iter([0, 0, DISTURBED, DISTURBED, 2, 2, 3, 3, 4, 4])
    asked: list[float] = []

    def block(call: Callable[[], object], seconds: float, profiler: Any = blocks.NO_PROFILER) -> Block:
        with profiler:
            call()
        asked.append(seconds)
        return Block([(1.0, 0.0)], 0.5 if next(order) == DISTURBED else 0.0, context_switches=0)

    monkeypatch.setattr(cpu_profile, "take_block", block)
    monkeypatch.setattr(pairs, "halves_differ", lambda _: 0.0)
    return cpu_profile.observe(subject(), 1.0), sampler, asked


def test_looks_of_a_disturbed_pair_are_in_no_breakdown(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the time that looks stand for is that of their own pair. Blocks have 1, 2, 3, ... looks."""
    record, _, _ = observed(monkeypatch)
    assert [pair["seen_seconds"] for pair in record["pairs"]] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])
    assert [pair["counts"] for pair in record["pairs"]] == [True, False, True, True, True]
    assert record["phases"]["1"]["kinds"] == {"products": 1 + 3 + 4 + 5}


def test_looks_of_all_other_blocks_are_added_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """By function too; those without a core of each of four blocks; threads that compute at a look, in the mean."""
    record, _, _ = observed(monkeypatch)
    phase = record["phases"]["1"]
    assert phase["functions"] == [["products", *PRODUCT, 1 + 3 + 4 + 5]]
    assert phase["without_core"] == 4
    assert phase["computing_threads"] == 2.0


def test_the_least_pairs_share_the_seconds_of_a_side(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second here, and only calls that are looked at tell the sampler their phase."""
    _, sampler, asked = observed(monkeypatch)
    assert asked == [1.0 / LEAST_PAIRS] * 10
    assert sampler.phase.told == [FORWARD, 0] * 5


class Queued:
    """A network whose work is queued: its time, 2 s forward and 3 s backward, has passed once it was waited for."""

    def __init__(self) -> None:
        self.now = self.queued = 0.0
        self.phase = Phase()
        self.done: list[tuple[int, float]] = []

    def forward(self, x: object) -> tuple[object, object]:
        self.queued += 2.0
        return x, x

    def vjp(self, x: object) -> tuple[object, object, Callable[[object, object], None]]:
        return *self.forward(x), self.pullback

    def pullback(self, dy: object, dh_n: object) -> None:
        self.queued += 3.0

    def synchronize(self) -> None:
        self.done.append((self.phase.value, self.queued))
        self.now += self.queued
        self.queued = 0.0


@pytest.mark.parametrize(
    ("mode", "seconds", "done"),
    [("inference", (2.0, 0.0), [(FORWARD, 2.0)]), ("training", (2.0, 3.0), [(FORWARD, 2.0), (BACKWARD, 3.0)])],
)
def test_a_phase_lasts_until_its_work_is_done(
    mode: str, seconds: tuple[float, float], done: list[tuple[int, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the sampler is told so: looks go to the phase whose work it is, and to none after the call."""
    rnn = Queued()
    monkeypatch.setattr(cpu_profile, "time", SimpleNamespace(perf_counter=lambda: rnn.now))
    call = Call(rnn, x=None, dy=None if mode == "inference" else ())  # type: ignore[arg-type]  # in place of an Rnn
    phase: Any = rnn.phase
    assert cpu_profile._call(tuple(call.phases().values()), phase) == seconds  # what each block calls
    assert rnn.done == done
    assert rnn.phase.value == 0


def test_kernels_of_a_disturbed_pair_are_in_no_breakdown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a GPU too: launches of a call, here as many as there were blocks before, and one."""
    numbers = iter(range(99))

    def profiled(*_: object) -> tuple[Block, list[Event]]:
        number = next(numbers)
        kernels: list[Event] = [
            {"name": "gemm", "cat": "kernel", "ts": 10.0 * at, "dur": 5.0, "args": {}} for at in range(number + 1)
        ]
        mark: Event = {"name": MARK + "forward", "cat": "user_annotation", "ts": 0.0, "dur": 1000.0, "args": {}}
        return Block([(1.0,)], 0.5 if number == DISTURBED else 0.0, context_switches=0), [mark, *kernels]

    def alone(*_: object) -> Block:
        return Block([(1.0,)], 0.0, context_switches=0)

    monkeypatch.setattr(gpu_profile, "take_block", alone)
    monkeypatch.setattr(gpu_profile, "_profiled_block", profiled)
    record = gpu_profile.observe_gpu(subject(), 1.0)
    assert [pair["counts"] for pair in record["pairs"]] == [True, False, True, True, True]
    assert record["launches"] == (1 + 3 + 4 + 5) / LEAST_PAIRS
    assert record["pairs"][0]["seen_seconds"] == pytest.approx(1e-3)
    assert sum(record["phases"]["1"]["kinds"].values()) == pytest.approx(1.0)
