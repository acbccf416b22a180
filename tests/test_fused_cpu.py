"""The native kernels are accurate, right at any size and for any number of threads, and safe to call from anywhere."""

from __future__ import annotations

import concurrent.futures
import copy
import ctypes
import gc
import pickle
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnimpl import RnnConfig, Unavailable, Unsupported, Weights
from rnnimpl.conformance.compare import agree, train
from rnnimpl.conformance.examples import Example
from rnnimpl.dtypes import Dtype
from rnnimpl.impls.fused_cpu import FusedCpu
from rnnimpl.interface import CellName, NumpyArray
from rnnimpl.native.build import kernels

try:
    kernels("tanh", "float32")
except Unavailable as reason:
    pytest.skip(str(reason), allow_module_level=True)


@pytest.fixture(autouse=True)
def _threads_as_before() -> Iterator[None]:
    """Restores the number of threads that a test sets for the process."""
    before = FusedCpu.threads
    yield
    FusedCpu.threads = before


GATED: tuple[CellName, ...] = ("lstm", "gru")


def native(function_name: str, x: NumpyArray) -> NumpyArray:
    """tanh or sigmoid, computed by the kernels' functions."""
    result = np.empty_like(x)
    function = getattr(kernels("tanh", str(x.dtype)).functions, f"rnn_{function_name}")
    function(ctypes.c_long(x.size), ctypes.c_void_p(x.ctypes.data), ctypes.c_void_p(result.ctypes.data))
    return result


def ulps(actual: NumpyArray, expected: NumpyArray) -> NumpyArray:
    """Errors in units in the last place of the rounded expected values."""
    rounded = expected.astype(actual.dtype)
    unit = np.spacing(np.nextafter(rounded, actual.dtype.type(0)))
    errors: NumpyArray = np.abs(actual - expected) / unit
    return errors


def sigmoid(x: NumpyArray) -> NumpyArray:
    """1 / (1 + exp(-x)), by exponentials that do not overflow."""
    small = np.exp(-np.abs(x))
    result: NumpyArray = np.where(x >= 0, 1, small) / (1 + small)
    return result


EXACT: dict[str, Callable[[NumpyArray], NumpyArray]] = {"tanh": np.tanh, "sigmoid": sigmoid}


@pytest.mark.parametrize("name", EXACT)
def test_functions_are_accurate_for_all_float32(name: str) -> None:
    """Two thousand values of every exponent, of either sign, to 3 units in the last place, subnormal results too."""
    patterns = np.arange(0, 0x7F800000, 4099, dtype=np.uint32)
    x = np.concatenate([patterns.view(np.float32), np.linspace(80, 110, 20_001, dtype=np.float32)])
    for sign in (np.float32(1), np.float32(-1)):
        assert ulps(native(name, sign * x), EXACT[name](sign * x.astype(np.float64))).max() <= 3


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.skipif(np.finfo(np.longdouble).nmant <= 52, reason="no wider float here to compare float64 with")
def test_functions_are_accurate_for_all_float64(name: str) -> None:
    """A hundred values of every exponent, to 3 units in the last place."""
    patterns = np.linspace(0, 0x7FEFFFFFFFFFFFFF, 200_001).astype(np.uint64)
    x = np.concatenate([patterns.view(np.float64), np.geomspace(1e-3, 760, 200_001)])
    x[::2] *= -1
    assert ulps(native(name, x), EXACT[name](x.astype(np.longdouble))).max() <= 3


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_tanh_of_special_values(dtype: str) -> None:
    """NaN stays NaN, zeros keep their sign, and every result is in [-1, 1]."""
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e30, -1e30, 9.5, 25.0], dtype=dtype)
    y = native("tanh", x)
    assert np.isnan(y[0])
    np.testing.assert_array_equal(y[1:3], [1, -1])
    np.testing.assert_array_equal(np.signbit(y[3:5]), [False, True])
    np.testing.assert_array_equal(y[3:7], [0, 0, 1, -1])
    assert np.abs(y[1:]).max() <= 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sigmoid_of_special_values(dtype: str) -> None:
    """sigmoid of NaN is NaN, of a zero one half, of a very large number one or zero."""
    x = np.array([np.nan, 0.0, -0.0, np.inf, -np.inf, 1e30, -1e30], dtype=dtype)
    y = native("sigmoid", x)
    assert np.isnan(y[0])
    np.testing.assert_array_equal(y[1:], [0.5, 0.5, 1, 0, 1, 0])


