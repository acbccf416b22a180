"""The program this project grew from: its outputs are reproduced, its faults are shown and are not here.

`docs/original.md` tells the same as a table and names these tests.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import rnnimpl
from rnnimpl import Rnn, RnnConfig, Weights
from rnnimpl.dtypes import unit_roundoff
from rnnimpl.interface import NumpyArray, layer_weight_names
from tests.engines import ordinary

TESTS = Path(__file__).parent
CASES = ("seed_demo", "odd", "one_layer")

IMPLEMENTATIONS = ordinary()


@pytest.fixture(params=IMPLEMENTATIONS)
def implementation(request: pytest.FixtureRequest) -> type[Rnn[Any]]:
    """Each implementation's class in turn."""
    return rnnimpl.load(request.param)


@pytest.fixture
def recorded() -> Iterator[Any]:
    """Inputs, weights and outputs of the original NumPy program, run unchanged in float64."""
    with np.load(TESTS / "data" / "original_numpy_rnn.npz") as arrays:
        yield arrays


def original_network(recorded: Any, case: str) -> tuple[RnnConfig, Weights]:
    """The config and the weights of one recorded case; the original has no biases."""
    _, _, I = recorded[f"{case}.x"].shape
    L, H, _ = recorded[f"{case}.h"].shape
    config = RnnConfig(input_size=I, hidden_size=H, num_layers=L, bias=False, dtype="float64")
    arrays = {}
    for layer in range(L):
        names = layer_weight_names(layer, 0)
        arrays[names.w_ih] = recorded[f"{case}.w_ih_l{layer}"]
        arrays[names.w_hh] = recorded[f"{case}.w_hh_l{layer}"]
    return config, Weights(config, arrays)


def random_network(bidirectional: bool = False) -> tuple[RnnConfig, Weights, NumpyArray]:
    """A network of two layers with biases, and x (T, B, I), of sizes that all differ."""
    config = RnnConfig(input_size=3, hidden_size=5, num_layers=2, bidirectional=bidirectional, dtype="float64")
    return config, Weights.init(config, seed=0), np.random.default_rng(1).standard_normal((7, 4, 3))


def outputs(rnn: Rnn[Any], x: NumpyArray) -> tuple[NumpyArray, NumpyArray]:
    """y and h_n of inference."""
    y, (h_n,) = rnn.forward(rnn.from_numpy(x))
    return rnn.to_numpy(y), rnn.to_numpy(h_n)


class OriginalTorchRnn:
    """The original's PyTorch variant, statement for statement where its faults come from.

    `generator` stands for NumPy's global one, so that a test can repeat the draw.
    """

    def __init__(
        self,
        hidden_size: int,
        num_layers: int,
        bidirectional: bool = False,
        generator: np.random.Generator | None = None,
    ) -> None:
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        self.generator = generator or np.random.default_rng()

    def forward(self, array: NumpyArray) -> tuple[torch.Tensor, torch.Tensor]:
        """x (T, B, I) -> out (T, H, B), hidden (L, H, B)."""
        H, L = self.hidden_size, self.num_layers
        x = torch.from_numpy(array)
        # One tensor for all layers. In the NumPy variant this is a list, and hidden[i] = ... names a new array.
        hidden = torch.tensor(np.zeros((L, H, x.shape[1])))
        w_ih_0 = torch.tensor(self.generator.random((H, x.shape[2])), requires_grad=True)
        w_ih = torch.tensor(self.generator.random((L - 1, H, H)), requires_grad=True)
        w_hh = torch.tensor(self.generator.random((L, H, H)), requires_grad=True)
        out = []
        for t in range(x.shape[0]):
            hidden[0] = torch.tanh(w_ih_0 @ x[t].T + w_hh[0] @ hidden[0])
            for i in range(1, L):
                hidden[i] = torch.tanh(w_ih[i - 1] @ hidden[i - 1] + w_hh[i] @ hidden[i])
            out.append(hidden[L - 1])
        return torch.stack(out), hidden


