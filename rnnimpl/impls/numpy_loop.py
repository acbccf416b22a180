"""The loop over time in NumPy, forward and backpropagation through time by hand: the file to learn from.

A recurrent layer reads a sequence one step at a time and keeps a state h, its memory. At each step the new
state is a squashed sum of what it sees now and what it remembered:

    a[t] = x[t] @ w_ih.T + b_ih + h[t-1] @ w_hh.T + b_hh             the sum, called pre-activation
    h[t] = tanh(a[t])                                                or relu: max(a[t], 0)

Learning asks how a loss E changes with each weight. Backpropagation through time (Rumelhart, Hinton and
Williams 1986; Werbos 1990) walks the same loop from the last step to the first. The state h[t] touches E in
two ways: it is the output of step t, and it is the memory that step t+1 starts from. So its gradient is a sum:

    dh[t] = dy[t]  +  da[t+1] @ w_hh                                 "dz" stands for the gradient of E by z
    da[t] = dh[t] * f'(a[t])                                         tanh' = 1 - h**2,  relu' = 1 where h > 0

Each weight is used at every step, so its gradient is a sum over steps of (gradient of a) times (what the
weight multiplied there). The product da[t+1] @ w_hh, repeated T times, is why gradients vanish or explode.
"""

from __future__ import annotations

import numpy as np

from rnnimpl.interface import CellWeights, NumpyArray
from rnnimpl.numpy_base import LayerGrads, NumpyRnn


class NumpyLoop(NumpyRnn):
    """One layer as a loop over time: nothing is batched over steps, every line is one term of the formula."""

    devices = ("cpu",)

    def layer_forward(self, x: NumpyArray, h0: NumpyArray, weights: CellWeights[NumpyArray]) -> NumpyArray:
        T, B, _ = x.shape
        # Each step writes its own row. One buffer overwritten at each step would make every output the last.
        y = np.empty((T, B, self.config.hidden_size), dtype=x.dtype)
        h = h0  # (B, H)
        for t in range(T):
            a = x[t] @ weights.w_ih.T + h @ weights.w_hh.T  # (B, H)
            if weights.b_ih is not None and weights.b_hh is not None:
                a = a + weights.b_ih + weights.b_hh
            h = np.tanh(a) if self.config.nonlinearity == "tanh" else np.maximum(a, 0)
            y[t] = h
        return y

    def layer_backward(
        self, dy: NumpyArray, x: NumpyArray, h0: NumpyArray, y: NumpyArray, weights: CellWeights[NumpyArray]
    ) -> LayerGrads:
        T = x.shape[0]
        dx = np.empty_like(x)
        dw_ih = np.zeros_like(weights.w_ih)
        dw_hh = np.zeros_like(weights.w_hh)
        db = np.zeros_like(weights.w_hh[0])
        dh_from_next = np.zeros_like(h0)  # (B, H): what step t+1 sends back; nothing follows the last step
        for t in reversed(range(T)):
            h_before = y[t - 1] if t > 0 else h0  # (B, H)
            dh = dy[t] + dh_from_next
            # The derivative of the nonlinearity, written in terms of its result.
            slope = 1 - y[t] ** 2 if self.config.nonlinearity == "tanh" else (y[t] > 0).astype(y.dtype)
            da = dh * slope  # (B, H)
            dw_ih += da.T @ x[t]
            dw_hh += da.T @ h_before
            db += da.sum(axis=0)
            dx[t] = da @ weights.w_ih
            dh_from_next = da @ weights.w_hh
        return LayerGrads(x=dx, h0=dh_from_next, w_ih=dw_ih, w_hh=dw_hh, b=db)
