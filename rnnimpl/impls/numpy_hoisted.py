"""The NumPy loop with all that does not depend on the previous step taken out of it, in one large product each.

Forward, the input projection x[t] @ w_ih.T of all steps is one product of (T*B, I) by (I, H); the loop keeps
only what must wait for the step before. Backward, the loop computes the gradients of the pre-activations;
those of the inputs and of both weights are then one product each over all steps.
"""

from __future__ import annotations

import numpy as np

from rnnimpl.interface import CellWeights, NumpyArray, RnnConfig, Weights
from rnnimpl.numpy_base import LayerGrads, NumpyRnn


class NumpyHoisted(NumpyRnn):
    """One layer with its input projection hoisted out of the loop over time."""

    devices = ("cpu",)

    def __init__(self, config: RnnConfig, weights: Weights, device: str = "cpu") -> None:
        super().__init__(config, weights, device)
        # Column by column in memory, so that w_hh.T is contiguous: the product of each step is up to a third
        # quicker (OpenBLAS, B and H from 16 and 256 up).
        self.cells = {cell: w._replace(w_hh=np.asfortranarray(w.w_hh)) for cell, w in self.cells.items()}

    def layer_forward(self, x: NumpyArray, h0: NumpyArray, weights: CellWeights[NumpyArray]) -> NumpyArray:
        T, B, I = x.shape
        H = self.config.hidden_size
        y = (x.reshape(T * B, I) @ weights.w_ih.T).reshape(T, B, H)
        if weights.b_ih is not None and weights.b_hh is not None:
            y += weights.b_ih + weights.b_hh
        recurrent = np.empty((B, H), dtype=x.dtype)
        h = h0  # (B, H)
        for a in y:  # (B, H): the projection of this step, turned into its state in place
            np.matmul(h, weights.w_hh.T, out=recurrent)
            a += recurrent
            if self.config.nonlinearity == "tanh":
                np.tanh(a, out=a)
            else:
                np.maximum(a, 0, out=a)
            h = a
        return y

    def layer_backward(
        self, dy: NumpyArray, x: NumpyArray, h0: NumpyArray, y: NumpyArray, weights: CellWeights[NumpyArray]
    ) -> LayerGrads:
        T, B, I = x.shape
        H = self.config.hidden_size
        slope = 1 - y * y if self.config.nonlinearity == "tanh" else (y > 0).astype(y.dtype)  # (T, B, H)
        w_hh = np.ascontiguousarray(weights.w_hh)  # row by row, as this direction multiplies it
        da = np.empty_like(dy)  # (T, B, H)
        dh_from_next = np.zeros_like(h0)
        for t in reversed(range(T)):
            np.add(dy[t], dh_from_next, out=da[t])
            da[t] *= slope[t]
            np.matmul(da[t], w_hh, out=dh_from_next)
        h_before = np.concatenate([h0[None], y[:-1]])  # (T, B, H)
        da_rows = da.reshape(T * B, H)
        return LayerGrads(
            x=(da_rows @ weights.w_ih).reshape(T, B, I),
            h0=dh_from_next,
            w_ih=da_rows.T @ x.reshape(T * B, I),
            w_hh=da_rows.T @ h_before.reshape(T * B, H),
            # A product with ones: NumPy's sum over many rows of float16 rounds at each of them, its product does not.
            b=np.ones(T * B, dtype=da.dtype) @ da_rows,
        )