def original_sigmoid(x: NumpyArray) -> NumpyArray:
    """The original's formula."""
    result: NumpyArray = 1.0 / (1.0 + 1.0 / np.exp(x))
    return result


@pytest.mark.parametrize("case", CASES)
def test_outputs_are_those_of_the_original_numpy_program(
    implementation: type[Rnn[Any]], recorded: Any, case: str
) -> None:
    """With the original's weights, outputs and final states are the original's up to the order of its sums."""
    config, weights = original_network(recorded, case)
    rnn = implementation(config, weights, "cpu")
    x = recorded[f"{case}.x"]

    y, h_n = outputs(rnn, x)

    # A sum a of n = I + H products is rounded with an error of at most n u |a|, since no term is negative here,
    # and tanh passes on less than half of it, as |a| tanh'(a) < 0.45. Every step and layer adds such an error
    # to those before, which shrink: with sums well above 1, tanh is flat.
    T = x.shape[0]
    tolerance = T * config.num_layers * (config.input_size + config.hidden_size) * unit_roundoff("float64")
    # The original puts hidden units before the batch: out (T, H, B) and h (L, H, B).
    np.testing.assert_allclose(y, recorded[f"{case}.out"].transpose(0, 2, 1), rtol=0, atol=tolerance)
    np.testing.assert_allclose(h_n, recorded[f"{case}.h"].transpose(0, 2, 1), rtol=0, atol=tolerance)


@pytest.mark.parametrize("num_layers", [1, 4])
def test_the_original_torch_variant_returned_the_last_step_for_every_step(num_layers: int) -> None:
    """It stacks views of one buffer that each step overwrites: six steps, six times the last state."""
    out, hidden = OriginalTorchRnn(5, num_layers).forward(np.random.default_rng(0).random((6, 2, 1)))

    assert all(torch.equal(step, hidden[-1]) for step in out)


@pytest.mark.parametrize("num_steps", [1, 6])
@pytest.mark.parametrize("num_layers", [1, 4])
def test_the_original_torch_variant_could_not_be_differentiated(num_layers: int, num_steps: int) -> None:
    """The product with w_hh keeps the state it read for its gradient, and the write in place destroys it."""
    out, _ = OriginalTorchRnn(5, num_layers).forward(np.random.default_rng(0).random((num_steps, 2, 1)))

    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.sum().backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped


def test_the_original_torch_variant_ignored_bidirectional() -> None:
    """With bidirectional=True it returns the very same H features."""
    x = np.random.default_rng(0).random((6, 2, 1))

    one_way, _ = OriginalTorchRnn(5, 2, bidirectional=False, generator=np.random.default_rng(1)).forward(x)
    two_ways, _ = OriginalTorchRnn(5, 2, bidirectional=True, generator=np.random.default_rng(1)).forward(x)

    assert two_ways.shape == (6, 5, 2)
    assert torch.equal(one_way, two_ways)


def test_the_original_torch_variant_drew_new_weights_at_every_call() -> None:
    """Two calls of one network on one input differ: no weight outlives a call, so none can be learned."""
    rnn = OriginalTorchRnn(5, 2, generator=np.random.default_rng(1))
    x = np.random.default_rng(0).random((6, 2, 1))

    first, _ = rnn.forward(x)
    second, _ = rnn.forward(x)

    assert not torch.equal(first, second)


def test_the_original_sigmoid_divided_by_zero() -> None:
    """Below about -745 exp(x) is 0 in float64, and the formula divides by it: the result is right, with a warning."""
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        assert original_sigmoid(np.array([-800.0])) == 0.0


def test_every_step_has_its_own_output(implementation: type[Rnn[Any]]) -> None:
    """Outputs of successive steps differ, and the last is the final state of the last layer."""
    config, weights, x = random_network()
    rnn = implementation(config, weights, "cpu")

    y, h_n = outputs(rnn, x)

    assert all(np.abs(after - before).max() > 0.01 for before, after in itertools.pairwise(y))
    np.testing.assert_array_equal(y[-1], h_n[-1])


