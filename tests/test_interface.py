"""The contract of an implementation: wrong devices, cells and arrays are answered with the remedy."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import rnnimpl
from rnnimpl import RnnConfig, Unavailable, Unsupported, Weights
from rnnimpl.impls.numpy_loop import NumpyLoop
from rnnimpl.registry import listing
from tests.engines import ENGINES

README = Path(__file__).parent.parent / "README.md"
CONFIG = RnnConfig(input_size=3, hidden_size=4, num_layers=2, bidirectional=True)


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
