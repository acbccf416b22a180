"""A network's config and weights: those of PyTorch's modules move in and out, and wrong values are named."""

from __future__ import annotations

import copy
import dataclasses
import functools
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from rnnimpl import RnnConfig, Weights
from rnnimpl.cells import CELLS
from rnnimpl.dtypes import DTYPES, Dtype, carrier
from rnnimpl.interface import CELL_NAMES, CellName

CONFIG = RnnConfig(input_size=3, hidden_size=4, num_layers=2, bidirectional=True)
MODULES: dict[CellName, Callable[..., torch.nn.RNNBase]] = {
    "tanh": torch.nn.RNN,
    "relu": functools.partial(torch.nn.RNN, nonlinearity="relu"),
    "lstm": torch.nn.LSTM,
    "gru": torch.nn.GRU,
}


def make_module(config: RnnConfig) -> torch.nn.RNNBase:
    """The nn.RNN, nn.LSTM or nn.GRU of a config."""
    return MODULES[config.cell](
        config.input_size,
        config.hidden_size,
        config.num_layers,
        bias=config.bias,
        bidirectional=config.bidirectional,
        dtype=getattr(torch, config.dtype),
    )


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("num_layers", [1, 3])
@pytest.mark.parametrize("cell", MODULES)
def test_weight_names_order_and_shapes_are_those_of_torch(
    cell: CellName, num_layers: int, bidirectional: bool, bias: bool
) -> None:
    config = RnnConfig(
        input_size=3, hidden_size=4, num_layers=num_layers, cell=cell, bidirectional=bidirectional, bias=bias
    )
    theirs = {name: tuple(parameter.shape) for name, parameter in make_module(config).named_parameters()}
    assert list(config.weight_shapes().items()) == list(theirs.items())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("cell", MODULES)
def test_a_state_dict_goes_in_and_out_unchanged(cell: CellName, dtype: Dtype) -> None:
    """Weights are equal to the bit, in bfloat16 too, which NumPy does not have."""
    config = dataclasses.replace(CONFIG, cell=cell, dtype=dtype)
    module = make_module(config)
    weights = Weights.from_state_dict(config, module.state_dict())
    other = make_module(config)
    other.load_state_dict({name: torch.as_tensor(array) for name, array in weights.state_dict().items()})
    for name, parameter in module.state_dict().items():
        assert torch.equal(parameter, other.state_dict()[name]), name
        assert weights.arrays[name].dtype == carrier(dtype)


def test_a_state_dict_is_rounded_to_the_configs_dtype() -> None:
    """float64 weights are rounded for a bfloat16 network as load_state_dict rounds them."""
    wide = dataclasses.replace(CONFIG, dtype="float64")
    narrow = dataclasses.replace(CONFIG, dtype="bfloat16")
    weights = Weights.from_state_dict(narrow, Weights.init(wide, 0).arrays)
    for name, array in Weights.init(wide, 0).arrays.items():
        expected = torch.tensor(array).to(torch.bfloat16).float().numpy()
        np.testing.assert_array_equal(weights.arrays[name], expected)


def test_state_dict_gives_copies_that_can_be_written() -> None:
    weights = Weights.init(CONFIG, 0)
    weights.state_dict()["weight_ih_l0"][:] = 0
    assert weights.arrays["weight_ih_l0"].all()


def test_weights_cannot_be_changed() -> None:
    """Neither an array nor the mapping can be written, and the arrays they were made from are copied."""
    source = Weights.init(CONFIG, 0).state_dict()
    weights = Weights(CONFIG, source)
    source["weight_ih_l0"][:] = 0
    assert weights.arrays["weight_ih_l0"].all()
    with pytest.raises(ValueError, match="read-only"):
        weights.arrays["weight_ih_l0"][:] = 0
    with pytest.raises(TypeError):
        weights.arrays["weight_ih_l0"] = source["weight_ih_l0"]  # type: ignore[index]  # that is the point


def test_init_is_the_same_for_the_same_seed_and_other_for_another() -> None:
    """Pinned to a value, because runs of other days are compared."""
    first, same, other = (Weights.init(CONFIG, seed) for seed in (0, 0, 1))
    for name, array in first.arrays.items():
        np.testing.assert_array_equal(array, same.arrays[name])
        assert not np.array_equal(array, other.arrays[name])
    assert first.arrays["weight_ih_l0"][0, 0] == pytest.approx(0.13696168, rel=1e-6)


