"""The interface: weights move in and out of nn.RNN, and bad input is answered with what to do about it."""

from __future__ import annotations

import copy
import dataclasses
import functools
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import rnnimpl
from rnnimpl import RnnConfig, Unavailable, Unsupported, Weights
from rnnimpl.cells import CELLS
from rnnimpl.dtypes import DTYPES, Dtype, carrier, round_significand, round_to, unit_roundoff
from rnnimpl.impls.numpy_loop import NumpyLoop
from rnnimpl.interface import CELL_NAMES, CellName
from rnnimpl.registry import listing
from tests.engines import ENGINES

README = Path(__file__).parent.parent / "README.md"
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


def test_weights_of_another_config_are_refused() -> None:
    other = dataclasses.replace(CONFIG, bidirectional=False)
    with pytest.raises(ValueError, match=r"the weights were made for .*bidirectional=False.*; expected .*=True"):
        NumpyLoop(CONFIG, Weights.init(other, 0))


def test_a_device_nobody_knows_is_refused() -> None:
    with pytest.raises(ValueError, match="device is 'tpu'; expected cpu, cuda or cuda:N"):
        NumpyLoop(CONFIG, Weights.init(CONFIG, 0), "tpu")


def test_a_device_that_is_not_the_implementations_is_unsupported() -> None:
    with pytest.raises(Unsupported, match="NumpyLoop runs on cpu; got device 'cuda'"):
        NumpyLoop(CONFIG, Weights.init(CONFIG, 0), "cuda")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
@pytest.mark.parametrize(
    "name", [name for name in rnnimpl.names() if "cuda" in listing(name).unavailable and name not in ENGINES]
)
def test_a_device_that_is_not_there_is_unavailable(name: str) -> None:
    """The class and the list, which does not import it, say that there is no CUDA device."""
    with pytest.raises(Unavailable, match=r"device cuda: torch .*CUDA"):
        rnnimpl.load(name)(CONFIG, Weights.init(CONFIG, 0), "cuda")
    assert "CUDA" in (listing(name).unavailable["cuda"] or "")


@pytest.mark.parametrize(
    ("x", "state", "said"),
    [
        ((4, 3), None, r"x has shape \(4, 3\); expected \(T, B, 3\): input_size is 3"),
        ((7, 4, 5), None, r"x has shape \(7, 4, 5\); expected \(T, B, 3\): input_size is 3"),
        ((0, 4, 3), None, r"x has shape \(0, 4, 3\); expected \(T, B, 3\): T and B are 1 or more"),
        ((7, 0, 3), None, r"x has shape \(7, 0, 3\); expected \(T, B, 3\): T and B are 1 or more"),
        ((7, 5, 3), (2, 5, 4), r"h0 has shape \(2, 5, 4\); expected \(4, 5, 4\): .*num_layers 2, num_directions 2"),
        ((7, 5, 3), (4, 1, 4), r"h0 has shape \(4, 1, 4\); expected \(4, 5, 4\): .*and B of 5"),
    ],
)
@pytest.mark.parametrize("name", ["numpy_loop", "torch_loop"])
def test_wrong_shapes_are_named_with_the_right_ones(
    name: str, x: tuple[int, ...], state: tuple[int, ...] | None, said: str
) -> None:
    rnn = rnnimpl.load(name)(CONFIG, Weights.init(CONFIG, 0))
    given = None if state is None else (rnn.from_numpy(np.ones(state, np.float32)),)
    for call in (rnn.forward, rnn.vjp):
        with pytest.raises(ValueError, match=said):
            call(rnn.from_numpy(np.ones(x, np.float32)), given)


LSTM = RnnConfig(input_size=3, hidden_size=4, cell="lstm")
STATE = np.ones((1, 5, 4), np.float32)


@pytest.mark.parametrize(
    ("config", "state", "error", "said"),
    [
        (LSTM, STATE, TypeError, r"state is a ndarray; expected a tuple \(h0, c0\)"),
        (LSTM, [STATE, STATE], TypeError, r"state is a list; expected a tuple \(h0, c0\)"),
        (LSTM, (STATE,), ValueError, r"state has 1 arrays; expected 2 for cell lstm: \(h0, c0\)"),
        (LSTM, (STATE,) * 3, ValueError, r"state has 3 arrays; expected 2 for cell lstm: \(h0, c0\)"),
        (LSTM, (STATE, STATE[0]), ValueError, r"c0 has shape \(5, 4\); expected \(1, 5, 4\)"),
        (LSTM, (STATE, STATE.astype(int)), TypeError, "c0 has dtype int64; expected float32"),
        (LSTM, (STATE, None), TypeError, "c0 is a NoneType; expected float32"),
        (dataclasses.replace(LSTM, cell="gru"), STATE, TypeError, r"state is a ndarray; expected a tuple \(h0,\)"),
        (dataclasses.replace(LSTM, cell="gru"), (STATE,) * 2, ValueError, r"has 2 arrays; expected 1 for cell gru"),
    ],
)
def test_a_state_of_another_form_is_named_with_the_right_one(
    config: RnnConfig, state: Any, error: type[Exception], said: str
) -> None:
    """Inference, training and the pullback refuse it, the pullback by the names dh_n and dc_n."""
    rnn = NumpyLoop(config, Weights.init(config, 0))
    x = np.ones((7, 5, 3), np.float32)
    for call in (rnn.forward, rnn.vjp):
        with pytest.raises(error, match=said):
            call(x, state)
    y, _, pullback = rnn.vjp(x)
    with pytest.raises(error, match=said.replace("h0", "dh_n").replace("c0", "dc_n").replace("state", "dstate_n")):
        pullback(y, state)


