"""The native kernels are safe to call: from any thread, after a fork, with any array, beside busy processes."""

from __future__ import annotations

import concurrent.futures
import copy
import ctypes
import os
import pickle
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnimpl import RnnConfig, Unsupported, Weights
from rnnimpl.dtypes import Dtype
from rnnimpl.impls.fused_cpu import FusedCpu
from rnnimpl.interface import NumpyArray
from rnnimpl.native.build import kernels
from tests.fused_kernels import skip_without_kernels

skip_without_kernels()
pytestmark = pytest.mark.usefixtures("fused_threads")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_unsupported(dtype: Dtype) -> None:
    config = RnnConfig(input_size=2, hidden_size=3, dtype=dtype)
    with pytest.raises(Unsupported, match=f"float32 and float64; got dtype {dtype}"):
        FusedCpu(config, Weights.init(config, 0))


def test_arrays_of_another_dtype_are_refused() -> None:
    """The kernel would read their bytes as numbers of its own dtype."""
    config = RnnConfig(input_size=2, hidden_size=3)
    rnn = FusedCpu(config, Weights.init(config, 0))
    x = np.zeros((4, 1, 2), np.float32)
    with pytest.raises(TypeError, match="float64"):
        rnn.forward(x.astype(np.float64))
    with pytest.raises(TypeError, match="float64"):
        rnn.forward(x, (np.zeros((1, 1, 3)),))
    y, state_n, pullback = rnn.vjp(x)
    with pytest.raises(TypeError, match="float64"):
        pullback(y.astype(np.float64), state_n)
    with pytest.raises(ValueError, match=r"dy has shape \(1, 3\); expected \(4, 1, 3\), the shape of y"):
        pullback(y[0], state_n)


@pytest.mark.parametrize("copier", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_copy_is_refused(copier: Callable[[object], object]) -> None:
    """A copy would free the native network a second time; the message has the remedy."""
    config = RnnConfig(input_size=2, hidden_size=3)
    with pytest.raises(TypeError, match=r"FusedCpu cannot be copied .* instead: FusedCpu\(config, weights, device\)"):
        copier(FusedCpu(config, Weights.init(config, 0)))


def test_views_need_no_copy_to_be_right() -> None:
    """Reversed, strided, transposed and read-only input is right."""
    config = RnnConfig(input_size=4, hidden_size=5)
    rnn = FusedCpu(config, Weights.init(config, 0))
    x = np.random.default_rng(0).standard_normal((12, 6, 8)).astype(np.float32)
    read_only = x[..., :4].copy()
    read_only.setflags(write=False)
    for view in (x[::-1, ::2, :4], x[:, ::-1, 1:5], x[..., ::2], x.transpose(1, 0, 2)[..., :4], read_only):
        np.testing.assert_array_equal(rnn.forward(view)[0], rnn.forward(np.ascontiguousarray(view))[0])


def test_python_threads_may_share_an_instance() -> None:
    """Each of several concurrent calls gets its own result."""
    FusedCpu.configure_process(threads=2, precision="ieee")
    config = RnnConfig(input_size=30, hidden_size=200, num_layers=2)
    weights = Weights.init(config, 0)
    shared = FusedCpu(config, weights)
    inputs = [np.random.default_rng(i).standard_normal((20, 3, 30)).astype(np.float32) for i in range(8)]
    expected = [shared.forward(x)[0] for x in inputs]

    def call(i: int) -> NumpyArray:
        rnn = shared if i % 2 else FusedCpu(config, weights)
        y, state_n, pullback = rnn.vjp(inputs[i])
        pullback(y, state_n)
        return rnn.forward(inputs[i])[0]

    with concurrent.futures.ThreadPoolExecutor(4) as executor:
        for actual, wanted in zip(executor.map(call, range(8)), expected, strict=True):
            np.testing.assert_allclose(actual, wanted, rtol=1e-4, atol=1e-5)


def run_script(script: str, *, timeout_seconds: float = 120) -> subprocess.CompletedProcess[str]:
    """Run a script in a new process, with a network of two threads that has been used."""
    prelude = """
        import os, sys
        import numpy as np
        from rnnimpl import RnnConfig, Weights
        from rnnimpl.impls.fused_cpu import FusedCpu
        FusedCpu.configure_process(threads=2, precision="ieee")
        config = RnnConfig(input_size=64, hidden_size=320)
        rnn = FusedCpu(config, Weights.init(config, 0))
        x = np.random.default_rng(0).standard_normal((50, 1, 64)).astype(np.float32)
        expected = rnn.forward(x)[0]
    """
    source = textwrap.dedent(prelude) + textwrap.dedent(script)
    return subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, timeout=timeout_seconds, check=False
    )


