"""State dicts of real programs are read, or refused with the remedy."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch

from rnnimpl import RnnConfig, Weights
from rnnimpl.interface import NumpyArray

CONFIG = RnnConfig(input_size=4, hidden_size=3)
MODULE = torch.nn.RNN(4, 3)
PLAIN = MODULE.state_dict()


class Model(torch.nn.Module):
    """A model with a recurrent network as a part."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = torch.nn.Embedding(9, 4)
        self.rnn = torch.nn.RNN(4, 3)
        self.decoder = torch.nn.Linear(3, 9)


def prefixed(prefix: str) -> dict[str, Any]:
    return {prefix + name: value for name, value in PLAIN.items()}


def changed(name: str, value: Any) -> dict[str, Any]:
    return {**PLAIN, name: value}


def quantized() -> Any:
    """A quantized tensor, without PyTorch's warning that these are deprecated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.quantize_per_tensor(PLAIN["weight_hh_l0"], 0.1, 0, torch.qint8)


def weight_norm() -> Mapping[str, Any]:
    module: torch.nn.Module = torch.nn.utils.parametrizations.weight_norm(torch.nn.RNN(4, 3), "weight_hh_l0")
    return module.state_dict()


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "encoder.rnn."])
def test_a_prefix_is_named_and_can_be_given(prefix: str) -> None:
    """The prefixes of DataParallel, of torch.compile and of a module in another are named."""
    with pytest.raises(ValueError, match=f"begin with '{prefix}'; pass prefix='{prefix}'"):
        Weights.from_state_dict(CONFIG, prefixed(prefix))
    weights = Weights.from_state_dict(CONFIG, prefixed(prefix), prefix=prefix)
    for name, array in weights.arrays.items():
        np.testing.assert_array_equal(array, PLAIN[name].numpy())


def test_a_part_of_a_model_is_found_by_its_prefix() -> None:
    """Weights of other parts of the model are ignored where a prefix is given."""
    model = Model()
    with pytest.raises(ValueError, match=r"pass prefix='rnn\.'"):
        Weights.from_state_dict(CONFIG, model.state_dict())
    weights = Weights.from_state_dict(CONFIG, model.state_dict(), prefix="rnn.")
    np.testing.assert_array_equal(weights.arrays["weight_hh_l0"], model.state_dict()["rnn.weight_hh_l0"].numpy())


def test_all_prefixes_are_named_where_there_are_several() -> None:
    both = prefixed("encoder.") | prefixed("decoder.")
    with pytest.raises(
        ValueError, match=r"begin with 'encoder\.' and 'decoder\.'; pass prefix='encoder\.' or the other"
    ):
        Weights.from_state_dict(CONFIG, both)


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"epoch": 3, "state_dict": PLAIN}, r"is a checkpoint: the weights are in its 'state_dict'; pass checkpoint\["),
        ({"model": prefixed("module."), "epoch": 3}, r"is a checkpoint: the weights are in its 'model'; pass"),
        ({"epoch": 3, "model": MODULE}, r"'model' is a RNN; pass checkpoint\['model'\]\.state_dict\(\)"),
        (weight_norm(), r"weight_hh_l0 is computed from others: .*remove_parametrizations\(module, 'weight_hh_l0'\)"),
        (
            {f"{name}_v": value for name, value in PLAIN.items()},
            "weight_ih_l0 is computed from others: .*remove_weight",
        ),
        (
            {f"{name}_orig": value for name, value in PLAIN.items()},
            "weight_ih_l0 is computed from others: .*prune.remove",
        ),
        (
            torch.nn.RNNCell(4, 3).state_dict(),
            r"weights of an RNNCell, .* 'weight_ih'; expected 'weight_ih_l0': pass \{name \+ '_l0': value for",
        ),
        (
            torch.nn.LSTM(4, 3).state_dict(),
            r"weights of an LSTM: weight_hh_l0 has shape \(12, 3\), 4\*H rows; "
            r"expected H for cell='tanh': pass cell='lstm' to RnnConfig$",
        ),
        (
            torch.nn.GRU(4, 3).state_dict(),
            r"weights of a GRU: weight_hh_l0 has shape \(9, 3\), 3\*H rows; .*: pass cell='gru' to RnnConfig$",
        ),
        (torch.nn.LSTMCell(4, 3).state_dict(), r"weights of an LSTM: weight_hh has shape \(12, 3\)"),
        (
            {f"lstm.{name}": value for name, value in torch.nn.LSTM(4, 3).state_dict().items()},
            r"weights of an LSTM: lstm\.weight_hh_l0 has shape .*pass cell='lstm' to RnnConfig; "
            r"the names of the weights begin with 'lstm\.'; pass prefix='lstm\.'$",
        ),
        (
            torch.nn.LSTM(4, 3, proj_size=2).state_dict(),
            r"weights of an LSTM with projections: there is 'weight_hr_l0'; none are computed here",
        ),
        ({"kernel": np.ones((4, 3))}, r"missing \['weight_ih_l0', .*not expected \['kernel'\]"),
    ],
    ids=lambda form: form if isinstance(form, str) else "",
)
def test_another_form_is_named_with_the_remedy(form: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Weights.from_state_dict(CONFIG, form)


LSTM = RnnConfig(input_size=4, hidden_size=3, cell="lstm")
GRU = RnnConfig(input_size=4, hidden_size=3, cell="gru")


@pytest.mark.parametrize(
    ("config", "module", "said"),
    [
        (
            LSTM,
            torch.nn.RNN(4, 3),
            r"weights of a plain RNN: weight_hh_l0 has shape \(3, 3\), H rows; expected 4\*H for ",
        ),
        (LSTM, torch.nn.RNN(4, 3), r"for cell='lstm': pass cell='relu' or cell='tanh' to RnnConfig"),
        (LSTM, torch.nn.GRU(4, 3), r"weights of a GRU: .*\(9, 3\), 3\*H rows; expected 4\*H .*: pass cell='gru'"),
        (GRU, torch.nn.LSTM(4, 3), r"weights of an LSTM: .*\(12, 3\), 4\*H rows; expected 3\*H .*: pass cell='lstm'"),
        (
            LSTM,
            torch.nn.LSTMCell(4, 3),
            r"weights of an LSTMCell, whose names have no layer: .*expected 'weight_ih_l0'",
        ),
        (GRU, torch.nn.GRUCell(4, 3), r"weights of a GRUCell, whose names have no layer: .*expected 'weight_ih_l0'"),
    ],
)
def test_weights_of_another_cell_are_named_with_their_cell(
    config: RnnConfig, module: torch.nn.Module, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        Weights.from_state_dict(config, module.state_dict())


@pytest.mark.parametrize(("config", "module"), [(LSTM, torch.nn.LSTM(4, 3)), (GRU, torch.nn.GRU(4, 3))])
def test_the_weights_of_the_cell_are_accepted(config: RnnConfig, module: torch.nn.Module) -> None:
    """The weights of a config with the cell that the message names are read, with and without a prefix."""
    weights = Weights.from_state_dict(config, module.state_dict())
    prefixed = {f"encoder.rnn.{name}": value for name, value in module.state_dict().items()}
    with pytest.raises(ValueError, match=r"^the names of the weights begin with 'encoder\.rnn\.'; pass prefix="):
        Weights.from_state_dict(config, prefixed)
    same = Weights.from_state_dict(config, prefixed, prefix="encoder.rnn.")
    for name, array in weights.arrays.items():
        np.testing.assert_array_equal(array, module.state_dict()[name].numpy())
        np.testing.assert_array_equal(array, same.arrays[name])


def test_of_several_networks_the_prefix_of_the_cells_is_named() -> None:
    """For a model with a plain RNN and an LSTM the message names the prefix of the config's cell."""
    both = prefixed("decoder.") | {f"encoder.{name}": value for name, value in torch.nn.LSTM(4, 3).state_dict().items()}
    for config, prefix in ((CONFIG, "decoder"), (LSTM, "encoder")):
        with pytest.raises(ValueError, match=rf"^the names .* begin with '{prefix}\.'; pass prefix='{prefix}\.'$"):
            Weights.from_state_dict(config, both)


