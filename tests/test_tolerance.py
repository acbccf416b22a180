"""Tolerances are the error of a plain loop times a small factor."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from rnnimpl import Rnn, RnnConfig, Weights, load
from rnnimpl.arithmetic import Arithmetic
from rnnimpl.conformance.compare import train
from rnnimpl.conformance.examples import Data, Example
from rnnimpl.dtypes import DTYPES, Dtype, round_to, unit_roundoff
from rnnimpl.expectation import Expectation
from rnnimpl.interface import CellName, NumpyArray, State
from rnnimpl.reference import backward, run
from rnnimpl.tolerance import ALLOWANCES, expect

T, B = 9, 4


def draw(config: RnnConfig, T: int, B: int, *, seed: int = 0, scale: float = 1.0) -> Data:
    """Standard normal data times `scale`."""
    generator = np.random.default_rng(seed)

    def one(shape: tuple[int, ...]) -> NumpyArray:
        return round_to(scale * generator.standard_normal(shape), config.dtype)

    def state() -> State[NumpyArray]:
        return tuple(one(shape) for shape in config.state_shapes(B))

    x, start = one((T, B, config.input_size)), state()
    return Data(x, start, one((T, B, config.num_directions * config.hidden_size)), state())


def problem(dtype: Dtype = "float32", cell: CellName = "tanh", scale: float = 1.0) -> tuple[RnnConfig, Weights, Data]:
    """A network of two layers with its data."""
    config = RnnConfig(input_size=5, hidden_size=32, num_layers=2, cell=cell, dtype=dtype)
    return config, Weights.init(config, 0), draw(config, T, B, seed=3, scale=scale)


def results(rnn: Rnn[Any], data: Data) -> dict[str, NumpyArray]:
    return train(rnn, data)


@pytest.fixture
def expectation() -> Expectation:
    """Expected values and tolerances by hand, of y and of a result that is zero."""
    return Expectation({"y": np.array([1.0, 2.0, 4.0]), "h_n": np.zeros(2)}, {"y": 0.1, "h_n": 0.5})


def test_error_is_relative_to_the_largest_expected(expectation: Expectation) -> None:
    assert expectation.error("y", np.array([1.2, 2.0, 4.0])) == pytest.approx(0.2 / 4)


def test_error_is_absolute_where_all_expected_is_zero(expectation: Expectation) -> None:
    assert expectation.error("h_n", np.array([0.25, 0])) == 0.25


def test_denormal_numbers_may_be_taken_for_zero() -> None:
    """A processor that flushes them computes zeros where others compute the smallest numbers of float32."""
    expectation = Expectation({"h_n": np.array([3e-40, -1e-44])}, {"h_n": 1e-6})
    assert expectation.error("h_n", np.zeros(2)) == 0
    assert expectation.error("h_n", np.array([1e-30, 0.0])) > 1


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_infinitely_wrong(expectation: Expectation, value: float) -> None:
    """NaN and infinity have an infinite error, which exceeds the tolerance."""
    errors = expectation.errors({"y": np.array([1.0, 2.0, value]), "h_n": np.zeros(2)})
    assert errors == {"y": np.inf, "h_n": 0.0}
    assert expectation.outside(errors) == ["y (3,) has error inf; expected 0.1 or less"]


def test_what_is_on_its_tolerance_is_inside(expectation: Expectation) -> None:
    assert expectation.outside({"y": 0.1, "h_n": 0.51}) == ["h_n (2,) has error 0.51; expected 0.5 or less"]


def test_another_shape_is_an_error_that_names_both(expectation: Expectation) -> None:
    """An array of another shape is refused, also one that would broadcast."""
    with pytest.raises(ValueError, match=r"y has shape \(1,\); expected \(3,\)"):
        expectation.error("y", np.ones(1))


def test_a_missing_and_an_unknown_result_are_errors(expectation: Expectation) -> None:
    with pytest.raises(ValueError, match=r"missing \['h_n'\], not expected \['grad_x'\]"):
        expectation.errors({"y": np.ones(3), "grad_x": np.ones(1)})


@pytest.mark.parametrize("cell", ["tanh", "relu", "lstm", "gru"])
def test_names_are_those_of_the_cells_states_and_of_the_state_dict(cell: CellName) -> None:
    config, weights, arrays = problem(cell=cell)
    expectation = expect(config, weights, *arrays)
    state = ["h", "c"] if cell == "lstm" else ["h"]
    names = ["y", *(f"{each}_n" for each in state), "grad_x", *(f"grad_{each}0" for each in state)]
    assert list(expectation.values) == [*names, *(f"grad_{n}" for n in config.weight_shapes())]
    rnn = load("numpy_loop")(config, weights)
    assert results(rnn, arrays).keys() == expectation.values.keys()


def test_inference_expects_no_gradients() -> None:
    config, weights, data = problem()
    assert list(expect(config, weights, data.x, None).tolerances) == ["y", "h_n"]


@pytest.mark.parametrize("cell", ["tanh", "lstm", "gru"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_tolerances_are_a_few_unit_roundoffs(dtype: Dtype, cell: CellName) -> None:
    """Tolerances of networks without kinks are between the floor and 60 unit roundoffs."""
    config, weights, arrays = problem(dtype, cell)
    for name, tolerance in expect(config, weights, *arrays).tolerances.items():
        assert ALLOWANCES[dtype].floor <= tolerance / unit_roundoff(dtype) < 60, name


def test_one_step_from_zeros_is_expected_to_leave_the_weights_of_the_state_alone() -> None:
    """The gradient of w_hh after one step from zeros is exactly zero, and its tolerance the floor."""
    config = RnnConfig(input_size=3, hidden_size=40)
    ones = np.ones((1, 2, 40), np.float32)
    expected = expect(config, Weights.init(config, 0), np.ones((1, 2, 3), np.float32), None, ones, (ones,))
    assert not expected.values["grad_weight_hh_l0"].any()
    assert expected.tolerances["grad_weight_hh_l0"] == ALLOWANCES["float32"].floor * unit_roundoff("float32")


def test_tf32_is_allowed_more_than_ieee_and_float32_alone() -> None:
    config, weights, arrays = problem()
    ieee = expect(config, weights, *arrays).tolerances["y"]
    tf32 = expect(config, weights, *arrays, precision="tf32").tolerances["y"]
    assert ieee < 2e-6 < 1e-3 < tf32 < 2e-2
    config, weights, arrays = problem("float64")
    assert expect(config, weights, *arrays, precision="tf32").tolerances["y"] < 1e-13


def test_the_same_data_give_the_same_tolerances() -> None:
    """Perturbations are drawn from a fixed seed."""
    config, weights, arrays = problem(cell="relu")
    assert expect(config, weights, *arrays).tolerances == expect(config, weights, *arrays).tolerances


@pytest.mark.parametrize("cell", ["tanh", "lstm", "gru"])
def test_float16_inside_is_outside_the_tolerance_of_float32(cell: CellName) -> None:
    """Every result of a network that computes in float16 exceeds the tolerances of float32."""
    config, weights, data = problem(cell=cell)
    half = dataclasses.replace(config, dtype="float16")
    rnn = load("numpy_loop")(half, Weights.from_state_dict(half, weights.state_dict()))
    expectation = expect(config, weights, *data)

    def halved(state: State[NumpyArray]) -> State[NumpyArray]:
        return tuple(array.astype(np.float16) for array in state)

    narrow = Data(data.x.astype(np.float16), halved(data.state), data.dy.astype(np.float16), halved(data.dstate_n))
    errors = expectation.errors(results(rnn, narrow))
    assert len(expectation.outside(errors)) == len(errors)


def test_a_tanh_wrong_by_a_hundred_thousandth_is_outside_the_tolerance_of_float32() -> None:
    config, weights, data = problem()
    expectation = expect(config, weights, data.x, data.state)
    assert expectation.error("y", expectation.values["y"] + 1e-5) > expectation.tolerances["y"]


@pytest.mark.parametrize("cell", ["tanh", "lstm", "gru"])
def test_a_lucky_plain_loop_does_not_set_the_tolerance(cell: CellName) -> None:
    """In networks of one unit the plain loop is often exact by chance; another right loop is within the tolerance."""
    config = RnnConfig(input_size=1, hidden_size=1, num_layers=3, cell=cell, bidirectional=True)
    for seed in range(20):
        data = draw(config, 1, 1, seed=seed)
        weights = Weights.init(config, seed)
        expectation = expect(config, weights, *data)
        errors = expectation.errors(results(load("numpy_hoisted")(config, weights), data))
        assert expectation.outside(errors) == []


def test_a_lucky_first_sequence_does_not_set_the_tolerance() -> None:
    """The tolerance is at least that of the plain loop on all sequences; running sums see the first one alone."""
    example = Example(RnnConfig(input_size=127, hidden_size=17), T=20, B=112)
    x = example.data().x
    allowed = expect(example.config, example.weights(), x, None).tolerances["h_n"]
    exact = run(example.config, example.weights(), x, None)[1][0]
    plain = run(example.config, example.weights(), x, None, Arithmetic("float32"))[1][0]
    own = np.abs(plain - exact).max() / np.abs(exact).max()
    assert allowed >= ALLOWANCES["float32"].factor * own


def test_tolerances_do_not_depend_on_how_a_library_sums() -> None:
    """A loop that adds its 4096 products one after another, as many kernels do, is within the tolerance."""
    H = 4096
    config = RnnConfig(input_size=1, hidden_size=H)
    weights = Weights.init(config, seed=0)
    generator = np.random.default_rng(0)
    x, h0 = (generator.standard_normal(shape).astype(np.float32) for shape in ((3, 2, 1), (1, 2, H)))
    w_ih, w_hh, b_ih, b_hh = weights.layer(0, 0)
    assert b_ih is not None
    assert b_hh is not None
    h, y = h0[0], np.empty((3, 2, H), np.float32)
    for t in range(3):
        h = y[t] = np.tanh(x[t] @ w_ih.T + b_ih + running_sums(w_hh, h) + b_hh)
    expectation = expect(config, weights, x, (h0,))
    assert expectation.outside(expectation.errors({"y": y, "h_n": h[None]})) == []


def running_sums(w: NumpyArray, h: NumpyArray) -> NumpyArray:
    """h @ w.T for each sequence of h, each element's products added up one after another."""
    return np.stack([np.cumsum(w * sequence, axis=1)[:, -1] for sequence in h])


