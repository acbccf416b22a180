"""Samples: the work that each is attributed to, the time that they stand for, and the sampler itself."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks.profiling.call_passes import FORWARD
from benchmarks.profiling.sampling.attribution import attribute, count_by_pass, sampled_seconds
from benchmarks.profiling.sampling.kinds import WorkKind
from benchmarks.profiling.sampling.sampler import PREEMPTED, SAMPLED_THREAD, WAITS, SampledThreads, Sampler
from benchmarks.profiling.sampling.symbols import ASLEEP, Place

PRODUCT, PYTHON, BARRIER, VECTOR, TANH, COPY = 100, 200, 300, 400, 500, 600
PLACES = {
    PRODUCT: Place("libtorch_cpu.so", "mkl_blas_def_sgemm_kernel_0_zen"),
    VECTOR: Place("libtorch_cpu.so", "mkl_blas_def_xsgemv"),
    TANH: Place("libtorch_cpu.so", "mkl_vml_kernel_sTanh_EXHAynn"),
    COPY: Place("libc.so.6", "memcpy"),
    PYTHON: Place("libpython3.11.so.1.0", "_PyEval_EvalFrameDefault"),
    BARRIER: Place("libgomp.so.1", ""),
}


def samples_of(*samples: dict[int, int]) -> SampledThreads:
    """One sample after another, {thread: address}; thread 1 is the main one."""
    found = [
        (address, 0, 0, number, thread, FORWARD, 0)
        for number, threads in enumerate(samples)
        for thread, address in threads.items()
    ]
    return np.array(found, SAMPLED_THREAD)


@pytest.mark.parametrize(
    ("threads", "expected"),
    [
        ({1: PYTHON, 2: PRODUCT}, "overhead"),
        ({1: WAITS, 2: PRODUCT}, "products"),
        ({1: BARRIER, 2: PRODUCT}, "products"),
        ({1: WAITS, 2: PYTHON, 3: TANH, 4: PRODUCT}, "products"),
        ({1: WAITS, 2: PYTHON, 3: COPY, 4: TANH}, "elementwise"),
        ({1: WAITS, 2: PYTHON, 3: COPY}, "memory"),
        ({1: BARRIER, 2: BARRIER}, "waiting"),
        ({1: WAITS}, "waiting"),
        ({1: PREEMPTED, 2: PRODUCT}, None),
        ({1: WAITS, 2: PREEMPTED}, None),
    ],
)
def test_the_main_thread_decides_and_where_it_waits_another(threads: dict[int, int], expected: WorkKind | None) -> None:
    """Products come first of several other threads' work. A preempted sample has no kind."""
    counts = count_by_pass(samples_of(threads), PLACES, 1)[FORWARD]
    assert counts.by_kind == ({} if expected is None else {expected: 1})
    assert counts.preempted == (expected is None)


def test_samples_are_counted_by_kind_with_the_threads_that_compute() -> None:
    """One of four samples is preempted, though another thread computed; a thread at a barrier computes nothing."""
    threads = [{1: PRODUCT, 2: PRODUCT}, {1: WAITS, 2: TANH}, {1: VECTOR, 2: BARRIER}, {1: PREEMPTED, 2: PRODUCT}]
    counts = count_by_pass(samples_of(*threads), PLACES, 1)[FORWARD]
    assert counts.by_kind == {"products": 2, "elementwise": 1}
    assert counts.computing_threads == 2 + 1 + 1
    assert counts.preempted == 1


@pytest.mark.parametrize(("main", "place"), [(BARRIER, PLACES[BARRIER]), (WAITS, ASLEEP)])
def test_waiting_has_the_place_of_the_main_thread_where_no_thread_computes(main: int, place: Place) -> None:
    (sample,) = attribute(samples_of({1: main, 2: BARRIER}), PLACES, 1)
    assert sample.work == ("waiting", place)


def test_the_caller_of_a_sample_is_that_of_the_main_thread() -> None:
    """The order of threads in a sample does not count."""
    threads = np.array([(PRODUCT, 9, 5, 0, 2, FORWARD, 0), (PYTHON, 7, 5, 0, 1, FORWARD, 0)], SAMPLED_THREAD)
    (sample,) = attribute(threads, PLACES, 1)
    assert sample.caller == 7