def test_a_prefix_that_no_name_has_is_answered_with_the_names() -> None:
    with pytest.raises(
        ValueError, match=r"prefix is 'rnn\.', which no name begins with; the names are 'weight_ih_l0', "
    ):
        Weights.from_state_dict(CONFIG, PLAIN, prefix="rnn.")


@pytest.mark.parametrize(
    ("form", "said"),
    [
        (MODULE, r"got a RNN; expected its weights by name: pass module\.state_dict\(\)"),
        ("weights.pt", r"got a str; expected a mapping .*torch\.load\(path, weights_only=True\)"),
        (list(PLAIN.values()), "got a list; expected a mapping of names to arrays"),
        ({0: np.ones(3)}, "the mapping has the key 0; expected names"),
        (torch.nn.RNN(4, 3, device="meta").state_dict(), "weight_ih_l0 is on the meta device"),
        (changed("weight_hh_l0", PLAIN["weight_hh_l0"].to_sparse()), r"weight_hh_l0 has layout .*value\.to_dense\(\)"),
        (changed("weight_hh_l0", PLAIN["weight_hh_l0"] * 1j), "weight_hh_l0 has dtype torch.complex64; expected real"),
        (changed("weight_hh_l0", np.ones((3, 3), complex)), "weight_hh_l0 has dtype complex128; expected real"),
        (changed("weight_hh_l0", torch.ones(3, 3, dtype=torch.int8)), "dtype torch.int8; expected floating-point"),
        (changed("weight_hh_l0", np.ones((3, 3), int)), "weight_hh_l0 has dtype int64; expected floating-point"),
        (changed("weight_hh_l0", quantized()), r"weight_hh_l0 is quantized, .*value\.dequantize\(\)"),
        (
            changed("weight_hh_l0", [[1.0], [2.0, 3.0]]),
            "weight_hh_l0 is a list, which NumPy does not convert to an array",
        ),
        (changed("weight_hh_l0", None), "weight_hh_l0 has dtype object; expected floating-point"),
    ],
    ids=lambda form: form if isinstance(form, str) else "",
)
def test_what_holds_no_real_numbers_is_a_type_error(form: Any, said: str) -> None:
    with pytest.raises(TypeError, match=said):
        Weights.from_state_dict(CONFIG, form)


