"""Weights with their gates in another order: engines have orders of their own.

`torch.nn` has the blocks of an LSTM in the order i, f, g, o and those of a GRU in the order r, z, n. Of these, g and n
are the candidates, c and h in ONNX (https://onnx.ai/onnx/operators/onnx__LSTM.html, onnx__GRU.html) and in OpenVINO.
"""

from __future__ import annotations

import numpy as np

from rnnimpl.interface import NumpyArray

TORCH_ORDER = {"tanh": "a", "relu": "a", "lstm": "ifgo", "gru": "rzn"}
"""The gates of each cell's weights as `torch.nn` has them."""


def reorder(array: NumpyArray, cell: str, order: str) -> NumpyArray:
    """Weights or biases (G*H, ...) of `torch.nn` with their blocks of H rows in `order`: "iofg" for ONNX's LSTM."""
    given = TORCH_ORDER[cell]
    assert sorted(given) == sorted(order), f"the gates of {cell} are {given}; got the order {order}"
    blocks = dict(zip(given, np.split(array, len(given)), strict=True))
    return np.concatenate([blocks[gate] for gate in order])
