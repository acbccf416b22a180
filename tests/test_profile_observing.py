"""Observing one case, on made-up looks and kernels: what of the pairs reaches the record, and how long it may take."""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.measuring.measure import Subject
from benchmarks.profiling import launch, observe, observe_gpu, pairs
from benchmarks.profiling.chrome import Event
from benchmarks.profiling.observe_gpu import MARK
from benchmarks.profiling.pairs import LEAST_PAIRS, Block
from benchmarks.profiling.sampler import FORWARD, SAMPLE, WAITS
from benchmarks.workload import Case, Workload
from rnnimpl import load

DISTURBED = 1
"""The pair that others disturb here."""


def subject() -> Subject:
    """A tiny case."""
    return Subject(load("numpy_loop"), Workload(mode="inference", T=2, B=1, I=2, H=2), clock=time.perf_counter)


class Sampler:
    """Has seen the main thread asleep, in so many looks of a tenth of a second as there were blocks before, and one."""

    def __init__(self) -> None:
        self.phase = ctypes.c_int32()
        self.blocks = 0

    def start(self) -> None:
        """Looks are made up."""

    def stop(self) -> np.ndarray[tuple[int], np.dtype[np.void]]:
        self.blocks += 1
        looks = [(WAITS, 0, 0, look, os.getpid(), FORWARD, 100_000_000) for look in range(self.blocks)]
        return np.array(looks, SAMPLE)


def test_looks_of_a_disturbed_pair_are_in_no_breakdown(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the time that looks stand for is that of their own pair. Blocks have 1, 2, 3, ... looks."""
    monkeypatch.setattr(observe, "Sampler", Sampler)
    order = iter([0, 0, DISTURBED, DISTURBED, 2, 2, 3, 3, 4, 4])
    entered: list[int] = []

    def block(call: Callable[[], object], _: float, profiler: Any = pairs.NO_PROFILER) -> Block:
        with profiler:
            call()
        entered.append(next(order))
        return Block([(1.0, 0.0)], 0.5 if entered[-1] == DISTURBED else 0.0, context_switches=0)

    monkeypatch.setattr(observe, "take_block", block)
    monkeypatch.setattr(pairs, "halves_differ", lambda _: 0.0)
    record = observe.observe(subject(), 1.0)
    assert [pair["seen_seconds"] for pair in record["pairs"]] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])
    assert [pair["counts"] for pair in record["pairs"]] == [True, False, True, True, True]
    assert record["phases"]["1"]["kinds"] == {"waiting": 1 + 3 + 4 + 5}


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

    monkeypatch.setattr(observe_gpu, "take_block", alone)
    monkeypatch.setattr(observe_gpu, "_profiled_block", profiled)
    record = observe_gpu.observe_gpu(subject(), 1.0)
    assert [pair["counts"] for pair in record["pairs"]] == [True, False, True, True, True]
    assert record["launches"] == (1 + 3 + 4 + 5) / LEAST_PAIRS
    assert record["pairs"][0]["seen_seconds"] == pytest.approx(1e-3)
    assert sum(record["phases"]["1"]["kinds"].values()) == pytest.approx(1.0)


class Worker:
    """Remembers for how long it was waited for."""

    waited: Mapping[str, float]

    def __init__(self, *_: object, **__: object) -> None:
        type(self).waited = {}

    def wait_ready(self) -> dict[str, Any]:
        return {}

    def ask(self, request: Mapping[str, Any], timeout_seconds: float) -> dict[str, Any]:
        type(self).waited = {**self.waited, request["do"]: timeout_seconds}
        return {}

    def kill(self) -> None:
        """There is no process."""


def test_a_profile_may_take_as_long_as_its_pairs_may(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond what a call that is as long as may be takes."""
    monkeypatch.setattr(launch, "Worker", Worker)
    case = Case.parse("numpy_loop/cpu/inference/T2-B1-I2-H2-L1-tanh-float32")
    launch._profile(case, Path("expected"), 2, 60.0, Path("log"), None)  # the command waits as long as this says
    assert Worker.waited["profile"] == Worker.waited["prepare"] + pairs.most_seconds(60.0)