@pytest.mark.parametrize(
    "convert",
    [lambda tensor: tensor.half().float(), lambda tensor: tensor.t().contiguous().t(), lambda tensor: tensor.numpy()],
    ids=["rounded", "transposed in memory", "NumPy"],
)
def test_other_arrays_of_numbers_are_accepted(convert: Any) -> None:
    loaded = Weights.from_state_dict(CONFIG, {name: convert(value) for name, value in PLAIN.items()})
    for name, array in loaded.arrays.items():
        expected: NumpyArray = np.asarray(convert(PLAIN[name]))
        np.testing.assert_array_equal(array, expected)


def test_a_square_weight_of_one_unit_is_no_gated_network() -> None:
    """Three units by three are not the three gates of one unit."""
    for hidden_size in (1, 3, 4):
        config = RnnConfig(input_size=hidden_size, hidden_size=hidden_size)
        module = torch.nn.RNN(hidden_size, hidden_size)
        assert Weights.from_state_dict(config, module.state_dict()).config == config


def test_the_weights_of_a_cell_are_accepted_as_the_message_says() -> None:
    cell = torch.nn.RNNCell(4, 3).state_dict()
    weights = Weights.from_state_dict(CONFIG, {name + "_l0": value for name, value in cell.items()})
    np.testing.assert_array_equal(weights.arrays["weight_hh_l0"], cell["weight_hh"].numpy())
