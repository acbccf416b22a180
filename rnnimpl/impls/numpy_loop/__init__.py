"""The loop over time in NumPy, forward and backpropagation through time by hand, written to be read.

`elman.py`, `lstm.py` and `gru.py` each derive and compute one layer in one direction; start with `elman.py`.
"""

from __future__ import annotations

from typing import ClassVar

from rnnimpl.impls.numpy_loop.elman import ReluLayer, TanhLayer
from rnnimpl.impls.numpy_loop.gru import GruLayer
from rnnimpl.impls.numpy_loop.lstm import LstmLayer
from rnnimpl.numpy_base import NumpyRnn


class NumpyLoop(NumpyRnn):
    """NumPy layers as loops over time: nothing is batched over steps, every line is one term of the formula."""

    devices = ("cpu",)
    cells: ClassVar[tuple[str, ...]] = ("tanh", "relu", "lstm", "gru")
    layer_types = {"tanh": TanhLayer, "relu": ReluLayer, "lstm": LstmLayer, "gru": GruLayer}  # noqa: RUF012  # never written
