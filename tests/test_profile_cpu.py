"""The profile of one case on a CPU, from made-up samples: the time of a pass, and the pairs that the record holds."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from benchmarks.measuring.calls.call import Call
from benchmarks.measuring.measure import Subject
from benchmarks.profiling.call_passes import BACKWARD, FORWARD, pass_seconds
from benchmarks.profiling.sampling import blocks, cpu_profile, pairs
from benchmarks.profiling.sampling.pairs import LEAST_PAIRS, CallBlock
from benchmarks.profiling.sampling.sampler import PREEMPTED, SAMPLED_THREAD, SampledThreads
from benchmarks.profiling.sampling.symbols import Place
from benchmarks.workload import Workload
from rnnimpl import load

PREEMPTED_PAIR = 1
"""The number of the pair that is preempted."""


def subject() -> Subject:
    """A tiny case."""
    return Subject(load("numpy_loop"), Workload(mode="inference", T=2, B=1, I=2, H=2), clock=time.perf_counter)


class Pass:
    """Keeps every value that it is set to."""

    def __init__(self) -> None:
        self.values: list[int] = []

    @property
    def value(self) -> int:
        return self.values[-1]

    @value.setter
    def value(self, number: int) -> None:
        self.values.append(number)


class Sampler:
    """Gives 1, 2, 3, ... samples block by block, each of two threads that multiply, and standing for 0.1 s.

    In one more sample of each block the main thread is preempted.
    """

    def __init__(self) -> None:
        self.current_pass = Pass()
        self.blocks = 0

    def start(self) -> None:
        """Begin; there is nothing to do."""

    def stop(self) -> SampledThreads:
        self.blocks += 1
        main = os.getpid()
        threads = [
            (MULTIPLIES, 0, 0, sample, thread, FORWARD, 100_000_000)
            for sample in range(self.blocks)
            for thread in (main, main + 1)
        ]
        return np.array([*threads, (PREEMPTED, 0, 0, self.blocks, main, FORWARD, 0)], SAMPLED_THREAD)


MULTIPLIES = 100
PRODUCT = Place("libtorch_cpu.so", "mkl_blas_def_sgemm_kernel_0_zen")


def profiled(monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, Any], Sampler, list[float]]:
    """The record of five pairs, its sampler, and the seconds that each block was asked to take."""
    sampler = Sampler()
    monkeypatch.setattr(cpu_profile, "Sampler", lambda: sampler)
    monkeypatch.setattr(cpu_profile, "places", lambda addresses: dict.fromkeys(addresses, PRODUCT))
    order = iter([0, 0, PREEMPTED_PAIR, PREEMPTED_PAIR, 2, 2, 3, 3, 4, 4])
    asked: list[float] = []

    def block(call: Callable[[], object], seconds: float, profiler: Any = blocks.NO_PROFILER) -> CallBlock:
        with profiler:
            call()
        asked.append(seconds)
        return CallBlock([(1.0, 0.0)], 0.5 if next(order) == PREEMPTED_PAIR else 0.0, context_switches=0)

    monkeypatch.setattr(cpu_profile, "take_block", block)
    monkeypatch.setattr(pairs, "halves_differ", lambda _: 0.0)
    return cpu_profile.profile_cpu(subject(), 1.0), sampler, asked


def test_samples_of_a_preempted_pair_are_in_no_breakdown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks have 1, 2, 3, ... samples; each pair has the time that its own samples stand for."""
    record, _, _ = profiled(monkeypatch)
    assert [pair["attributed_seconds"] for pair in record["pairs"]] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])
    assert [pair["kept"] for pair in record["pairs"]] == [True, False, True, True, True]
    assert record["passes"]["1"]["kinds"] == {"products": 1 + 3 + 4 + 5}


def test_samples_of_all_other_blocks_are_added_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """By function too; the preempted samples of four blocks; and the mean of the threads that compute."""
    record, _, _ = profiled(monkeypatch)
    samples = record["passes"]["1"]
    assert samples["functions"] == [["products", *PRODUCT, 1 + 3 + 4 + 5]]
    assert samples["preempted"] == 4
    assert samples["computing_threads"] == 2.0


def test_the_least_pairs_share_the_seconds_of_a_side(monkeypatch: pytest.MonkeyPatch) -> None:
    """They share one second; only calls of a profiled block set the sampler's pass."""
    _, sampler, asked = profiled(monkeypatch)
    assert asked == [1.0 / LEAST_PAIRS] * 10
    assert sampler.current_pass.values == [FORWARD, 0] * 5


class Queued:
    """A network that queues its work, 2 s forward and 3 s backward: the clock advances by it when it synchronises."""

    def __init__(self) -> None:
        self.now = self.queued = 0.0
        self.current_pass = Pass()
        self.done: list[tuple[int, float]] = []

    def forward(self, x: object) -> tuple[object, object]:
        self.queued += 2.0
        return x, x

    def vjp(self, x: object) -> tuple[object, object, Callable[[object, object], None]]:
        return *self.forward(x), self.pullback

    def pullback(self, dy: object, dh_n: object) -> None:
        self.queued += 3.0

    def synchronize(self) -> None:
        self.done.append((self.current_pass.value, self.queued))
        self.now += self.queued
        self.queued = 0.0


@pytest.mark.parametrize(
    ("mode", "seconds", "done"),
    [("inference", (2.0, 0.0), [(FORWARD, 2.0)]), ("training", (2.0, 3.0), [(FORWARD, 2.0), (BACKWARD, 3.0)])],
)
def test_a_pass_lasts_until_its_work_is_done(
    mode: str, seconds: tuple[float, float], done: list[tuple[int, float]]
) -> None:
    """The sampler's pass is that of the work until it is done, and none after the call."""
    rnn = Queued()
    call = Call(rnn, x=None, dy=None if mode == "inference" else ())  # type: ignore[arg-type]  # in place of an Rnn
    current: Any = rnn.current_pass
    assert pass_seconds(tuple(call.passes().values()), current, clock=lambda: rnn.now) == seconds
    assert rnn.done == done
    assert rnn.current_pass.value == 0