def test_a_memory_is_allowed_running_sums_too() -> None:
    """An LSTM's c_n and the gradient of c0 have the batch as their second axis, as y has."""
    H = 1024
    config = RnnConfig(input_size=1, hidden_size=H, cell="lstm")
    weights = Weights.init(config, seed=0)
    data = draw(config, 3, 2)
    w_ih, w_hh, b_ih, b_hh = weights.layer(0, 0)
    assert b_ih is not None
    assert b_hh is not None
    h, c = (array[0] for array in data.state)
    outputs = []
    for x in data.x:
        i, f, g, o = np.split(x @ w_ih.T + b_ih + running_sums(w_hh, h) + b_hh, 4, axis=1)
        i, f, o = (1 / (1 + np.exp(-gate)) for gate in (i, f, o))
        c = f * c + i * np.tanh(g)
        h = o * np.tanh(c)
        outputs.append(h)
    expectation = expect(config, weights, data.x, data.state)
    found = {"y": np.stack(outputs), "h_n": h[None], "c_n": c[None]}
    assert expectation.outside(expectation.errors(found)) == []


@pytest.mark.parametrize("cell", ["tanh", "gru"])
def test_gradients_of_weights_may_be_running_sums_over_all_steps_and_sequences(cell: CellName) -> None:
    """Running sums of 4096 terms are within the tolerance, for each weight of each cell."""
    steps, sequences, H = 256, 16, 48
    config = RnnConfig(input_size=H, hidden_size=H, cell=cell)
    weights = Weights.init(config, seed=0)
    data = draw(config, steps, sequences)
    expectation = expect(config, weights, *data)
    _, _, runs = run(config, weights, data.x, data.state)
    _, sums = backward(config, runs, data.dy, data.dstate_n)
    multiplied = (data.x, runs[0, 0].h_before)
    for name, of_sums, inputs in zip(("weight_ih_l0", "weight_hh_l0"), sums[0, 0], multiplied, strict=True):
        terms = of_sums.astype(np.float32).reshape(steps * sequences, -1)
        rows = inputs.astype(np.float32).reshape(-1, H)
        total = np.zeros((terms.shape[1], H), np.float32)
        for term, row in zip(terms, rows, strict=True):
            total += np.outer(term, row)
        assert expectation.error(f"grad_{name}", total) <= expectation.tolerances[f"grad_{name}"], name


