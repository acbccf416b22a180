"""The recurrent layers of a user's model are found, whatever it comes as, and what is left out has its reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import rnnimpl
from benchmarks.models import modules
from benchmarks.models.calls import measure, run_once
from benchmarks.models.layers import CannotCall, Found
from benchmarks.models.source import Source
from benchmarks.models.worker import ModelBench
from rnnimpl.interface import RnnConfig, Unsupported
from tests import onnx_models
from tests.example_models import MODELS, CharacterLanguageModel, Policy, Tagger

SMALL = {"hidden": 6}
T, B = 7, 3


class Model(nn.Module):
    """A model of several recurrent layers."""

    def __init__(self, **layers: nn.Module) -> None:
        super().__init__()
        for name, layer in layers.items():
            setattr(self, name, layer)


def of_file(path: Path) -> Found:
    """The layers that a file is found to have."""
    return ModelBench().find(Source.parse(str(path)))


CONFIGS: tuple[tuple[nn.RNNBase, RnnConfig], ...] = (
    (nn.LSTM(3, 4), RnnConfig(input_size=3, hidden_size=4, cell="lstm")),
    (nn.GRU(3, 4, 2, bias=False), RnnConfig(input_size=3, hidden_size=4, num_layers=2, cell="gru", bias=False)),
    (
        nn.RNN(3, 4, 2, bidirectional=True, dtype=torch.float64),
        RnnConfig(input_size=3, hidden_size=4, num_layers=2, bidirectional=True, dtype="float64"),
    ),
)


@pytest.mark.parametrize(("module", "config"), CONFIGS)
@pytest.mark.parametrize("ending", ["pt", "safetensors", "checkpoint.pt"])
def test_a_state_dict_has_the_layers_of_its_modules(
    tmp_path: Path, module: nn.RNNBase, config: RnnConfig, ending: str
) -> None:
    """The config is that of the module, in a state dict or a checkpoint that holds one beside others."""
    state_dict = {f"encoder.rnn.{name}": value for name, value in module.state_dict().items()}
    path = tmp_path / f"model.{ending}"
    if ending == "safetensors":
        pytest.importorskip("safetensors.torch").save_file(state_dict, path)
    else:
        optimizer = {"state": {0: {"step": torch.zeros(1)}}, "param_groups": [{"lr": 0.1}]}
        torch.save({"optimizer": optimizer, "model": state_dict} if ending.startswith("check") else state_dict, path)
    found = of_file(path)
    assert [(layer.name, layer.config) for layer in found.layers] == [("encoder.rnn", config)]
    assert found.within == (("model",) if ending.startswith("check") else ())


@pytest.mark.parametrize(("module", "config"), CONFIGS)
def test_a_module_has_the_layers_that_its_state_dict_has(module: nn.RNNBase, config: RnnConfig) -> None:
    (layer,) = modules.find_layers(Model(rnn=module)).layers
    assert (layer.name, layer.config) == ("rnn", config)
    assert eval(layer.described, {"nn": nn, "torch": torch}).state_dict().keys() == module.state_dict().keys()  # noqa: S307  # ours


def test_weights_that_are_computed_from_others_have_the_shapes_of_these(tmp_path: Path) -> None:
    """Weight norm's two parts of a weight are one weight."""
    module = nn.LSTM(3, 4)
    nn.utils.parametrizations.weight_norm(module, "weight_hh_l0")
    torch.save(module.state_dict(), tmp_path / "model.pt")
    (layer,) = of_file(tmp_path / "model.pt").layers
    assert layer.config == RnnConfig(input_size=3, hidden_size=4, cell="lstm")


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (nn.LSTM(3, 4, proj_size=2), "an LSTM with projections (proj_size=2)"),
        (nn.LSTMCell(3, 4), "an LSTMCell, which computes one step a call"),
        (nn.GRUCell(3, 4), "a GRUCell, which computes one step a call"),
    ],
)
def test_what_is_left_out_has_its_reason(tmp_path: Path, module: nn.Module, reason: str) -> None:
    """The reason is the same for a module and for its state dict, and the other layer is found."""
    model = Model(odd=module, rnn=nn.GRU(3, 4))
    torch.save(model.state_dict(), tmp_path / "model.pt")
    for found in (modules.find_layers(model), of_file(tmp_path / "model.pt")):
        assert [layer.name for layer in found.layers] == ["rnn"]
        assert [each.name for each in found.left_out] == ["odd"]
        assert reason.removeprefix("an ").removeprefix("a ") in found.left_out[0].reason


@pytest.mark.parametrize(
    "module", [nn.RNN(3, 4), nn.LSTM(3, 4, 2, bidirectional=True), nn.GRU(3, 4, 2), nn.GRU(3, 4, bidirectional=True)]
)
def test_an_onnx_file_computes_what_its_module_does(tmp_path: Path, module: nn.RNNBase) -> None:
    """Nodes one after another are the layers of one network, and its weights are in PyTorch's order."""
    pytest.importorskip("onnx")
    from rnnimpl.onnx_file import read_network

    onnx_models.write(tmp_path / "model.onnx", module)
    (layer,) = of_file(tmp_path / "model.onnx").layers
    config, weights = read_network(tmp_path / "model.onnx")
    assert layer.config == config == modules.find_layers(module).layers[0].config
    x = torch.randn(T, B, 3)
    y, _ = rnnimpl.load("numpy_loop")(config, weights, "cpu").forward(x.numpy())
    np.testing.assert_allclose(y, module(x)[0].detach().numpy(), atol=1e-6)


