"""`torch_compile_module`: nn.LSTM compiled and frozen, with its weights packed once, for inference."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from rnnimpl import RnnConfig, Unavailable, Unsupported, Weights, load
from rnnimpl.impls.torch_compile_module import TorchCompileModule

CONFIG = RnnConfig(input_size=3, hidden_size=5, cell="lstm")
needs_onednn = pytest.mark.skipif(
    not torch.backends.mkldnn.is_available(),  # type: ignore[no-untyped-call]  # torch leaves it untyped
    reason="this PyTorch has no oneDNN",
)


def drawn(*shape: int) -> Any:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


@pytest.fixture(scope="module")
def rnn() -> TorchCompileModule:
    """A network of one layer, configured as in a measuring process."""
    TorchCompileModule.configure_process(threads=1, precision="ieee")
    try:
        return TorchCompileModule(CONFIG, Weights.init(CONFIG, 0), "cpu")
    except Unavailable as reason:
        pytest.skip(str(reason))


@needs_onednn
@pytest.mark.engines
def test_weights_are_packed_once(rnn: TorchCompileModule) -> None:
    """oneDNN's LSTM reorders nothing in a call, where nn.LSTM reorders both weights."""
    rnn.forward(rnn.from_numpy(drawn(6, 4, 3)))
    assert "oneDNN vanilla_lstm" in rnn.describe()["path"]
    assert rnn.describe()["path"].endswith(", weights packed once")


@pytest.mark.engines
def test_shapes_and_states_of_every_kind_are_computed(rnn: TorchCompileModule) -> None:
    """Another batch, a view, a given state and a state from a call are right; each has a graph of its own."""
    plain = load("nn_rnn")(CONFIG, Weights.init(CONFIG, 0), "cpu")
    given = tuple(map(rnn.from_numpy, (drawn(1, 4, 5), -drawn(1, 4, 5))))
    carried = rnn.forward(rnn.from_numpy(drawn(6, 4, 3)))[1]
    turned = rnn.from_numpy(drawn(4, 6, 3)).transpose(0, 1)
    wider = rnn.from_numpy(drawn(2, 7, 3))
    for x, state in ((turned, None), (turned, given), (turned, carried), (wider, None), (turned, given)):
        y, state_n = rnn.forward(x, state)
        expected, expected_n = plain.forward(x, state)
        torch.testing.assert_close(y, expected)
        torch.testing.assert_close(state_n, expected_n)


@pytest.mark.engines
def test_results_stay_what_they_are(rnn: TorchCompileModule) -> None:
    """A later call leaves the results of an earlier one unchanged."""
    x = rnn.from_numpy(drawn(6, 4, 3))
    y, state_n = rnn.forward(x)
    kept = y.clone(), tuple(each.clone() for each in state_n)
    rnn.forward(-x)
    assert torch.equal(y, kept[0])
    assert all(map(torch.equal, state_n, kept[1]))


def test_training_is_unsupported() -> None:
    rnn = TorchCompileModule(CONFIG, Weights.init(CONFIG, 0), "cpu")
    with pytest.raises(Unsupported, match="inference only: its weights are frozen"):
        rnn.vjp(rnn.from_numpy(drawn(2, 1, 3)))


@pytest.mark.parametrize("changes", [{"dtype": "float64"}, {"dtype": "bfloat16"}, {"cell": "gru"}, {"cell": "tanh"}])
def test_what_onednn_does_not_compute_is_unsupported(changes: dict[str, Any]) -> None:
    """Dtypes that PyTorch computes by a loop, which TorchDynamo would unroll, are Unsupported."""
    config = dataclasses.replace(CONFIG, **changes)
    with pytest.raises(Unsupported, match=str(next(iter(changes.values())))):
        TorchCompileModule(config, Weights.init(config, 0), "cpu")


def test_before_a_call_no_kernel_is_named() -> None:
    rnn = TorchCompileModule(CONFIG, Weights.init(CONFIG, 0), "cpu")
    assert rnn.describe()["path"].endswith("not called yet")
