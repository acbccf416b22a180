"""The native kernels on sequences of unequal lengths: right wherever a sequence ends, on any number of threads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rnnimpl import RnnConfig, Weights
from rnnimpl.conformance.compare import agree, train
from rnnimpl.conformance.examples import Data, Example
from rnnimpl.impls.fused_cpu import FusedCpu
from rnnimpl.interface import CELL_NAMES, CellName
from rnnimpl.tolerance import expect
from tests.fused_kernels import skip_without_kernels

skip_without_kernels()
pytestmark = pytest.mark.usefixtures("fused_threads")


def check(example: Example, lengths: tuple[int, ...], threads: int = 1) -> None:
    """Require that all results are the reference's, zero in the padding, with NaN in the padding of x and dy."""
    data = example.data()
    expected = expect(example.config, example.weights(), data.x, data.state, data.dy, data.dstate_n, lengths=lengths)
    for sequence, length in enumerate(lengths):
        data.x[length:, sequence] = data.dy[length:, sequence] = np.nan
    FusedCpu.configure_process(threads=threads, precision="ieee")
    results = train(FusedCpu(example.config, example.weights()), data, lengths=lengths)
    agree(expected, results)
    for sequence, length in enumerate(lengths):
        assert not results["y"][length:, sequence].any()
        assert not results["grad_x"][length:, sequence].any()


def ramp(T: int, B: int) -> tuple[int, ...]:
    """Lengths from 1 to T, in no order."""
    lengths = np.linspace(1, T, B).round().astype(int)
    return tuple(np.random.default_rng(B).permutation(lengths).tolist())


@pytest.mark.parametrize("cell", CELL_NAMES)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(("B", "H", "threads"), [(13, 33, 1), (9, 70, 2), (5, 200, 2), (7, 17, 3)])
def test_lengths_from_one_step_to_all(cell: CellName, bidirectional: bool, B: int, H: int, threads: int) -> None:
    """Blocks of rows of every size, teams of sequences and of units, both directions and two layers."""
    config = RnnConfig(cell=cell, input_size=21, hidden_size=H, num_layers=2, bidirectional=bidirectional)
    check(Example(config, T=19, B=B), ramp(19, B), threads)


@pytest.mark.parametrize("cell", ["tanh", "lstm"])
@pytest.mark.parametrize(
    "lengths",
    [
        (5,),
        (1, 1, 1),
        (7, 7, 7, 7),
        (300, 1, 2, 1),
        (3, 299, 4, 2, 150, 1, 1, 2),
    ],
    ids=str,
)
def test_few_sequences(cell: CellName, lengths: tuple[int, ...]) -> None:
    """One sequence alone, none as long as x, and one long one among short ones, over several chunks of steps."""
    config = RnnConfig(cell=cell, input_size=5, hidden_size=24)
    check(Example(config, T=max(lengths) + 3, B=len(lengths)), lengths)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", ["tanh", "gru"])
def test_more_rows_than_a_chunk_has(cell: CellName, bidirectional: bool, threads: int) -> None:
    """Chunks end where their rows fill them, and the gradients of weights are sums over all, in either direction."""
    config = RnnConfig(cell=cell, input_size=40, hidden_size=130, bidirectional=bidirectional, dtype="float64")
    check(Example(config, T=60, B=67, scale=0.1), ramp(60, 67), threads)


def test_layers_in_waves() -> None:
    """Several layers of one sequence, of which threads take one each."""
    config = RnnConfig(cell="lstm", input_size=64, hidden_size=192, num_layers=3)
    check(Example(config, T=40, B=2), (33, 38), threads=2)


def test_lengths_of_other_kinds_and_views() -> None:
    """Lists and arrays of lengths give what a tuple gives, and x may be a view."""
    example = Example(RnnConfig(cell="lstm", input_size=6, hidden_size=10), T=8, B=4)
    x, state, _, _ = example.data()
    rnn = FusedCpu(example.config, example.weights())
    expected, _ = rnn.forward(x, state, (3, 8, 1, 5))
    expected = expected.copy()
    by_sequence: Any = np.ascontiguousarray(x.transpose(1, 0, 2)).transpose(1, 0, 2)
    for given in ([3, 8, 1, 5], np.array([3, 8, 1, 5], np.int32)):
        y, _ = rnn.forward(by_sequence, state, given)  # type: ignore[arg-type]  # what callers may have
        np.testing.assert_array_equal(y, expected)


def test_a_stream_goes_on_after_a_call_with_lengths() -> None:
    """A call from the state that a call with lengths returned, and the other way, know nothing of one another."""
    config = RnnConfig(cell="gru", input_size=6, hidden_size=10)
    weights = Weights.init(config, 0)
    x = Example(config, T=8, B=3).data().x
    rnn, other = FusedCpu(config, weights), FusedCpu(config, weights)
    _, state = rnn.forward(x, None, (3, 8, 1))
    y, state_n = rnn.forward(x, state)
    _, wanted = other.forward(x, tuple(array.copy() for array in state))
    np.testing.assert_array_equal(state_n[0], wanted[0])
    assert y[7].any()
    _, again = rnn.forward(x, state_n, (1, 1, 8))
    _, wanted = other.forward(x, tuple(array.copy() for array in state_n), (1, 1, 8))
    np.testing.assert_array_equal(again[0], wanted[0])


def test_lengths_live_as_long_as_the_pullback() -> None:
    """The backward pass reads the lengths of its own forward pass, also after calls with others."""
    example = Example(RnnConfig(cell="lstm", input_size=6, hidden_size=10), T=8, B=4)
    data: Data = example.data()
    rnn = FusedCpu(example.config, example.weights())
    _, _, pullback = rnn.vjp(data.x, data.state, (3, 8, 1, 5))
    for lengths in ((1, 1, 1, 1), (8, 2, 2, 2)):
        rnn.vjp(data.x, data.state, lengths)
    late = pullback(data.dy, data.dstate_n).x.copy()
    soon = rnn.vjp(data.x, data.state, (3, 8, 1, 5))[2](data.dy, data.dstate_n).x
    np.testing.assert_array_equal(late, soon)
