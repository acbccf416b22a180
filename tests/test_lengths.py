"""Sequences of unequal lengths: the reference is right, wrong lengths are named, and who computes no such says so."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import rnnimpl
from rnnimpl import RnnConfig, Unsupported, Weights, reference
from rnnimpl.conformance.examples import Data, Example
from rnnimpl.expectation import is_per_sequence, name_arrays
from rnnimpl.interface import CELL_NAMES, NumpyArray
from rnnimpl.lengths import checked_lengths

EXAMPLES = [
    Example(
        RnnConfig(input_size=3, hidden_size=4, num_layers=2, cell=cell, bidirectional=bidirectional, dtype="float64"),
        T=7,
        B=5,
    )
    for cell, bidirectional in itertools.product(CELL_NAMES, (False, True))
]


def reference_results(example: Example, data: Data, lengths: tuple[int, ...] | None) -> dict[str, NumpyArray]:
    """The reference's results and gradients by name."""
    x, state, dy, dstate_n = data
    return name_arrays(
        example.config, *reference.vjp(example.config, example.weights(), x, state, dy, dstate_n, lengths)
    )


def one_sequence(data: Data, sequence: int, length: int) -> Data:
    """The steps of one sequence, without padding, as a batch of one."""
    part = np.s_[:, sequence : sequence + 1]
    return Data(
        *(data.x[:length][part], tuple(each[part] for each in data.state)),
        *(data.dy[:length][part], tuple(each[part] for each in data.dstate_n)),
    )


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.id)
def test_reference_of_a_batch_is_that_of_each_sequence_alone(example: Example) -> None:
    """Results and gradients of unequal lengths are those of the sequences one by one, cut to their lengths."""
    lengths, data = example.lengths(), example.data()
    for array in (data.x, data.dy):
        array[example.padding()] = np.nan
    together = reference_results(example, data, lengths)
    summed = {name: np.zeros_like(array) for name, array in together.items() if not is_per_sequence(name)}
    for sequence, length in enumerate(lengths):
        alone = reference_results(example, one_sequence(data, sequence, length), None)
        for name, array in alone.items():
            if name in summed:
                summed[name] += array
                continue
            own = together[name][:, sequence]
            if name in ("y", "grad_x"):
                assert not own[length:].any()
                own = own[:length]
            np.testing.assert_allclose(own, array[:, 0], rtol=1e-12, atol=1e-14)
    for name, array in summed.items():
        np.testing.assert_allclose(together[name], array, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("example", EXAMPLES[4:6], ids=lambda example: example.id)
def test_reference_of_an_lstm_is_that_of_packed_sequences_in_pytorch(example: Example) -> None:
    lengths, data = example.lengths(), example.data()
    config = example.config
    module = torch.nn.LSTM(
        config.input_size, config.hidden_size, 2, bidirectional=config.bidirectional, dtype=torch.float64
    )
    module.load_state_dict({name: torch.tensor(array) for name, array in example.weights().arrays.items()})
    packed = pack_padded_sequence(torch.tensor(data.x), torch.tensor(lengths), enforce_sorted=False)
    y, state_n = module(packed, tuple(map(torch.tensor, data.state)))
    y, _ = pad_packed_sequence(y, total_length=example.T)
    expected = reference.forward(config, example.weights(), data.x, data.state, lengths)
    for actual, wanted in zip((y, *state_n), (expected[0], *expected[1]), strict=True):
        np.testing.assert_allclose(actual.detach().numpy(), wanted, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("lengths", "error", "said"),
    [
        ((3, 2), ValueError, "there are 2 lengths; expected 3"),
        ((3, 2, 0), ValueError, r"lengths\[2\] is 0; expected 1 to 4"),
        ((3, 5, 1), ValueError, r"lengths\[1\] is 5; expected 1 to 4"),
        ((3, 2.0, 1), TypeError, r"lengths\[1\] is 2.0; expected a whole number from 1 to 4"),
        ((3, True, 1), TypeError, r"lengths\[1\] is True; expected a whole number"),
        (torch.tensor([3, 2, 1]), TypeError, r"lengths is a Tensor; expected a tuple .*lengths.tolist\(\)"),
        (3, TypeError, "lengths is a int; expected a tuple"),
    ],
)
def test_wrong_lengths_are_named(lengths: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        checked_lengths(lengths, 4, 3)


def test_lengths_are_taken_as_tuples_lists_and_arrays() -> None:
    """All are a tuple of `int` then, and None where no sequence has padding."""
    for lengths in ((3, 4, 1), [3, 4, 1], np.array([3, 4, 1], np.int32), tuple(np.array([3, 4, 1]))):
        checked = checked_lengths(lengths, 4, 3)
        assert checked == (3, 4, 1)
        assert {type(length) for length in checked} == {int}
    assert checked_lengths((4, 4, 4), 4, 3) is None
    assert checked_lengths(None, 4, 3) is None


def test_who_computes_equal_lengths_only_says_so() -> None:
    """Unequal lengths are Unsupported there, in inference and training; lengths that are all T are none."""
    config = RnnConfig(input_size=3, hidden_size=4)
    rnn = rnnimpl.load("torchscript_loop")(config, Weights.init(config, 0))
    x = rnn.from_numpy(np.ones((5, 2, 3), np.float32))
    for call in (rnn.forward, rnn.vjp):
        with pytest.raises(Unsupported, match="TorchScriptLoop computes sequences of equal lengths only"):
            call(x, None, (5, 4))
        call(x, None, (5, 5))
