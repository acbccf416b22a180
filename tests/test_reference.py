"""The reference is right: its gradients are those of finite differences, and its results are PyTorch's."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch

from rnnimpl import RnnConfig, Weights
from rnnimpl.arithmetic import Arithmetic
from rnnimpl.dtypes import round_to
from rnnimpl.expectation import name_arrays
from rnnimpl.interface import CELL_NAMES, CellName, NumpyArray, State
from rnnimpl.reference import backward, forward, run, vjp

T, B, I, H = 5, 3, 2, 4


def configs() -> Iterator[RnnConfig]:
    """Every structure of network, in float64."""
    for cell, num_layers, bidirectional, bias in itertools.product(CELL_NAMES, (1, 2), (False, True), (True, False)):
        yield RnnConfig(
            input_size=I,
            hidden_size=H,
            num_layers=num_layers,
            cell=cell,
            bias=bias,
            bidirectional=bidirectional,
            dtype="float64",
        )


def name(config: RnnConfig) -> str:
    bias = "bias" if config.bias else "nobias"
    return f"L{config.num_layers}-D{config.num_directions}-{config.cell}-{bias}"


Data = tuple[NumpyArray, State[NumpyArray], NumpyArray, State[NumpyArray]]


def data(config: RnnConfig, seed: int = 1) -> Data:
    """Standard normal x, state, dy, dstate_n."""
    generator = np.random.default_rng(seed)

    def draw(shape: tuple[int, ...]) -> NumpyArray:
        return round_to(generator.standard_normal(shape), config.dtype)

    def draw_state() -> State[NumpyArray]:
        return tuple(draw(shape) for shape in config.state_shapes(B))

    x, state = draw((T, B, I)), draw_state()
    return x, state, draw((T, B, config.num_directions * H)), draw_state()


def named(config: RnnConfig, x: NumpyArray, state: State[NumpyArray]) -> dict[str, NumpyArray]:
    """x and the arrays of a state by name: x, h0, c0."""
    return {"x": x} | {f"{name}0": array for name, array in zip(config.state_names, state, strict=True)}


@pytest.mark.parametrize("config", list(configs()), ids=name)
def test_gradients_are_those_of_finite_differences(config: RnnConfig) -> None:
    """Gradients are the central differences of a loss of y and of each array of the final state.

    At most 8 numbers of each weight, of x and of each array of the state are changed, drawn at random.
    """
    weights = Weights.init(config, seed=0)
    x, state, dy, dstate_n = data(config)
    _, _, grads = vjp(config, weights, x, state, dy, dstate_n)
    variables = {**named(config, x, state), **weights.state_dict()}
    analytic = {**named(config, grads.x, grads.state), **grads.weights}
    assert variables.keys() == analytic.keys()

    def loss() -> float:
        moved = Weights(config, {key: variables[key] for key in weights.arrays})
        start = tuple(variables[f"{each}0"] for each in config.state_names)
        y, state_n = forward(config, moved, variables["x"], start)
        finals = zip(state_n, dstate_n, strict=True)
        return float((y * dy).sum() + sum((final * cotangent).sum() for final, cotangent in finals))

    step, generator = 1e-6, np.random.default_rng(2)
    for key, variable in variables.items():
        chosen = generator.choice(variable.size, min(variable.size, 8), replace=False)
        for index in zip(*np.unravel_index(chosen, variable.shape), strict=True):
            kept = variable[index]
            variable[index] = kept + step
            above = loss()
            variable[index] = kept - step
            below = loss()
            variable[index] = kept
            numeric = (above - below) / (2 * step)
            assert analytic[key][index] == pytest.approx(numeric, rel=1e-6, abs=1e-8), (key, index)


MODULES: dict[str, Callable[..., torch.nn.RNNBase]] = {
    "tanh": torch.nn.RNN,
    "relu": functools.partial(torch.nn.RNN, nonlinearity="relu"),
    "lstm": torch.nn.LSTM,
    "gru": torch.nn.GRU,
}
"""PyTorch's module of each cell that it has."""


def module_of(config: RnnConfig, weights: Weights) -> torch.nn.RNNBase:
    """PyTorch's module with these weights."""
    arguments = {"bias": config.bias, "bidirectional": config.bidirectional, "dtype": torch.float64}
    module = MODULES[config.cell](I, H, config.num_layers, **arguments)
    module.load_state_dict({key: torch.tensor(array) for key, array in weights.arrays.items()})
    return module


@pytest.mark.parametrize("given", [True, False], ids=["state", "zeros"])
@pytest.mark.parametrize("config", [config for config in configs() if config.cell in MODULES], ids=name)
def test_agrees_with_torch_in_float64(config: RnnConfig, given: bool) -> None:
    """y, the final state and every gradient of torch.nn.RNN, nn.LSTM and nn.GRU."""
    weights = Weights.init(config, seed=0)
    x, state, dy, dstate_n = data(config)
    module = module_of(config, weights)
    leaf_x = torch.tensor(x, requires_grad=True)
    leaves = [torch.tensor(array * given, requires_grad=True) for array in state]
    y, last = module(leaf_x, tuple(leaves) if len(leaves) > 1 else leaves[0])
    finals = last if isinstance(last, tuple) else (last,)
    parameters = dict(module.named_parameters())
    cotangents = [torch.tensor(array) for array in (dy, *dstate_n)]
    dx, *rest = torch.autograd.grad((y, *finals), [leaf_x, *leaves, *parameters.values()], cotangents)

    our_y, our_finals, grads = vjp(config, weights, x, state if given else None, dy, dstate_n)
    ours = [our_y, *our_finals, grads.x, *grads.state, *(grads.weights[key] for key in parameters)]
    theirs = [y, *finals, dx, *rest]
    keys = ["y", *(f"{each}_n" for each in config.state_names), *named(config, x, state), *parameters]
    for key, mine, its in zip(keys, ours, theirs, strict=True):
        np.testing.assert_allclose(mine, its.detach().numpy(), rtol=1e-12, atol=1e-13, err_msg=key)