def test_init_is_uniform_as_in_torch() -> None:
    """Weights and biases are uniform on (-1/sqrt(H), 1/sqrt(H)), by the distance of Kolmogorov and Smirnov."""
    config = RnnConfig(input_size=100, hidden_size=100, num_layers=2)
    torch.manual_seed(0)
    drawn = {
        "ours": Weights.init(config, 0).arrays,
        "torch's": Weights.from_state_dict(config, make_module(config).state_dict()).arrays,
    }
    for whose, arrays in drawn.items():
        values = np.sort(np.concatenate([array.ravel() for array in arrays.values()])) / 0.1
        assert values[0] > -1
        assert values[-1] < 1
        uniform = (values + 1) / 2
        assert np.abs(uniform - np.linspace(0, 1, len(values))).max() < 0.01, whose
    assert all(np.abs(array).max() > 0.05 for array in drawn["ours"].values())


@pytest.mark.parametrize("name", ["input_size", "hidden_size", "num_layers"])
@pytest.mark.parametrize("value", [0, -3])
def test_sizes_are_one_or_more(name: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"{name} is {value}; expected 1 or more"):
        dataclasses.replace(CONFIG, **{name: value})  # type: ignore[arg-type]  # by name


@pytest.mark.parametrize(
    ("fields", "error", "said"),
    [
        ({"hidden_size": 2.0}, TypeError, "hidden_size is 2.0; expected a whole number of 1 or more"),
        ({"num_layers": True}, TypeError, "num_layers is True; expected a whole number"),
        ({"bias": 1}, TypeError, "bias is 1; expected True or False"),
        ({"bidirectional": "yes"}, TypeError, "bidirectional is 'yes'; expected True or False"),
        ({"cell": "gelu"}, ValueError, r"cell is 'gelu'; .*Expected one of tanh, relu, lstm, gru"),
        ({"cell": "LSTM"}, ValueError, r"cell is 'LSTM'; did you mean lstm\? Expected one of"),
        ({"cell": "grue"}, ValueError, r"cell is 'grue'; did you mean gru\? Expected one of"),
        ({"cell": 4}, ValueError, "cell is 4; Expected one of"),
        ({"dtype": "int8"}, ValueError, "dtype is 'int8'; expected one of float16, bfloat16, float32, float64"),
    ],
)
def test_a_config_names_the_field_the_value_and_what_is_expected(
    fields: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        dataclasses.replace(CONFIG, **fields)


def without(name: str) -> dict[str, Any]:
    arrays = Weights.init(CONFIG, 0).state_dict()
    del arrays[name]
    return arrays


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        (without("bias_hh_l1"), r"missing \['bias_hh_l1'\], not expected none"),
        (Weights.init(CONFIG, 0).state_dict() | {"w": 0}, r"missing none, not expected \['w'\]"),
        (
            Weights.init(CONFIG, 0).state_dict() | {"weight_ih_l1": np.zeros((4, 4), np.float32)},
            r"weight_ih_l1 has shape \(4, 4\); expected \(4, 8\)",
        ),
        (
            Weights.init(CONFIG, 0).state_dict() | {"bias_ih_l0": np.zeros(4)},
            "bias_ih_l0 has dtype float64; expected float32 .*: Weights.from_state_dict converts",
        ),
    ],
)
def test_weights_that_do_not_fit_say_which(arrays: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Weights(CONFIG, arrays)


@pytest.mark.parametrize("cell", CELL_NAMES)
def test_a_state_has_an_array_for_each_of_the_cells_states(cell: CellName) -> None:
    """A config has the cell's states, and G blocks of H rows."""
    config = dataclasses.replace(CONFIG, cell=cell)
    assert config.state_names == CELLS[cell].states
    assert config.num_gates == len(CELLS[cell].gates)
    assert config.state_shapes(5) == ((4, 5, 4),) * len(config.state_names)


def pickled(weights: Weights) -> Weights:
    copied: Weights = pickle.loads(pickle.dumps(weights))  # noqa: S301  # what it has just written
    return copied


@pytest.mark.parametrize("copier", [copy.copy, copy.deepcopy, pickled])
def test_weights_can_be_copied(copier: Callable[[Weights], Weights]) -> None:
    """The arrays of a copy are read-only, too."""
    weights = Weights.init(CONFIG, 0)
    copied = copier(weights)
    assert copied.config == weights.config
    for name, array in weights.arrays.items():
        np.testing.assert_array_equal(copied.arrays[name], array)
        assert not copied.arrays[name].flags.writeable
