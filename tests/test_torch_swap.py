"""`replace` swaps what it can in a model and says what it left and why; `restore` undoes it."""

from __future__ import annotations

import pytest
import torch

import rnnimpl.torch
from rnnimpl.torch import obstacle, replace, restore
from tests.torch_twins import NAMES


class OwnLstm(torch.nn.LSTM):
    """A class of a user."""


class Model(torch.nn.Module):
    """What can be swapped, and what cannot, within one another."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = torch.nn.ModuleList([torch.nn.GRU(3, 4), torch.nn.Sequential(torch.nn.LSTM(3, 4))])
        self.again = self.encoder[0]
        self.projected = torch.nn.LSTM(3, 4, proj_size=2)
        self.of_half_precision = torch.nn.RNN(3, 4, dtype=torch.float16)
        self.elsewhere = torch.nn.RNN(3, 4, device="meta")
        self.cell = torch.nn.LSTMCell(3, 4)
        self.own = OwnLstm(3, 4)
        self.head = torch.nn.Linear(4, 4)


REASONS = {
    "projected": "proj_size = 2",
    "of_half_precision": "float16",
    "elsewhere": "device meta",
    "cell": "LSTMCell computes one step",
    "own": "OwnLstm is a class of its own",
}


def test_replace_swaps_and_names_what_it_left() -> None:
    model = Model()
    weights = {name: weight.data_ptr() for name, weight in model.named_parameters()}
    modules = list(model.modules())
    done = replace(model)
    assert done.swapped == ("encoder.0", "encoder.1.0")
    assert isinstance(model.encoder[0], rnnimpl.torch.GRU)
    assert model.again is model.encoder[0]
    assert done.left.keys() == REASONS.keys()
    for name, reason in REASONS.items():
        assert reason in done.left[name]
        assert f"left {name}: {done.left[name]}" in str(done)
    assert all(before is after for before, after in zip(modules, model.modules(), strict=True))
    assert {name: weight.data_ptr() for name, weight in model.named_parameters()} == weights


def test_restore_undoes_it() -> None:
    model = Model()
    before = [type(module) for module in model.modules()]
    replace(model)
    assert restore(model) == ("encoder.0", "encoder.1.0")
    assert [type(module) for module in model.modules()] == before
    assert restore(model) == ()


def test_a_second_replace_has_nothing_to_do() -> None:
    model = Model()
    replace(model)
    assert replace(model).swapped == ()


def test_a_model_without_recurrent_modules() -> None:
    assert str(replace(torch.nn.Linear(2, 2))) == "the model has no recurrent module"


@pytest.mark.parametrize("name", NAMES)
def test_a_model_that_is_the_module(name: str) -> None:
    """The object stays what it was, in its mode and with its hooks."""
    module = getattr(torch.nn, name)(3, 4).eval()
    called = []
    module.register_forward_hook(lambda *_: called.append(1))
    assert str(replace(module)) == "swapped the model itself"
    assert type(module) is getattr(rnnimpl.torch, name)
    module(torch.zeros(2, 1, 3))
    assert called == [1]
    assert not module.training


def test_an_optimizer_made_before_trains_what_was_swapped() -> None:
    model = torch.nn.GRU(3, 4)
    optimizer = torch.optim.SGD(model.parameters(), 1.0)
    replace(model)
    before = model(torch.ones(2, 1, 3))[0]
    before.sum().backward()
    optimizer.step()
    assert not torch.equal(model(torch.ones(2, 1, 3))[0], before)


def test_obstacle_says_what_replace_would() -> None:
    model = Model()
    assert obstacle(model.encoder[0]) is None
    assert obstacle(rnnimpl.torch.GRU(3, 4)) is None
    assert "Linear is not an RNN" in str(obstacle(model.head))
    for name, reason in REASONS.items():
        assert reason in str(obstacle(model.get_submodule(name)))
