"""Packed sequences in a model: computed by the kernels, with the results and gradients of `torch.nn`."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import pytest
import torch
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from rnnimpl.torch.obstacles import FallbackWarning
from tests.fused_kernels import skip_without_kernels
from tests.torch_twins import NAMES, state_argument, twins

skip_without_kernels()

I, H, L = 5, 7, 2
LENGTHS = (4, 9, 1, 6)
"""In no order, and none as long as the padded array."""


def inputs(name: str, D: int = 1, T: int = 11) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
    """x (T, B, I) and a state (L*D, B, H)."""
    torch.manual_seed(2)
    states = 2 if name == "LSTM" else 1
    return torch.randn(T, len(LENGTHS), I), tuple(torch.randn(L * D, len(LENGTHS), H) for _ in range(states))


def results(
    module: Any, packed: PackedSequence, state: tuple[torch.Tensor, ...], x: torch.Tensor
) -> list[torch.Tensor]:
    """The packed output, the final state, and the gradients of x, the state and all weights."""
    torch.manual_seed(1)
    with warnings.catch_warnings():
        warnings.simplefilter("error", FallbackWarning)
        y, last = module(packed, state_argument(state))
    assert isinstance(y, PackedSequence)
    outputs = [y.data, *(last if isinstance(last, tuple) else (last,))]
    loss = sum(((output + torch.arange(output.numel()).view(output.shape).sin()) ** 2).sum() for output in outputs)
    assert isinstance(loss, torch.Tensor)
    order = [y.batch_sizes, y.sorted_indices, y.unsorted_indices]
    return outputs + order + list(torch.autograd.grad(loss, [x, *state, *module.parameters()]))


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("given_state", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_results_and_gradients_of_packed_sequences(name: str, given_state: bool, bidirectional: bool) -> None:
    """The order of the sequences stays, also that of a state, and no warning says that torch.nn computed it."""
    theirs, ours = twins(name, I, H, L, bidirectional=bidirectional)
    found = []
    for module in (ours, theirs):
        x, state = inputs(name, 1 + bidirectional)
        x, state = x.requires_grad_(), tuple(tensor.requires_grad_() for tensor in state if given_state)
        packed = pack_padded_sequence(x, torch.tensor(LENGTHS), enforce_sorted=False)
        found.append(results(module, packed, state, x))
    torch.testing.assert_close(*found)


@pytest.mark.parametrize("batch_first", [False, True])
def test_sorted_sequences(batch_first: bool) -> None:
    """What is packed sorted has no order of its own; a module with `batch_first` takes the same packed data."""
    theirs, ours = twins("GRU", I, H, L, batch_first=batch_first)
    x, _ = inputs("GRU")
    packed = pack_padded_sequence(x, torch.tensor((9, 6, 6, 1)))
    for module in (ours, theirs):
        assert module(packed)[0].sorted_indices is None
    torch.testing.assert_close(ours(packed)[0].data, theirs(packed)[0].data)


def test_a_seed_gives_the_dropout_of_torch_nn_in_packed_sequences() -> None:
    """Dropout between layers is drawn for the valid steps alone."""
    theirs, ours = twins("LSTM", I, H, L, dropout=0.5)
    found = []
    for module in (ours, theirs):
        x = inputs("LSTM")[0].requires_grad_()
        found.append(results(module, pack_padded_sequence(x, torch.tensor(LENGTHS), enforce_sorted=False), (), x))
    torch.testing.assert_close(*found)


def test_gradients_of_some_arrays_of_packed_sequences() -> None:
    """Those of the input alone, of some weights, and of a result that is the only one used."""
    theirs, ours = twins("LSTM", I, H, L, bidirectional=True)
    of_input, of_weights, of_c_n = [], [], []
    for module in (ours, theirs):
        x = inputs("LSTM")[0]
        module.requires_grad_(False)
        leaf = x.clone().requires_grad_()
        packed = pack_padded_sequence(leaf, torch.tensor(LENGTHS), enforce_sorted=False)
        of_input.append(torch.autograd.grad(module(packed)[0].data.square().sum(), leaf)[0])
        module.weight_hh_l0.requires_grad_(True)
        packed = pack_padded_sequence(x, torch.tensor(LENGTHS), enforce_sorted=False)
        of_weights.append(torch.autograd.grad(module(packed)[0].data.square().sum(), module.weight_hh_l0)[0])
        of_c_n.append(torch.autograd.grad(module(packed)[1][1].square().sum(), module.weight_hh_l0)[0])
    torch.testing.assert_close(*of_input)
    torch.testing.assert_close(*of_weights)
    torch.testing.assert_close(*of_c_n)
    assert not of_input[0][9:].any()


def test_lengths_of_an_operator_are_checked() -> None:
    """The operator refuses lengths that do not fit: the kernels would write beyond the ends of arrays."""
    _, ours = twins("RNN", I, H)
    x, weights = torch.randn(4, 2, I), list(ours.parameters())
    for lengths, said in (
        ((5, 1), r"lengths\[0\] is 5"),
        ((1,), "there are 1 lengths"),
        ((0, 1), r"lengths\[0\] is 0"),
    ):
        with pytest.raises(ValueError, match=said):
            torch.ops.rnnimpl.fused_rnn(x, None, None, weights, "tanh", 1, False, False, lengths)
    packed = torch.randn(5, I)
    for lengths in ((3, 3), (2, 3), (4,), (6,)):
        with pytest.raises(ValueError, match=r"lengths"):
            torch.ops.rnnimpl.fused_rnn(packed, None, None, weights, "tanh", 1, False, False, lengths)
    y, h_n, _, _ = torch.ops.rnnimpl.fused_rnn(x, None, None, weights, "tanh", 1, False, False, (3, 4))
    assert not y[3, 0].any()
    torch.testing.assert_close(h_n[0, 0], y[2, 0])


@pytest.mark.parametrize("wrong", ["input size", "state"])
def test_what_torch_nn_refuses_of_packed_sequences_is_refused_in_its_words(wrong: str) -> None:
    theirs, ours = twins("GRU", I, H, L)
    x, state = inputs("GRU")
    x = x[:, :, 1:] if wrong == "input size" else x
    h0 = state[0][:1] if wrong == "state" else state[0]
    packed = pack_padded_sequence(x, torch.tensor(LENGTHS), enforce_sorted=False)
    said = []
    for module in (ours, theirs):
        with pytest.raises(RuntimeError) as error:
            module(packed, h0)
        said.append(str(error.value))
    assert said[0] == said[1]


def test_a_pickled_model_takes_packed_sequences() -> None:
    _, ours = twins("LSTM", I, H, L)
    x, _ = inputs("LSTM")
    packed = pack_padded_sequence(x, torch.tensor(LENGTHS), enforce_sorted=False)
    copied = pickle.loads(pickle.dumps(ours))  # noqa: S301  # its own output
    with torch.no_grad():
        expected, found = (pad_packed_sequence(module(packed)[0])[0] for module in (ours, copied))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("cell", ["tanh", "lstm"])
def test_gradients_of_packed_data_agree_with_differences(cell: str) -> None:
    """The operator's own gradient, and its shapes without data, of a packed x."""
    torch.manual_seed(0)
    rows = 4 if cell == "lstm" else 1

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(shape, dtype=torch.float64, requires_grad=True)

    h0, c0 = draw(2, 3, 2), draw(2, 3, 2) if cell == "lstm" else None
    weights = [draw(*shape) for _ in range(2) for shape in ((rows * 2, 3), (rows * 2, 2), (rows * 2,), (rows * 2,))]
    x, lengths = draw(7, 3), (4, 2, 1)

    def outputs(x: torch.Tensor, h0: torch.Tensor, c0: torch.Tensor | None, *weights: torch.Tensor) -> Any:
        y, h_n, c_n, _ = torch.ops.rnnimpl.fused_rnn(x, h0, c0, weights, cell, 1, True, False, lengths)
        return (y, h_n, c_n) if cell == "lstm" else (y, h_n)

    inputs: Any = (x, h0, c0, *weights)
    assert torch.autograd.gradcheck(outputs, inputs)
    given: Any = (x, h0, c0, weights, cell, 1, True, False, lengths)
    checks = ["test_schema", "test_autograd_registration", "test_faketensor"]
    torch.library.opcheck(torch.ops.rnnimpl.fused_rnn.default, given, test_utils=checks)