def test_overflow_in_the_dtype_is_an_error() -> None:
    """Results that overflow are an error: no tolerance is infinite."""
    config, weights, arrays = problem("float16", "relu", scale=10000)
    with pytest.raises(ValueError, match="overflow float16"):
        expect(config, weights, *arrays)


def kink(bias: float, dtype: Dtype = "float32") -> Expectation:
    """A network of one relu unit whose second pre-activation is `bias`, and on which many gradients depend."""
    config = RnnConfig(input_size=1, hidden_size=1, cell="relu", dtype=dtype)
    arrays = {"weight_ih_l0": [[1.0]], "weight_hh_l0": [[0.5]], "bias_ih_l0": [bias], "bias_hh_l0": [0.0]}
    weights = Weights.from_state_dict(config, {name: np.array(array) for name, array in arrays.items()})
    x = np.array([1.0, -0.5, 1.0]).reshape(3, 1, 1)
    ones = np.ones((3, 1, 1))
    return expect(config, weights, x, (0 * ones[:1],), ones, (ones[:1],))


def test_relu_away_from_its_kink_is_allowed_no_more_than_rounding() -> None:
    assert kink(0.25).tolerances["grad_x"] < 1e-5


@pytest.mark.parametrize("side", [1, -1])
def test_relu_on_its_kink_is_allowed_either_slope(side: int) -> None:
    """A unit at 1.5 * 2**-26 on either side of zero may be active or not in float32."""
    expectation = kink(side * 2.0**-26)
    on, off = (np.array(grad_x).reshape(3, 1, 1) for grad_x in ([2.0, 2, 2], [1.0, 0, 2]))
    usual, other = (on, off) if side > 0 else (off, on)
    tolerance = expectation.tolerances["grad_x"]
    assert expectation.error("grad_x", usual) < 1e-6
    assert 0.5 < expectation.error("grad_x", other) <= tolerance < 1.1
    # The outputs are continuous there, so they are allowed nothing.
    assert expectation.tolerances["y"] < 1e-5
