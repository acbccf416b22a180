"""The native kernels are right at any size, on any number of threads, and beyond what caches hold."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from rnnimpl import RnnConfig, Weights
from rnnimpl.conformance.compare import agree, train
from rnnimpl.conformance.examples import Example
from rnnimpl.dtypes import Dtype
from rnnimpl.impls.fused_cpu import FusedCpu
from rnnimpl.interface import CellName
from tests.fused_kernels import skip_without_kernels

skip_without_kernels()
pytestmark = pytest.mark.usefixtures("fused_threads")

GATED: tuple[CellName, ...] = ("lstm", "gru")


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
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", GATED)
def test_more_than_caches_hold_with_gates(threads: int, bidirectional: bool, cell: CellName) -> None:
    """Gradients are right when they are computed in chunks of steps, with memory fetched ahead."""
    config = RnnConfig(cell=cell, input_size=150, hidden_size=140, bidirectional=bidirectional, dtype="float64")
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


def test_gradients_of_weights_larger_than_caches() -> None:
    """Gradients of so many weights are right, for which more steps are multiplied at once, in pieces."""
    check(Example(RnnConfig(input_size=300, hidden_size=512, dtype="float64"), T=9, B=130), threads=1)


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