@pytest.mark.parametrize("cell", CELL_NAMES)
def test_a_state_has_an_array_for_each_of_the_cells_states(cell: CellName) -> None:
    """A config has the cell's states, and G blocks of H rows."""
    config = dataclasses.replace(CONFIG, cell=cell)
    assert config.state_names == CELLS[cell].states
    assert config.num_gates == len(CELLS[cell].gates)
    assert config.state_shapes(5) == ((4, 5, 4),) * len(config.state_names)


def test_a_cell_that_is_not_the_implementations_is_unsupported() -> None:
    class Plain(NumpyLoop):
        cells = ("tanh", "relu")

    with pytest.raises(Unsupported, match="Plain computes tanh, relu; got cell 'lstm'"):
        Plain(LSTM, Weights.init(LSTM, 0))


def test_a_wrong_dtype_says_how_to_convert() -> None:
    rnn = NumpyLoop(CONFIG, Weights.init(CONFIG, 0))
    with pytest.raises(TypeError, match=r"has dtype float64; expected float32 .*array.astype\(numpy.float32\)"):
        rnn.from_numpy(np.ones((7, 5, 3)))


@pytest.mark.parametrize("name", ["numpy_loop", "torch_loop"])
@pytest.mark.parametrize(
    ("x", "said"),
    [
        (np.eye(3, dtype=np.int64)[:, None], "x has dtype int64; expected"),
        (np.eye(3, dtype=bool)[:, None], "x has dtype bool; expected"),
        (np.ones((7, 5, 3)), "x has dtype float64; expected"),
        (np.ones((7, 5, 3), ">f4"), "x has dtype >f4; expected"),
        (torch.ones(7, 5, 3, dtype=torch.float64), "x has dtype torch.float64; expected"),
        ([[[1.0, 2.0, 3.0]]], "x is a list; expected"),
    ],
    ids=["int64", "bool", "float64", "other byte order", "a float64 tensor", "a list"],
)
def test_x_of_another_dtype_is_named_with_the_right_one(name: str, x: Any, said: str) -> None:
    """Inference and training refuse every kind of array of another dtype."""
    rnn = rnnimpl.load(name)(CONFIG, Weights.init(CONFIG, 0))
    for call in (rnn.forward, rnn.vjp):
        with pytest.raises(TypeError, match=said):
            call(x)


def test_a_wrong_dtype_in_a_call_says_how_to_convert() -> None:
    rnn = NumpyLoop(CONFIG, Weights.init(CONFIG, 0))
    with pytest.raises(
        TypeError, match=r"x has dtype int64; expected float32 .*: convert it with x.astype\(numpy.float32"
    ):
        rnn.forward(np.ones((7, 5, 3), np.int64))


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


def test_the_readmes_example_runs() -> None:
    """The README's example runs, and its arrays have the shapes of its comments."""
    (code,) = re.findall(r"^```python\n(.*?)^```$", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102  # the page's own code
    assert tuple(names["y"].shape) == (50, 16, 128)
    assert tuple(names["h_n"].shape) == (1, 16, 128)
    assert tuple(names["grads"].x.shape) == (50, 16, 64)


def test_tf32_is_unsupported_unless_an_implementation_has_it() -> None:
    NumpyLoop.configure_process(threads=1, precision="ieee")
    with pytest.raises(Unsupported, match="NumpyLoop computes in ieee precision only; got precision 'tf32'"):
        NumpyLoop.configure_process(threads=1, precision="tf32")


@pytest.mark.parametrize("dtype", DTYPES)
def test_unit_roundoff_is_half_the_distance_from_one_to_the_next(dtype: Dtype) -> None:
    """The unit roundoff is half of torch.finfo's eps."""
    assert unit_roundoff(dtype) == torch.finfo(getattr(torch, dtype)).eps / 2


def test_rounding_to_bfloat16_is_torchs() -> None:
    """Rounding is to nearest, ties to even; infinite beyond the largest number; NaN stays NaN."""
    generator = np.random.default_rng(0)
    patterns = generator.integers(0, 2**32, 100_000, dtype=np.uint32)
    ties = (patterns & np.uint32(0xFFFF0000)) | np.uint32(0x8000)
    values = np.concatenate([patterns, ties]).view(np.float32)
    np.testing.assert_array_equal(round_to(values, "bfloat16"), torch.tensor(values).bfloat16().float().numpy())


def test_rounding_to_all_bits_changes_nothing_that_is_kept() -> None:
    values = np.array([1 + 2**-10, 1 + 2**-11, 1 + 3 * 2**-11, np.inf, np.nan], dtype=np.float32)
    expected = np.array([1 + 2**-10, 1, 1 + 2**-9, np.inf, np.nan], dtype=np.float32)
    np.testing.assert_array_equal(round_significand(values, 10), expected)
