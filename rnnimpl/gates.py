"""Weights with their gates in another order, as inference engines need them.

`torch.nn` has the gates of an LSTM in the order i, f, g, o and those of a GRU in the order r, z, n. The candidates g
and n are c and h in ONNX (https://onnx.ai/onnx/operators/onnx__LSTM.html, onnx__GRU.html) and in OpenVINO.
"""

from __future__ import annotations

import numpy as np

from rnnimpl.interface import NumpyArray

TORCH_ORDER = {"tanh": "a", "relu": "a", "lstm": "ifgo", "gru": "rzn"}
"""The gates of each cell's weights in the order of `torch.nn`."""


def reorder(array: NumpyArray, cell: str, order: str) -> NumpyArray:
    """Weights or biases (G*H, ...) in the order of `torch.nn` -> in `order`, such as "iofg" for ONNX's LSTM."""
    given = TORCH_ORDER[cell]
    assert sorted(given) == sorted(order), f"the gates of {cell} are {given}; got the order {order}"
    blocks = dict(zip(given, np.split(array, len(given)), strict=True))
    return np.concatenate([blocks[gate] for gate in order])