def test_a_forked_child_computes_with_threads_of_its_own() -> None:
    """Parent and child compute after a fork, although the child does not have the parent's threads."""
    done = run_script(
        """
        child = os.fork()
        same = all(np.allclose(rnn.forward(x)[0], expected, atol=1e-5) for _ in range(20))
        if child == 0:
            os._exit(0 if same else 1)
        _, status = os.waitpid(child, 0)
        sys.exit(0 if same and status == 0 else 1)
        """
    )
    assert done.returncode == 0, done.stderr


def test_a_busy_machine_does_not_stop_it() -> None:
    """Steps that threads share end beside twice as many busy processes as cores."""
    done = run_script(
        """
        import subprocess
        busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2 * os.cpu_count())]
        try:
            same = all(np.allclose(rnn.forward(x)[0], expected, atol=1e-5) for _ in range(50))
        finally:
            for process in busy:
                process.kill()
                process.wait()
        sys.exit(0 if same else 1)
        """
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="moves each thread of a process, as Linux lets it")
def test_threads_that_share_a_core_do_not_fall_behind_by_orders_of_magnitude() -> None:
    """Two threads on one core take less than ten times the time of one, in the median of turns.

    A thread that waits yields its core to the other; a time slice at each step would make it a hundred times.
    """
    done = run_script(
        """
        import time
        core = {min(os.sched_getaffinity(0))}
        for task in os.listdir("/proc/self/task"):
            os.sched_setaffinity(int(task), core)
        FusedCpu.configure_process(threads=1, precision="ieee")
        alone = FusedCpu(config, Weights.init(config, 0))
        seconds = {alone: [], rnn: []}
        for _ in range(41):
            for which, times in seconds.items():
                start = time.perf_counter()
                which.forward(x)
                times.append(time.perf_counter() - start)
        ratio = np.median(seconds[rnn]) / np.median(seconds[alone])
        sys.exit(0 if ratio < 10 else f"two threads took {ratio:.3g} times as long as one")
        """
    )
    assert done.returncode == 0, done.stderr


def test_describe_names_compiler_vectors_and_threads() -> None:
    FusedCpu.configure_process(threads=3, precision="ieee")
    config = RnnConfig(input_size=2, hidden_size=3)
    described: dict[str, Any] = FusedCpu(config, Weights.init(config, 0)).describe()
    assert described["library"] == "rnnimpl native"
    assert described["compiler"] == kernels("tanh", "float32").compiler
    assert described["threads"] == "3"
    assert int(described["vector_bits"]) in (128, 256, 512)


LATE_HELP = 3000.0
"""What a barrier is taken to cost where the other threads came too late to measure it; `kLateHelp` of machine.hpp."""


def test_a_barrier_of_threads_is_measured_once() -> None:
    """The cost of a barrier is measured once in a process, and has the order of a cache line's way between cores."""
    cycles = kernels("tanh", "float32").functions.rnn_barrier_cycles
    cycles.restype = ctypes.c_double
    assert cycles(1) == 0
    for threads in (2, 8):
        measured = cycles(threads)
        assert 50 < measured < 1e6
        assert cycles(threads) == measured or measured >= LATE_HELP


BARRIER_ON_ONE_CORE_AND_ON_ALL = """
import ctypes, os, time
from rnnimpl.native.build import kernels

cycles = kernels("tanh", "float32").functions.rnn_barrier_cycles
cycles.restype = ctypes.c_double
cores = os.sched_getaffinity(0)
os.sched_setaffinity(0, {min(cores)})
print(cycles(2))
os.sched_setaffinity(0, cores)
deadline = time.monotonic() + 60
while (found := cycles(2)) == %r and time.monotonic() < deadline:
    time.sleep(0.05)
print(found)
"""


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_a_barrier_is_measured_again_once_help_comes_in_time() -> None:
    """A process that began where another had its cores shares steps later all the same."""
    program = BARRIER_ON_ONE_CORE_AND_ON_ALL % LATE_HELP
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    late, in_time = map(float, done.stdout.split())
    assert late == LATE_HELP
    assert in_time != LATE_HELP