@pytest.mark.parametrize("cell", CELL_NAMES)
def test_forward_gives_the_outputs_of_vjp(cell: CellName) -> None:
    config = RnnConfig(input_size=I, hidden_size=H, cell=cell, dtype="float64")
    x, state, dy, dstate_n = data(config)
    weights = Weights.init(config, seed=0)
    y, state_n = forward(config, weights, x, state)
    same_y, same_state_n, _ = vjp(config, weights, x, state, dy, dstate_n)
    for first, second in zip((y, *state_n), (same_y, *same_state_n), strict=True):
        np.testing.assert_array_equal(first, second)


def plain(dtype: str, cell: CellName) -> tuple[dict[str, NumpyArray], dict[str, NumpyArray]]:
    """Results of the plain loop in a dtype, and of the reference, on data that float16 and bfloat16 hold."""
    config = RnnConfig(input_size=I, hidden_size=H, cell=cell, dtype="float64")
    drawn = Weights.init(config, seed=0).arrays

    def narrowed(array: NumpyArray) -> NumpyArray:
        return round_to(array, "bfloat16").astype(float)

    weights = Weights(config, {key: narrowed(array) for key, array in drawn.items()})
    x, state, dy, dstate_n = data(config)
    x, dy = narrowed(x), narrowed(dy)
    state, dstate_n = tuple(map(narrowed, state)), tuple(map(narrowed, dstate_n))
    both = []
    for arithmetic in (Arithmetic(dtype), Arithmetic("float64")):  # type: ignore[arg-type]  # parametrised
        y, state_n, runs = run(config, weights, x, state, arithmetic)
        grads, _ = backward(config, runs, dy, dstate_n, arithmetic)
        both.append(name_arrays(config, y, state_n, grads))
    return both[0], both[1]


@pytest.mark.parametrize("cell", CELL_NAMES)
@pytest.mark.parametrize(
    ("dtype", "roundoff"), [("float16", 2**-11), ("bfloat16", 2**-8), ("tf32", 2**-11), ("float32", 2**-24)]
)
def test_the_plain_loop_in_a_dtype_is_wrong_by_a_few_of_its_roundoffs(
    dtype: str, roundoff: float, cell: CellName
) -> None:
    """The error is not zero, as of float64 under another name, and not many unit roundoffs."""
    narrow, wide = plain(dtype, cell)
    for key, array in narrow.items():
        error = np.abs(array - wide[key]).max() / np.abs(wide[key]).max()
        assert 0.01 * roundoff < error < 10 * roundoff, key


@pytest.mark.parametrize("cell", CELL_NAMES)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_results_of_a_narrow_plain_loop_are_of_the_dtype(dtype: str, cell: CellName) -> None:
    """Rounding the results to the dtype again changes nothing."""
    narrow, _ = plain(dtype, cell)
    for key, array in narrow.items():
        np.testing.assert_array_equal(round_to(array, dtype).astype(np.float32), array, err_msg=key)  # type: ignore[arg-type]


def test_tf32_rounds_operands_of_products_alone() -> None:
    """1 + 2**-12 is no TF32 number: a product takes it for 1, and a sum keeps it."""
    value = np.array([[1 + 2**-12]], dtype=np.float32)
    one = np.ones((1, 1), dtype=np.float32)
    arithmetic = Arithmetic.of("float32", "tf32")
    assert arithmetic.product(value, one) == 1
    assert arithmetic.round(value) == value
    assert Arithmetic.of("float32", "ieee").product(value, one) == value


def test_a_narrow_sum_over_steps_is_rounded_at_each() -> None:
    """4096 ones add up to 256 in bfloat16, one step at a time: 256 + 1 is 256 there."""
    ones = np.ones((4096, 1, 1), dtype=np.float32)
    assert Arithmetic("bfloat16").sum_of_products(ones, ones) == 256
    assert Arithmetic("bfloat16").sum_over_steps(ones) == 256
    assert Arithmetic("float32").sum_of_products(ones, ones) == 4096


def test_running_sums_are_rounded_after_each_term() -> None:
    """Running sums equal NumPy's cumulative sum, and differ from its matrix product."""
    generator = np.random.default_rng(0)
    a, b = (generator.standard_normal(shape).astype(np.float32) for shape in ((3, 999), (999, 2)))
    product = Arithmetic("float32", running_sums=True).product(a, b)
    np.testing.assert_array_equal(product, np.cumsum(a[:, :, None] * b, axis=1)[:, -1])
    assert product.dtype == np.float32
    assert not np.array_equal(product, a @ b)


def test_float16_overflow_is_infinite_and_says_nothing() -> None:
    assert np.isinf(Arithmetic("float16").round(np.array([70000.0], dtype=np.float32)))
