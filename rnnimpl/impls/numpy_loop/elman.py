"""The plain recurrent layer in NumPy, with its derivation.

A recurrent layer reads a sequence one step at a time and keeps a state h, its memory. At each step the new state is a
nonlinear function of a sum, of what the layer reads and of what it remembers:

    a[t] = x[t] @ w_ih.T + b_ih + h[t-1] @ w_hh.T + b_hh             the pre-activation
    h[t] = tanh(a[t])                                                or relu: max(a[t], 0)

Learning asks how a loss E changes with each weight. Backpropagation through time (Rumelhart, Hinton and
Williams 1986; Werbos 1990) walks the same loop from the last step to the first. The state h[t] touches E in
two ways: it is the output of step t, and it is the memory that step t+1 starts from. So its gradient is a sum:

    dh[t] = dy[t]  +  da[t+1] @ w_hh                                 "dz" is the gradient of E with respect to z
    da[t] = dh[t] * f'(a[t])                                         tanh' = 1 - h**2,  relu' = 1 where h > 0

Each weight is used at every step, so its gradient is a sum over steps of the gradient of a times the factor of the
weight in that step. The product da[t+1] @ w_hh, repeated T times, is why gradients vanish or explode.
"""

from __future__ import annotations

import abc

import numpy as np

from rnnimpl.interface import LayerWeights, NumpyArray, State
from rnnimpl.numpy_base import Layer, LayerGrads

Saved = tuple[NumpyArray, NumpyArray, NumpyArray]
"""The arrays that the backward pass needs: x (T, B, I), h before the first step (B, H), h after each step (T, B, H)."""


class ElmanLayer(Layer):
    """The recurrent layer of Elman (1990, "Finding structure in time"); a subclass has its nonlinearity."""

    @abc.abstractmethod
    def squash(self, a: NumpyArray) -> NumpyArray:
        """The state from the pre-activation, both (B, H)."""

    @abc.abstractmethod
    def slope(self, h: NumpyArray) -> NumpyArray:
        """The derivative of the nonlinearity in terms of its result, both (B, H)."""

    def forward(self, x: NumpyArray, state: State[NumpyArray]) -> tuple[NumpyArray, State[NumpyArray], Saved]:
        w = self.weights
        (h0,) = state
        # Each step writes a row of its own: with one buffer for all steps every output would be the last.
        y = np.empty((len(x), *h0.shape), dtype=x.dtype)  # (T, B, H)
        h = h0  # (B, H)
        for t in range(len(x)):
            a = x[t] @ w.w_ih.T + h @ w.w_hh.T  # (B, H)
            if w.b_ih is not None and w.b_hh is not None:
                a = a + w.b_ih + w.b_hh
            h = self.squash(a)
            y[t] = h
        return y, (h,), (x, h0, y)

    def backward(self, dy: NumpyArray, dstate_n: State[NumpyArray], saved: Saved) -> LayerGrads:
        w = self.weights
        x, h0, y = saved
        dx = np.empty_like(x)
        dw_ih, dw_hh, db = np.zeros_like(w.w_ih), np.zeros_like(w.w_hh), np.zeros_like(w.w_hh[:, 0])
        # The gradient of h[t] from step t+1 (B, H); after the last step it is the gradient of the final state.
        (dh_from_next,) = dstate_n
        for t in reversed(range(len(x))):
            h_before = y[t - 1] if t > 0 else h0  # (B, H)
            dh = dy[t] + dh_from_next
            da = dh * self.slope(y[t])  # (B, H)
            dw_ih += da.T @ x[t]
            dw_hh += da.T @ h_before
            db += da.sum(axis=0)
            dx[t] = da @ w.w_ih
            dh_from_next = da @ w.w_hh
        # Both biases enter the same sum, so both have the same gradient.
        return LayerGrads(dx, (dh_from_next,), LayerWeights(dw_ih, dw_hh, db, db.copy()))


class TanhLayer(ElmanLayer):
    """The plain recurrent layer with tanh."""

    def squash(self, a: NumpyArray) -> NumpyArray:
        squashed: NumpyArray = np.tanh(a)
        return squashed

    def slope(self, h: NumpyArray) -> NumpyArray:
        return 1 - h**2


class ReluLayer(ElmanLayer):
    """The plain recurrent layer with relu."""

    def squash(self, a: NumpyArray) -> NumpyArray:
        squashed: NumpyArray = np.maximum(a, 0)
        return squashed

    def slope(self, h: NumpyArray) -> NumpyArray:
        return (h > 0).astype(h.dtype)