@pytest.mark.parametrize("bidirectional", [False, True])
def test_every_weight_has_a_gradient(implementation: type[Rnn[Any]], bidirectional: bool) -> None:
    """Going back through all steps works, and every element of every weight gets a finite gradient that is not 0."""
    config, weights, x = random_network(bidirectional)
    rnn = implementation(config, weights, "cpu")
    generator = np.random.default_rng(2)

    y, (h_n,), pullback = rnn.vjp(rnn.from_numpy(x))
    dy = generator.standard_normal(rnn.to_numpy(y).shape)
    dh_n = generator.standard_normal(rnn.to_numpy(h_n).shape)
    grads = pullback(rnn.from_numpy(dy), (rnn.from_numpy(dh_n),))

    assert list(grads.weights) == list(config.weight_shapes())
    for name, shape in config.weight_shapes().items():
        gradient = rnn.to_numpy(grads.weights[name])
        assert gradient.shape == shape
        assert np.isfinite(gradient).all(), name
        assert (gradient != 0).all(), name


def test_bidirectional_reads_the_sequence_both_ways(implementation: type[Rnn[Any]]) -> None:
    """Half of the 2H features are a network on x, half are one with the reverse weights on x back to front."""
    _, weights, x = random_network(bidirectional=True)
    one_layer = RnnConfig(input_size=3, hidden_size=5, bidirectional=True, dtype="float64")
    one_way = RnnConfig(input_size=3, hidden_size=5, dtype="float64")
    forward_names, reverse_names = layer_weight_names(0, 0), layer_weight_names(0, 1)
    first_layer = {name: weights.arrays[name] for name in one_layer.weight_shapes()}
    forward_weights = {name: weights.arrays[name] for name in forward_names}
    reverse_weights = {
        name: weights.arrays[reverse] for name, reverse in zip(forward_names, reverse_names, strict=True)
    }

    def output(config: RnnConfig, arrays: dict[str, NumpyArray], x: NumpyArray) -> NumpyArray:
        return outputs(implementation(config, Weights(config, arrays), "cpu"), x)[0]

    both = output(one_layer, first_layer, x)

    assert both.shape == (7, 4, 2 * 5)
    # Ten roundings a sum and seven steps; |w_hh| is at most 1/sqrt(5), so that errors do not grow by much.
    tolerance = 100 * unit_roundoff("float64")
    onward = output(one_way, forward_weights, x)
    backward = output(one_way, reverse_weights, x[::-1].copy())[::-1]
    np.testing.assert_allclose(both[:, :, :5], onward, rtol=0, atol=tolerance)
    np.testing.assert_allclose(both[:, :, 5:], backward, rtol=0, atol=tolerance)


def test_weights_are_fixed_when_the_network_is_built(implementation: type[Rnn[Any]]) -> None:
    """Two calls of one network, and a second network built from the same weights, give equal outputs."""
    config, weights, x = random_network()
    rnn, twin = implementation(config, weights, "cpu"), implementation(config, weights, "cpu")

    first = rnn.to_numpy(rnn.forward(rnn.from_numpy(x))[0])
    second = rnn.to_numpy(rnn.forward(rnn.from_numpy(x))[0])
    third = twin.to_numpy(twin.forward(twin.from_numpy(x))[0])

    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first, third)


def test_the_page_names_tests_that_exist() -> None:
    """Every row of the table in docs/original.md names a test, and each one named is in the file named."""
    page = (TESTS.parent / "docs" / "original.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| ")][1:]

    assert rows
    for row in rows:
        named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", row)
        assert named, f"no test is named in: {row}"
        for file, test in named:
            assert f"\ndef {test}(" in (TESTS / file).read_text(encoding="utf-8"), f"{file} has no {test}"
