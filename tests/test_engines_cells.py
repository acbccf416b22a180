"""Outputs, final states and gradients of the engines are the reference's, for every cell."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest

from rnnimpl import RnnConfig, Unavailable, Unsupported, Weights, load
from rnnimpl.dtypes import Dtype, round_to
from rnnimpl.expectation import name_results
from rnnimpl.interface import CellName, NumpyArray, State
from rnnimpl.tolerance import expect

SIZES = ((1, 3, 5), (3, 7, 16), (3, 2, 17), (1, 9, 16), (3, 4, 5), (1, 3, 17))
"""B, I and H: whole vectors of units and parts, one sequence and three, of which a fault of ONNX Runtime needs three
(microsoft/onnxruntime#3893, a GRU without bias)."""
CELLS: tuple[CellName, ...] = ("tanh", "relu", "lstm", "gru")
"""The cells that every engine here has."""
T = 5
INFERENCE = ("onnxruntime_rnn", "openvino_rnn")


@dataclasses.dataclass(frozen=True, eq=False)
class Data:
    """x, a state and the cotangents of y and of the final state, standard normal."""

    x: NumpyArray
    state: State[NumpyArray]
    dy: NumpyArray
    dstate_n: State[NumpyArray]


def draw(config: RnnConfig, B: int) -> Data:
    generator = np.random.default_rng(1)

    def normal(*shape: int) -> NumpyArray:
        return round_to(generator.standard_normal(shape), config.dtype)

    states = config.state_shapes(B)
    return Data(
        x=normal(T, B, config.input_size),
        state=tuple(normal(*shape) for shape in states),
        dy=normal(T, B, config.num_directions * config.hidden_size),
        dstate_n=tuple(normal(*shape) for shape in states),
    )


def structures() -> list[tuple[RnnConfig, int]]:
    """Every cell, number of layers, direction and bias, each with other sizes of batch, input and hidden state."""
    found = []
    for place, (bias, num_layers, bidirectional, cell) in enumerate(
        itertools.product((True, False), (1, 2), (False, True), CELLS)
    ):
        B, I, H = SIZES[(place + place // len(CELLS)) % len(SIZES)]
        config = RnnConfig(
            input_size=I, hidden_size=H, num_layers=num_layers, cell=cell, bias=bias, bidirectional=bidirectional
        )
        found.append((config, B))
    return found


def name(value: Any) -> str:
    if not isinstance(value, RnnConfig):
        return f"B{value}"
    bias = "bias" if value.bias else "nobias"
    sizes = f"I{value.input_size}-H{value.hidden_size}-L{value.num_layers}-D{value.num_directions}"
    return f"{value.cell}-{sizes}-{bias}"


def built(engine: str, config: RnnConfig) -> Any:
    """An instance of an engine with weights of seed 0; skips the test, with the reason, where it is not available."""
    try:
        implementation = load(engine)
    except Unavailable as reason:
        pytest.skip(str(reason))
    implementation.configure_process(threads=1, precision="ieee")
    return implementation(config, Weights.init(config, 0), "cpu")


def assert_infers(engine: str, config: RnnConfig, B: int) -> None:
    """Require the reference's outputs from a given state and from zeros."""
    rnn, data = built(engine, config), draw(config, B)
    for state in (data.state, None):
        on_device = None if state is None else tuple(rnn.from_numpy(each) for each in state)
        y, state_n = rnn.forward(rnn.from_numpy(data.x), on_device)
        expected = expect(config, Weights.init(config, 0), data.x, state)
        assert not expected.outside(expected.errors(name_results(rnn, y, state_n)))


def assert_trains(engine: str, config: RnnConfig, B: int) -> None:
    """Require the reference's outputs and gradients from a given state and from zeros."""
    rnn, data = built(engine, config), draw(config, B)
    for state in (data.state, None):
        on_device = None if state is None else tuple(rnn.from_numpy(each) for each in state)
        y, state_n, pullback = rnn.vjp(rnn.from_numpy(data.x), on_device)
        grads = pullback(rnn.from_numpy(data.dy), tuple(rnn.from_numpy(each) for each in data.dstate_n))
        expected = expect(config, Weights.init(config, 0), data.x, state, data.dy, data.dstate_n)
        assert not expected.outside(expected.errors(name_results(rnn, y, state_n, grads)))


def test_the_structures_show_each_size_with_each_cell() -> None:
    """Each size occurs with every cell, number of layers, direction, and with and without bias."""
    shown = [(config, (B, config.input_size, config.hidden_size)) for config, B in structures()]
    for size in SIZES:
        having = [config for config, sizes in shown if sizes == size]
        for field in ("cell", "num_layers", "bidirectional", "bias"):
            values = {getattr(config, field) for config, _ in shown}
            assert {getattr(config, field) for config in having} == values


@pytest.mark.engines
@pytest.mark.parametrize(("config", "B"), structures(), ids=name)
@pytest.mark.parametrize("engine", ["jax_scan", *INFERENCE])
def test_infers_as_the_reference_does(engine: str, config: RnnConfig, B: int) -> None:
    assert_infers(engine, config, B)


@pytest.mark.engines
@pytest.mark.parametrize(("config", "B"), structures(), ids=name)
def test_jax_has_the_gradients_of_the_reference(config: RnnConfig, B: int) -> None:
    """The gradients of x, of the state and of every weight are right, those of a GRU's b_ih and b_hh apart."""
    assert_trains("jax_scan", config, B)


@pytest.mark.engines
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_jax_trains_in_every_dtype(dtype: Dtype, cell: CellName) -> None:
    assert_trains("jax_scan", RnnConfig(input_size=7, hidden_size=17, cell=cell, dtype=dtype), B=3)


@pytest.mark.engines
@pytest.mark.parametrize("cell", CELLS)
def test_onnxruntime_infers_in_float16(cell: CellName) -> None:
    assert_infers("onnxruntime_rnn", RnnConfig(input_size=7, hidden_size=17, cell=cell, dtype="float16"), B=3)


@pytest.mark.engines
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_float64_model_is_unsupported_in_onnxruntime_by_name(cell: CellName) -> None:
    with pytest.raises(Unsupported, match=f"has no float64 {cell.upper()}"):
        built("onnxruntime_rnn", RnnConfig(input_size=3, hidden_size=4, cell=cell, dtype="float64"))


@pytest.mark.engines
@pytest.mark.parametrize("engine", ["jax_scan", *INFERENCE])
def test_a_state_that_is_no_tuple_is_refused(engine: str) -> None:
    """A bare array and a tuple of one array are refused for an LSTM, which has two states."""
    rnn = built(engine, RnnConfig(input_size=3, hidden_size=4, cell="lstm"))
    x = rnn.from_numpy(np.ones((T, 2, 3), np.float32))
    h0 = rnn.from_numpy(np.zeros((1, 2, 4), np.float32))
    with pytest.raises(TypeError, match=r"expected a tuple \(h0, c0\)"):
        rnn.forward(x, h0)
    with pytest.raises(ValueError, match="state has 1 arrays; expected 2"):
        rnn.forward(x, (h0,))


@pytest.mark.engines
def test_jax_refuses_cotangents_that_do_not_fit() -> None:
    rnn = built("jax_scan", RnnConfig(input_size=3, hidden_size=4, cell="lstm"))
    y, (h_n, _), pullback = rnn.vjp(rnn.from_numpy(np.ones((T, 2, 3), np.float32)))
    with pytest.raises(ValueError, match="dstate_n has 1 arrays; expected 2"):
        pullback(y, (h_n,))
    with pytest.raises(TypeError, match="dy has dtype int32"):
        pullback(y.astype(np.int32), (h_n, h_n))