def test_a_sleeping_thread_is_sampled_as_waiting_and_only_within_a_pass() -> None:
    """The sampler samples this process."""
    sampler = Sampler()
    sampler.start()
    time.sleep(0.05)
    sampler.current_pass.value = FORWARD
    time.sleep(0.2)
    sampler.current_pass.value = 0
    threads = sampler.stop()
    samples = len(np.unique(threads["sample"]))
    assert samples > 10
    assert set(threads["pass"]) == {FORWARD}
    assert (threads["address"] == WAITS).sum() > samples / 2


def test_samples_have_times_of_the_clock_that_times_calls() -> None:
    """By `time.perf_counter_ns` a sample is put at its part of a call."""
    sampler = Sampler(1e-3)
    sampler.current_pass.value = FORWARD
    start = time.perf_counter_ns()
    sampler.start()
    time.sleep(0.1)
    nanoseconds = sampler.stop()["nanoseconds"]
    sampler.current_pass.value = 0
    assert start <= nanoseconds.min() <= nanoseconds.max() <= time.perf_counter_ns()


def test_the_sampler_follows_the_main_thread_to_its_core() -> None:
    """On another core it would preempt another thread."""
    tasks, cores = Path("/proc/self/task"), os.sched_getaffinity(0)
    if len(cores) < 2:
        pytest.skip("this process has one core")
    sampler = Sampler(1e-3)
    before = set(tasks.iterdir())
    sampler.start()
    try:
        (own,) = set(tasks.iterdir()) - before
        for core in sorted(cores)[:2]:
            os.sched_setaffinity(0, {core})
            until = time.monotonic() + 20
            while (kept := _cores_of(own)) != str(core) and time.monotonic() < until:
                sum(range(1000))
            assert kept == str(core)
    finally:
        os.sched_setaffinity(0, cores)
        sampler.stop()


def _cores_of(task: Path) -> str:
    """The cores that a thread may use, as the kernel writes them."""
    lines = (task / "status").read_text().splitlines()
    return next(line.partition(":")[2].strip() for line in lines if line.startswith("Cpus_allowed_list"))


def test_a_sampler_without_memory_for_its_samples_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sampler asks for more memory than can be addressed."""
    monkeypatch.setattr("benchmarks.profiling.sampling.sampler.CAPACITY", 1 << 51)
    with pytest.raises(OSError, match=os.strerror(errno.ENOMEM)):
        Sampler().start()


def test_intervals_of_more_than_four_seconds_add_up() -> None:
    """An interval has 32 bits of nanoseconds, their sum has more."""
    threads = [(PYTHON, 0, 0, sample, 1, FORWARD, 3_000_000_000) for sample in (1, 2)]
    assert sampled_seconds(np.array(threads, SAMPLED_THREAD)) == 6.0


def test_samples_stand_for_the_intervals_between_them() -> None:
    """An interval counts once for each sample of several threads; all together are about the sampled time."""
    threads = [(PYTHON, 0, 0, sample, thread, FORWARD, 2_000_000) for sample in (1, 2) for thread in (1, 2)]
    assert sampled_seconds(np.array(threads, SAMPLED_THREAD)) == pytest.approx(4e-3)
    sampler = Sampler()
    sampler.current_pass.value = FORWARD
    sampler.start()
    start = time.perf_counter()
    time.sleep(0.2)
    seconds = time.perf_counter() - start
    found = sampler.stop()
    sampler.current_pass.value = 0
    assert 0.5 * seconds < sampled_seconds(found) < 1.5 * seconds


def slices() -> list[int]:
    """The slice of each thread of this process in nanoseconds; Linux before 6.12 says 0 (sched_getattr(2))."""
    number = {"x86_64": 315, "aarch64": 275}.get(platform.machine())
    if number is None:
        pytest.skip("the number of sched_getattr is not known here")
    found = []
    for thread in Path("/proc/self/task").iterdir():
        attributes = ctypes.create_string_buffer(48)
        if ctypes.CDLL(None).syscall(number, int(thread.name), attributes, len(attributes), 0) == 0:
            found.append(struct.unpack_from("IIQiIQ", attributes.raw)[-1])
    return found


def test_the_sampler_asks_for_a_shorter_slice_than_what_it_samples() -> None:
    """With an equal one the scheduler delays it until the sampled thread sleeps, and work is counted as waiting."""
    before = slices()
    if not before or not all(before):
        pytest.skip("this kernel has no slices to ask for: they came with Linux 6.12")
    sampler = Sampler(1e-3)
    sampler.start()
    during = slices()
    sampler.stop()
    assert min(during) < min(before)
