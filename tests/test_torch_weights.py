"""Weights are packed again when, and only when, they changed, whatever changes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.nn.utils import parametrizations, parametrize, weight_norm

import rnnimpl.torch
from rnnimpl.torch import pack_count
from tests.torch_twins import twins

T, B, I, H = 4, 3, 5, 6
X = torch.linspace(-1, 1, T * B * I).view(T, B, I)
OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "SGD": lambda weights: torch.optim.SGD(weights, 0.1),
    "SGD, foreach": lambda weights: torch.optim.SGD(weights, 0.1, momentum=0.9, foreach=True),
    "SGD, fused": lambda weights: torch.optim.SGD(weights, 0.1, fused=True),
    "Adam": lambda weights: torch.optim.Adam(weights, 0.1),
    "Adam, foreach": lambda weights: torch.optim.Adam(weights, 0.1, foreach=True),
    "Adam, fused": lambda weights: torch.optim.Adam(weights, 0.1, fused=True),
    "AdamW, fused": lambda weights: torch.optim.AdamW(weights, 0.1, fused=True),
    "Adagrad, fused": lambda weights: torch.optim.Adagrad(weights, 0.1, fused=True),
    "RMSprop": lambda weights: torch.optim.RMSprop(weights, 0.1),
    "Rprop": lambda weights: torch.optim.Rprop(weights, 0.1),
}


def assert_follows(ours: torch.nn.Module, theirs: torch.nn.Module, packs: int) -> None:
    """Fail unless a call of ours packs so often, another one does not, and both give what theirs does."""
    before = pack_count()
    with torch.no_grad():
        found = ours(X)
        assert pack_count() - before == packs
        again = ours(X)
        assert pack_count() - before == packs
        torch.testing.assert_close([found, again], [theirs(X)] * 2)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps_of_optimizers_are_seen(name: str) -> None:
    """A training step packs once, for its forward and backward pass together, and so does the evaluation after it."""
    theirs, ours = twins("LSTM", I, H)
    optimizers = [OPTIMIZERS[name](list(module.parameters())) for module in (theirs, ours)]
    before = pack_count()
    for _ in range(3):
        for module, optimizer in zip((theirs, ours), optimizers, strict=True):
            optimizer.zero_grad()
            module(X)[0].square().sum().backward()
            optimizer.step()
    assert pack_count() - before == 3
    assert_follows(ours, theirs, packs=1)


def set_data(module: Any) -> None:
    module.weight_hh_l0.data = module.weight_hh_l0.data * 2


def set_parameter(module: Any) -> None:
    module.weight_hh_l0 = torch.nn.Parameter(module.weight_hh_l0.detach() * 2)


def change_in_place(module: Any) -> None:
    with torch.no_grad():
        module.bias_hh_l0[2] += 1


def change_behind_autograd(module: Any) -> None:
    module.weight_hh_l0.data.mul_(0.5)


def change_by_numpy(module: Any) -> None:
    module.weight_ih_l0.detach().numpy()[:] += 1


def change_in_inference_mode(module: Any) -> None:
    with torch.inference_mode():
        module.bias_hh_l0[2] += 1


def initialise(module: Any) -> None:
    torch.manual_seed(4)
    module.reset_parameters()


def load(module: Any) -> None:
    torch.manual_seed(5)
    module.load_state_dict(torch.nn.LSTM(I, H).state_dict())


def assign(module: Any) -> None:
    torch.manual_seed(5)
    module.load_state_dict(torch.nn.LSTM(I, H).state_dict(), assign=True)


def go_and_return(module: Any) -> None:
    module.double().float()


@pytest.mark.parametrize(
    "change",
    [
        set_data,
        set_parameter,
        change_in_place,
        change_behind_autograd,
        change_by_numpy,
        change_in_inference_mode,
        initialise,
        load,
        assign,
        go_and_return,
    ],
)
def test_changes_are_seen(change: Callable[[Any], None]) -> None:
    theirs, ours = twins("LSTM", I, H)
    assert_follows(ours, theirs, packs=1)
    for module in (theirs, ours):
        change(module)
    assert_follows(ours, theirs, packs=1)


def test_evaluation_and_training_pack_once() -> None:
    _, ours = twins("GRU", I, H)
    before = pack_count()
    for _ in range(3):
        ours(X)[0].sum().backward()
        with torch.inference_mode():
            ours.eval()(X)
    assert pack_count() - before == 1


def test_another_number_of_threads_packs_again() -> None:
    """How weights are cut into panels depends on it."""
    theirs, ours = twins("GRU", I, H)
    assert_follows(ours, theirs, packs=1)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(threads + 1)
        assert_follows(ours, theirs, packs=1)
    finally:
        torch.set_num_threads(threads)


def test_weights_in_shared_memory_are_packed_in_every_call() -> None:
    """Another process may have changed them, which no version tells."""
    theirs, ours = twins("GRU", I, H)
    for module in (theirs, ours):
        module.share_memory()
    other = torch.multiprocessing.get_context("fork")
    with torch.no_grad():
        before = ours(X)[0]
        process = other.Process(target=_double, args=(ours.weight_ih_l0,))
        process.start()
        process.join()
        theirs.weight_ih_l0 *= 2
        torch.testing.assert_close(ours(X), theirs(X))
        assert not torch.equal(ours(X)[0], before)


def _double(weight: torch.Tensor) -> None:
    with torch.no_grad():
        weight *= 2


def test_a_changed_weight_is_refused_in_the_backward_pass() -> None:
    """As torch.nn refuses it: the gradient would be that of other weights."""
    _, ours = twins("GRU", I, H)
    loss = ours(X)[0].sum()
    with torch.no_grad():
        ours.weight_hh_l0 *= 2
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@pytest.mark.parametrize("norm", [parametrizations.weight_norm, weight_norm], ids=["parametrization", "hook"])
@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated:FutureWarning")
def test_weight_norm(norm: Callable[[torch.nn.Module, str], torch.nn.Module]) -> None:
    """The weight that is made of direction and length is packed once a call, and learns as that of torch.nn does."""
    made = []
    for module in twins("LSTM", I, H):
        norm(module, "weight_hh_l0")
        optimizer = torch.optim.SGD(module.parameters(), 0.1)
        before = pack_count()
        for _ in range(3):
            optimizer.zero_grad()
            module(X)[0].square().sum().backward()
            optimizer.step()
        made.append((module, pack_count() - before))
    (theirs, none), (ours, packs) = made
    assert (none, packs) == (0, 3)
    torch.testing.assert_close(list(ours.parameters()), list(theirs.parameters()))
    with torch.no_grad():
        torch.testing.assert_close(ours(X), theirs(X))


def test_a_parametrized_module_is_swapped_and_freed_of_it() -> None:
    theirs, _ = twins("LSTM", I, H)
    parametrizations.weight_norm(theirs, "weight_hh_l0")
    expected = theirs(X)
    assert rnnimpl.torch.replace(theirs).swapped == ("",)
    assert isinstance(theirs, rnnimpl.torch.LSTM)
    torch.testing.assert_close(theirs(X), expected)
    parametrize.remove_parametrizations(theirs, "weight_hh_l0")
    assert type(theirs) is rnnimpl.torch.LSTM
    torch.testing.assert_close(theirs(X), expected)