def check(example: Example, threads: int) -> None:
    """Require that outputs and all gradients are the reference's."""
    FusedCpu.configure_process(threads=threads, precision="ieee")
    rnn = FusedCpu(example.config, example.weights())
    agree(example.expected(), train(rnn, example.data()))


# On both sides of what blocks and vectors hold: 6 rows, 4, 8 or 16 lanes, 1 to 4 vectors.
@pytest.mark.parametrize("H", [1, 2, 3, 4, 5, 8, 9, 15, 16, 17, 31, 33, 48, 63, 64, 65, 97, 128, 129, 257])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_any_hidden_size(H: int, dtype: Dtype) -> None:
    check(Example(RnnConfig(input_size=H + 3, hidden_size=H, dtype=dtype), T=4, B=7), threads=1)


@pytest.mark.parametrize("H", [1, 2, 4, 5, 8, 9, 15, 16, 17, 31, 33, 64, 65, 129, 257])
@pytest.mark.parametrize("cell", GATED)
def test_any_hidden_size_with_gates(cell: CellName, H: int) -> None:
    """Gates are right at every width of a vector of units, in float32 and float64, with and without bias."""
    dtype: Dtype = "float64" if H % 4 == 1 else "float32"
    config = RnnConfig(cell=cell, input_size=H + 3, hidden_size=H, dtype=dtype, bias=H not in (4, 33))
    check(Example(config, T=4, B=7), threads=1)


@pytest.mark.parametrize("B", [1, 2, 5, 6, 13, 49])
@pytest.mark.parametrize("cell", GATED)
def test_any_batch_size_with_gates(cell: CellName, B: int) -> None:
    """One sequence is multiplied by whole rows, several sequences by blocks of them."""
    check(Example(RnnConfig(cell=cell, input_size=5, hidden_size=39), T=6, B=B), threads=1)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", GATED)
@pytest.mark.parametrize(("B", "H"), [(1, 200), (9, 70)])
def test_any_number_of_threads_with_gates(threads: int, bidirectional: bool, cell: CellName, B: int, H: int) -> None:
    """The memory of a unit is right also when another thread takes over its part."""
    config = RnnConfig(cell=cell, input_size=21, hidden_size=H, num_layers=2, bidirectional=bidirectional)
    check(Example(config, T=25, B=B), threads)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("cell", GATED)
def test_more_than_caches_hold_with_gates(threads: int, cell: CellName) -> None:
    """Gradients are right when they are computed in chunks of steps, with memory fetched ahead."""
    config = RnnConfig(cell=cell, input_size=150, hidden_size=140, dtype="float64")
    check(Example(config, T=130, B=9), threads)


@pytest.mark.parametrize("cell", ["tanh", *GATED])
def test_the_backward_pass_needs_no_one_else_to_keep_the_weights(cell: CellName) -> None:
    """The first backward pass packs the weights, also after the caller has dropped them."""
    example = Example(RnnConfig(cell=cell, input_size=70, hidden_size=50), T=3, B=2)
    FusedCpu.configure_process(threads=1, precision="ieee")
    rnn = FusedCpu(example.config, Weights.init(example.config, example.seed))
    gc.collect()
    freed = [np.full((200, 70), np.nan, np.float32) for _ in range(20)]
    del freed
    agree(example.expected(), train(rnn, example.data()))


@pytest.mark.parametrize("B", [1, 2, 5, 6, 7, 11, 12, 13, 24, 25, 49, 97])
def test_any_batch_size(B: int) -> None:
    check(Example(RnnConfig(input_size=5, hidden_size=19), T=6, B=B), threads=1)


