"""`fused_cpu` called with the state that it returned: the short way gives what the long way gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rnnimpl import RnnConfig, Weights, load
from rnnimpl.interface import NumpyArray, Rnn, State

I, H, B = 5, 9, 2


def network(cell: str = "lstm", **more: Any) -> Rnn[Any]:
    config = RnnConfig(input_size=I, hidden_size=H, cell=cell, **more)  # type: ignore[arg-type]
    return load("fused_cpu")(config, Weights.init(config, seed=0), "cpu")


def drawn(seed: int, T: int = 1) -> NumpyArray:
    return np.random.default_rng(seed).standard_normal((T, B, I), dtype=np.float32)


def strided(x: NumpyArray) -> NumpyArray:
    """The same values, every second of a larger array's."""
    return np.repeat(x, 2, axis=2)[:, :, ::2]


def read_only(x: NumpyArray) -> NumpyArray:
    """The same values, which may not be written."""
    x = x.copy()
    x.flags.writeable = False
    return x


def unaligned(x: NumpyArray) -> NumpyArray:
    """The same values, a byte after where numbers begin."""
    memory = np.zeros(x.nbytes + 1, np.uint8)
    shifted = memory[1:].view(np.float32).reshape(x.shape)
    shifted[...] = x
    return shifted


def copied(state: State[NumpyArray]) -> State[NumpyArray]:
    """The same state in other arrays, whose addresses nobody knows."""
    return tuple(each.copy() for each in state)


@pytest.mark.parametrize("form", [np.array, strided, read_only, unaligned])
@pytest.mark.parametrize("cell", ["tanh", "relu", "lstm", "gru"])
def test_a_stream_equals_calls_with_copies_of_the_state(cell: str, form: Any) -> None:
    """To the last bit, over many calls, in chunks of one step and of three, however x lies in memory."""
    stream, copies = network(cell), network(cell)
    state = state_of_copies = None
    for call in range(12):
        x = form(drawn(call, T=3 if call % 5 == 4 else 1))
        y, state = stream.forward(x, state)
        y_of_copies, state_of_copies = copies.forward(x, None if state_of_copies is None else copied(state_of_copies))
        assert np.array_equal(y, y_of_copies)
        assert all(map(np.array_equal, state, state_of_copies))


def test_results_that_are_held_stay_while_the_stream_goes_on() -> None:
    """Every y and every state of a stream is as it was, also where the caller keeps them all."""
    rnn, state = network(num_layers=2), None
    held, copies = [], []
    for call in range(8):
        y, state = rnn.forward(drawn(call), state)
        held.append((y, *state))
        copies.append(copied((y, *state)))
    for now, then in zip(held, copies, strict=True):
        assert all(map(np.array_equal, now, then))


def test_a_stream_may_branch_and_go_back() -> None:
    """The state of an earlier call gives what it gave then, after training calls and other streams between."""
    rnn = network()
    _, first = rnn.forward(drawn(0))
    y_once, second = rnn.forward(drawn(1), first)
    once = copied((y_once, *second))
    y, state_n, pullback = rnn.vjp(drawn(2), second)
    pullback(y, state_n)
    rnn.forward(drawn(3), second)
    rnn.forward(drawn(4))
    y_again, again = rnn.forward(drawn(1), first)
    assert all(map(np.array_equal, (y_again, *again), once))


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (np.zeros((1, B, I)), TypeError, "x has dtype float64"),
        (np.zeros((1, B, I + 1), np.float32), ValueError, "input_size is 5"),
        (np.zeros((1, B + 1, I), np.float32), ValueError, "h0 has shape"),
    ],
)
def test_a_wrong_x_in_a_stream_is_refused(x: NumpyArray, error: type[Exception], message: str) -> None:
    """The short way checks x as the long way does."""
    rnn = network()
    _, state = rnn.forward(drawn(0))
    _, state = rnn.forward(drawn(1), state)
    with pytest.raises(error, match=message):
        rnn.forward(x, state)