def test_networks_of_other_sizes_are_not_joined(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    onnx_models.write(tmp_path / "model.onnx", nn.LSTM(3, 4), nn.LSTM(4, 5))
    assert [layer.config.hidden_size for layer in of_file(tmp_path / "model.onnx").layers] == [4, 5]


@pytest.mark.parametrize(
    ("module", "attributes", "reason"),
    [
        (nn.GRU(3, 4), {"linear_before_reset": 0}, "GRU has linear_before_reset=0"),
        (nn.LSTM(3, 4), {"clip": 3.0}, "LSTM clips its gates (clip=3)"),
        (nn.LSTM(3, 4), {"input_forget": 1}, "LSTM couples its input and forget gates"),
        (nn.LSTM(3, 4), {"direction": "reverse"}, "LSTM runs backwards alone"),
        (nn.RNN(3, 4), {"activations": ["Softsign"]}, "RNN has the activations Softsign"),
    ],
)
def test_an_onnx_node_that_computes_another_function_is_left_out(
    tmp_path: Path, module: nn.RNNBase, attributes: dict[str, Any], reason: str
) -> None:
    pytest.importorskip("onnx")
    onnx_models.write(tmp_path / "model.onnx", module, **attributes)
    found = of_file(tmp_path / "model.onnx")
    assert not found.layers
    assert reason in found.left_out[0].reason


@pytest.mark.parametrize("factory", MODELS)
def test_the_layers_of_a_model_are_called_with_its_input(factory: type[nn.Module]) -> None:
    """T and B are those that each layer gets, also with `batch_first` and packed; a policy has one step."""
    model = factory(**SMALL).eval()
    names = [layer.name for layer in modules.find_layers(model).layers]
    steps = 1 if factory is Policy else T
    _, calls = run_once(model, names, T, B, None)
    assert [(call.layer, call.T, call.B) for call in calls] == [("rnn", steps, B)]


@pytest.mark.parametrize(
    ("model", "I"),
    [
        (nn.Sequential(nn.Embedding(9, 3), nn.LSTM(3, 4)), None),
        (nn.Sequential(nn.Linear(5, 3), nn.LSTM(3, 4, batch_first=True)), 5),
        (nn.GRU(3, 4), None),
    ],
)
def test_an_input_is_guessed_from_the_first_layer(model: nn.Module, I: int | None) -> None:
    names = [layer.name for layer in modules.find_layers(model).layers]
    _, calls = run_once(model, names, T, B, I)
    assert [(call.T, call.B) for call in calls] == [(T, B)]


@pytest.mark.parametrize(
    ("model", "I", "problem"),
    [
        (nn.Sequential(nn.Embedding(9, 3), nn.LSTM(3, 4)), 3, "begins with an embedding, which takes token numbers"),
        (nn.Sequential(nn.Linear(5, 3), nn.LSTM(3, 4)), 3, "begins with Linear, which takes 5 features"),
        (nn.Sequential(nn.Linear(5, 2), nn.LSTM(3, 4)), None, "cannot be called with float32 of shape"),
        (nn.Sequential(nn.Conv2d(1, 3, 3), nn.LSTM(3, 4)), None, "give the model a method example_inputs(T, B)"),
    ],
)
def test_why_a_model_cannot_be_called_is_said(model: nn.Module, I: int | None, problem: str) -> None:
    names = [layer.name for layer in modules.find_layers(model).layers]
    with pytest.raises((CannotCall, Unsupported)) as raised:
        run_once(model, names, T, B, I)
    assert problem in str(raised.value)


@pytest.mark.parametrize("trains", [False, True])
@pytest.mark.parametrize("factory", [CharacterLanguageModel, Tagger])
def test_the_time_of_the_layers_is_part_of_the_models(factory: type[nn.Module], trains: bool) -> None:
    """By a clock that passes 4 s in the model and 1 s in its layer, the share of the layer is a fifth."""
    now = 0.0

    def passes(seconds: float) -> Callable[..., None]:
        def hook(*_: object) -> None:
            nonlocal now
            now += seconds

        return hook

    model = factory(**SMALL)
    arguments, calls = run_once(model, ["rnn"], T, B, None)
    model.register_forward_hook(passes(4.0))
    model.get_submodule("rnn").register_forward_hook(passes(1.0))
    times = measure(model, arguments, calls, trains=trains, seconds=0.0, clock=lambda: now)
    assert set(times.whole) == {5.0}
    assert set(times.layers) == {1.0}
    assert len(times.whole) == len(times.layers)


def test_gradients_are_part_of_training() -> None:
    """Every call of the model, and of its layers, has a backward pass."""
    model = Tagger(**SMALL)
    arguments, calls = run_once(model, ["rnn"], T, B, None)
    passes = {"forward": 0, "backward": 0}
    model.rnn.register_forward_hook(lambda *_: passes.update(forward=passes["forward"] + 1))
    hook: Any = model.get_parameter("rnn.weight_hh_l0").register_hook
    hook(lambda _: passes.update(backward=passes["backward"] + 1))
    measure(model, arguments, calls, trains=True, seconds=0.0)
    assert passes["forward"] == passes["backward"] > 0
