"""The reference is right: its gradients are those of finite differences, and all it gives is what nn.RNN gives."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from rnnimpl import RnnConfig, Weights
from rnnimpl.dtypes import round_to
from rnnimpl.interface import NONLINEARITIES, Nonlinearity, NumpyArray
from rnnimpl.reference import Arithmetic, backward, forward, run, vjp

T, B, I, H = 5, 3, 2, 4


def configs() -> Iterator[RnnConfig]:
    """Every structure of network, in float64."""
    for nonlinearity, num_layers, bidirectional, bias in itertools.product(
        NONLINEARITIES, (1, 2), (False, True), (True, False)
    ):
        yield RnnConfig(
            input_size=I,
            hidden_size=H,
            num_layers=num_layers,
            nonlinearity=nonlinearity,
            bias=bias,
            bidirectional=bidirectional,
            dtype="float64",
        )


def name(config: RnnConfig) -> str:
    bias = "bias" if config.bias else "nobias"
    return f"L{config.num_layers}-D{config.num_directions}-{config.nonlinearity}-{bias}"


def data(config: RnnConfig, seed: int = 1) -> tuple[NumpyArray, NumpyArray, NumpyArray, NumpyArray]:
    """Standard normal x, h0, dy, dh_n."""
    generator = np.random.default_rng(seed)
    states = (config.num_layers * config.num_directions, B, H)
    shapes = ((T, B, I), states, (T, B, config.num_directions * H), states)
    x, h0, dy, dh_n = (round_to(generator.standard_normal(shape), config.dtype) for shape in shapes)
    return x, h0, dy, dh_n


@pytest.mark.parametrize("config", list(configs()), ids=name)
def test_gradients_are_those_of_finite_differences(config: RnnConfig) -> None:
    """Central differences of the loss by every number of every weight, of x and of h0."""
    weights = Weights.init(config, seed=0)
    x, h0, dy, dh_n = data(config)
    _, _, grads = vjp(config, weights, x, h0, dy, dh_n)
    variables = {"x": x, "h0": h0, **weights.state_dict()}
    analytic = {"x": grads.x, "h0": grads.h0, **grads.weights}
    assert variables.keys() == analytic.keys()

    def loss() -> float:
        moved = Weights(config, {key: variables[key] for key in weights.arrays})
        y, h_n = forward(config, moved, variables["x"], variables["h0"])
        return float((y * dy).sum() + (h_n * dh_n).sum())

    step = 1e-6
    for key, variable in variables.items():
        numeric = np.empty_like(variable)
        for index in np.ndindex(variable.shape):
            kept = variable[index]
            variable[index] = kept + step
            above = loss()
            variable[index] = kept - step
            below = loss()
            variable[index] = kept
            numeric[index] = (above - below) / (2 * step)
        np.testing.assert_allclose(analytic[key], numeric, rtol=1e-6, atol=1e-8, err_msg=key)


@pytest.mark.parametrize("given_h0", [True, False], ids=["h0", "zeros"])
@pytest.mark.parametrize("config", list(configs()), ids=name)
def test_agrees_with_torch_in_float64(config: RnnConfig, given_h0: bool) -> None:
    """y, h_n and every gradient of torch.nn.RNN, called directly."""
    weights = Weights.init(config, seed=0)
    x, h0, dy, dh_n = data(config)
    module = torch.nn.RNN(
        I,
        H,
        config.num_layers,
        nonlinearity=config.nonlinearity,
        bias=config.bias,
        bidirectional=config.bidirectional,
        dtype=torch.float64,
    )
    module.load_state_dict({key: torch.tensor(array) for key, array in weights.arrays.items()})
    leaves = [torch.tensor(x, requires_grad=True), torch.tensor(h0 * given_h0, requires_grad=True)]
    y, h_n = module(leaves[0], leaves[1])
    parameters = dict(module.named_parameters())
    dx, dh0, *rest = torch.autograd.grad(
        (y, h_n), [*leaves, *parameters.values()], (torch.tensor(dy), torch.tensor(dh_n))
    )

    ours = vjp(config, weights, x, h0 if given_h0 else None, dy, dh_n)
    pairs = {"y": (ours[0], y), "h_n": (ours[1], h_n), "x": (ours[2].x, dx), "h0": (ours[2].h0, dh0)}
    pairs |= {key: (ours[2].weights[key], grad) for key, grad in zip(parameters, rest, strict=True)}
    for key, (mine, theirs) in pairs.items():
        np.testing.assert_allclose(mine, theirs.detach().numpy(), rtol=1e-12, atol=1e-13, err_msg=key)


def test_forward_gives_the_outputs_of_vjp() -> None:
    config = next(configs())
    x, h0, dy, dh_n = data(config)
    weights = Weights.init(config, seed=0)
    y, h_n = forward(config, weights, x, h0)
    same_y, same_h_n, _ = vjp(config, weights, x, h0, dy, dh_n)
    np.testing.assert_array_equal(y, same_y)
    np.testing.assert_array_equal(h_n, same_h_n)


def plain(dtype: str, nonlinearity: Nonlinearity = "tanh") -> tuple[dict[str, NumpyArray], dict[str, NumpyArray]]:
    """Results of the plain loop in a dtype, and of the reference, on data that float16 and bfloat16 hold."""
    config = RnnConfig(input_size=I, hidden_size=H, nonlinearity=nonlinearity, dtype="float64")
    drawn = Weights.init(config, seed=0).arrays
    weights = Weights(config, {key: round_to(array, "bfloat16").astype(float) for key, array in drawn.items()})
    inputs = [round_to(array, "bfloat16").astype(float) for array in data(config)]
    both = []
    for arithmetic in (Arithmetic(dtype), Arithmetic("float64")):  # type: ignore[arg-type]  # parametrised
        y, h_n, runs = run(config, weights, inputs[0], inputs[1], arithmetic)
        grads, _ = backward(config, runs, inputs[2], inputs[3], arithmetic)
        both.append({"y": y, "h_n": h_n, "x": grads.x, "h0": grads.h0, **grads.weights})
    return both[0], both[1]


@pytest.mark.parametrize(
    ("dtype", "roundoff"), [("float16", 2**-11), ("bfloat16", 2**-8), ("tf32", 2**-11), ("float32", 2**-24)]
)
def test_the_plain_loop_in_a_dtype_is_wrong_by_a_few_of_its_roundoffs(dtype: str, roundoff: float) -> None:
    """Not by none, which would be float64 under another name, and not by many."""
    narrow, wide = plain(dtype)
    for key, array in narrow.items():
        error = np.abs(array - wide[key]).max() / np.abs(wide[key]).max()
        assert 0.01 * roundoff < error < 10 * roundoff, key


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_results_of_a_narrow_plain_loop_are_of_the_dtype(dtype: str) -> None:
    """Rounding them again changes nothing."""
    narrow, _ = plain(dtype)
    for key, array in narrow.items():
        np.testing.assert_array_equal(round_to(array, dtype).astype(np.float32), array, err_msg=key)  # type: ignore[arg-type]


def test_tf32_rounds_operands_of_products_alone() -> None:
    """1 + 2**-12 is not a TF32 number, so a product takes it for 1; a sum keeps it."""
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
    """As NumPy's cumulative sum rounds them, and not as its matrix product does."""
    generator = np.random.default_rng(0)
    a, b = (generator.standard_normal(shape).astype(np.float32) for shape in ((3, 999), (999, 2)))
    product = Arithmetic("float32", running_sums=True).product(a, b)
    np.testing.assert_array_equal(product, np.cumsum(a[:, :, None] * b, axis=1)[:, -1])
    assert product.dtype == np.float32
    assert not np.array_equal(product, a @ b)


def test_float16_overflow_is_infinite_and_says_nothing() -> None:
    assert np.isinf(Arithmetic("float16").round(np.array([70000.0], dtype=np.float32)))