@pytest.mark.parametrize("T", [1, 2, 47, 48, 49, 97, 200])
def test_any_length(T: int) -> None:
    """Lengths on both sides of the number of steps whose projections are computed at once are right."""
    check(Example(RnnConfig(input_size=9, hidden_size=11), T=T, B=1), threads=1)


@pytest.mark.parametrize("I", [1, 16, 63, 65, 1100])
def test_any_input_size(I: int) -> None:
    """Every input size is right, also one that is multiplied in several pieces."""
    check(Example(RnnConfig(input_size=I, hidden_size=10), T=3, B=4), threads=1)


@pytest.mark.parametrize("H", [40, 530])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_one_sequence_alone(H: int, dtype: Dtype) -> None:
    """One sequence is right, whose rows pass over several panels at once, and in pieces at the larger size."""
    check(Example(RnnConfig(input_size=7, hidden_size=H, dtype=dtype), T=4, B=1), threads=1)


@pytest.mark.parametrize("threads", [1, 2, 3, 5])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(("B", "H"), [(1, 90), (1, 300), (2, 260), (9, 130), (40, 33)])
def test_any_number_of_threads(threads: int, bidirectional: bool, B: int, H: int) -> None:
    """Shares of sequences, layers, directions and units are right, also with more threads than cores."""
    config = RnnConfig(input_size=21, hidden_size=H, num_layers=2, bidirectional=bidirectional)
    check(Example(config, T=25, B=B), threads)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("B", [1, 9])
def test_more_than_caches_hold(threads: int, bidirectional: bool, B: int) -> None:
    """Gradients are right when they are computed in chunks of steps, with memory fetched ahead."""
    config = RnnConfig(input_size=300, hidden_size=260, num_layers=2, bidirectional=bidirectional, dtype="float64")
    check(Example(config, T=1100 // B, B=B), threads)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("T", [1, 2, 3, 5])
def test_a_step_that_is_more_than_caches_hold(T: int, dtype: Dtype) -> None:
    """Gradients of a step do not overwrite those of the next step while these are read."""
    check(Example(RnnConfig(input_size=3, hidden_size=270, dtype=dtype), T=T, B=700), threads=1)


@pytest.mark.parametrize("threads", [1, 2])
def test_weights_larger_than_caches(threads: int) -> None:
    """Weights that are fetched ahead are right; sanitizers see that no access is out of bounds."""
    check(Example(RnnConfig(input_size=5, hidden_size=900, dtype="float64"), T=3, B=13), threads)


@pytest.mark.parametrize("cell", ["tanh", *GATED])
def test_a_row_of_nan_stays_in_its_sequence(cell: CellName) -> None:
    """NaN stays in its sequence within a block of rows, forward and backward."""
    config = RnnConfig(cell=cell, input_size=6, hidden_size=20)
    rnn = FusedCpu(config, Weights.init(config, 0))
    x = np.random.default_rng(0).standard_normal((5, 8, 6)).astype(np.float32)
    x[2, 3] = np.nan
    y, state_n, pullback = rnn.vjp(x)
    grads = pullback(np.ones_like(y), tuple(map(np.ones_like, state_n)))
    for array in (y[2:, 3], grads.x[:, 3], *(each[:, 3] for each in (*state_n, *grads.state))):
        assert np.isnan(array).all()
    others = np.arange(8) != 3
    for array in (y[:, others], y[:2], grads.x[:, others], *(each[:, others] for each in (*state_n, *grads.state))):
        assert np.isfinite(array).all()


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
            for which, taken in seconds.items():
                start = time.perf_counter()
                which.forward(x)
                taken.append(time.perf_counter() - start)
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


def test_a_barrier_of_threads_is_measured_once() -> None:
    """The cost of a barrier is measured once in a process, and has the order of a cache line's way between cores."""
    cycles = kernels("tanh", "float32").functions.rnn_barrier_cycles
    cycles.restype = ctypes.c_double
    assert cycles(1) == 0
    for threads in (2, 8):
        measured = cycles(threads)
        assert 50 < measured < 1e6
        assert cycles(threads) == measured
