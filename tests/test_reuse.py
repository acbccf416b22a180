"""Arrays for results are filled again once nobody refers to them, and never before."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rnnimpl import RnnConfig, Unavailable, Weights
from rnnimpl.impls.fused_cpu import FusedCpu
from rnnimpl.interface import CellName, NumpyArray
from rnnimpl.native.build import kernels
from rnnimpl.native.reuse import Reusable, Reused


class Pair(Reusable):
    """Two arrays of a size, and a tuple of one of them."""

    def __init__(self, size: tuple[int, ...]) -> None:
        self.size = size
        self.first, self.second = np.zeros(size), (np.zeros(size),)
        self.arrays = (self.first, self.second, *self.second)


def address(array: NumpyArray) -> int:
    """The address of the first element."""
    return array.ctypes.data


def give(pool: Reused[Pair], size: tuple[int, ...]) -> Pair:
    """An item as a caller gets it."""
    item = pool.take(size)
    pool.give_back(item)
    return item


def test_what_nobody_refers_to_is_reused() -> None:
    pool = Reused(Pair, 2)
    first = id(give(pool, (3,)))
    assert id(give(pool, (3,))) == first


@pytest.mark.parametrize("hold", ["first", "second", "view", "memoryview", "array in the tuple"])
def test_what_somebody_refers_to_is_not_reused(hold: str) -> None:
    """Arrays, tuples of them, and what has their memory."""
    pool = Reused(Pair, 2)
    item = give(pool, (3,))
    parts: dict[str, Callable[[], object]] = {
        "first": lambda: item.first,
        "second": lambda: item.second,
        "view": lambda: item.first[1:],
        "memoryview": lambda: memoryview(item.first),  # type: ignore[arg-type]  # an array is a buffer
        "array in the tuple": lambda: item.second[0],
    }
    held = parts[hold]()
    assert give(pool, (3,)) is not item
    del held
    given = [give(pool, (3,)) for _ in range(2)]
    assert any(each is item for each in given)


def test_an_item_of_another_size_is_not_reused() -> None:
    pool = Reused(Pair, 2)
    assert give(pool, (3,)) is not give(pool, (4,))


def test_so_many_items_are_kept_and_no_more() -> None:
    """A hundred sizes take the memory of the last two."""
    made: weakref.WeakSet[Pair] = weakref.WeakSet()

    def make(size: tuple[int, ...]) -> Pair:
        item = Pair(size)
        made.add(item)
        return item

    pool = Reused(make, 2)
    for size in range(1, 101):
        give(pool, (size,))
    gc.collect()
    assert len(made) == 2


def network(cell: CellName) -> tuple[FusedCpu, NumpyArray]:
    """A small network and an input of it."""
    try:
        kernels(cell, "float32")
    except Unavailable as reason:
        pytest.skip(str(reason))
    config = RnnConfig(cell=cell, input_size=5, hidden_size=7, num_layers=2)
    x = np.random.default_rng(0).standard_normal((6, 3, 5)).astype(np.float32)
    return FusedCpu(config, Weights.init(config, 0)), x


@pytest.mark.parametrize("cell", ["tanh", "lstm"])
def test_fused_cpu_fills_results_again(cell: CellName) -> None:
    rnn, x = network(cell)
    addresses = set()
    for _ in range(20):
        y, _, pullback = rnn.vjp(x)
        grads = pullback(y, tuple(np.zeros((2, 3, 7), np.float32) for _ in rnn.config.state_names))
        addresses.add((address(y), address(grads.x)))
        del y, pullback, grads
    assert len(addresses) <= 2


@pytest.mark.parametrize("cell", ["tanh", "lstm"])
def test_what_is_given_back_is_in_use(cell: CellName, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread that takes a result before the caller refers to it would write over it."""
    given: list[str] = []
    give_back = Reused.give_back

    def checked(pool: Reused[Any], item: Any) -> None:
        assert not item.is_unused()
        given.append(type(item).__name__)
        give_back(pool, item)

    monkeypatch.setattr(Reused, "give_back", checked)
    rnn, x = network(cell)
    y, state_n, pullback = rnn.vjp(x)
    pullback(y, state_n)
    rnn.forward(x)
    assert given == ["_Outputs", "_Saved", "_Gradients", "_Outputs"]


@pytest.mark.parametrize("cell", ["tanh", "lstm"])
def test_results_that_are_held_stay(cell: CellName) -> None:
    """Ten calls whose results, pullbacks and gradients are all held give each what it would give alone."""
    rnn, x = network(cell)
    inputs = [x + np.float32(i) for i in range(10)]
    calls = [rnn.vjp(each) for each in inputs]
    held = [pullback(y, state_n) for y, state_n, pullback in calls]
    fresh, _ = network(cell)
    for each, (y, state_n, pullback), grads in zip(inputs, calls, held, strict=True):
        alone_y, alone_n, alone = fresh.vjp(each)
        alone_grads = alone(alone_y, alone_n)
        np.testing.assert_array_equal(y, alone_y)
        for actual, expected in zip(state_n, alone_n, strict=True):
            np.testing.assert_array_equal(actual, expected)
        again = pullback(y, state_n)
        for name, expected in alone_grads.weights.items():
            np.testing.assert_array_equal(grads.weights[name], expected)
            np.testing.assert_array_equal(again.weights[name], expected)
        np.testing.assert_array_equal(grads.x, alone_grads.x)


def test_a_state_handed_on_is_not_written_over() -> None:
    """A stream reads the state of the call before while it makes the next."""
    rnn, x = network("lstm")
    whole, last = rnn.forward(x)
    state = None
    steps = []
    for t in range(len(x)):
        y, state = rnn.forward(x[t : t + 1], state)
        steps.append(y.copy())
    np.testing.assert_allclose(np.concatenate(steps), whole, rtol=0, atol=1e-6)
    assert state is not None
    for actual, expected in zip(state, last, strict=True):
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-6)


def test_gradients_of_weights_that_a_caller_takes_out_are_there_in_the_next_call() -> None:
    """The caller may change the dictionary that it is given."""
    rnn, x = network("tanh")
    y, state_n, pullback = rnn.vjp(x)
    pullback(y, state_n).weights.clear()  # type: ignore[attr-defined]  # it is a dictionary, which the type does not say
    assert pullback(y, state_n).weights.keys() == rnn.config.weight_shapes().keys()
