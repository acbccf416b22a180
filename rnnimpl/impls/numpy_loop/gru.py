"""The GRU layer in NumPy, with its derivation. Read `elman.py` first, then `lstm.py`.

The GRU of Cho et al. (2014, "Learning phrase representations using RNN encoder-decoder for statistical machine
translation") does with one state and three gates what an LSTM does with two and four: its output is its memory. The
update gate z says what share of the old state stays. The candidate n replaces the rest. The reset gate r says how much
of the old state the candidate may see.

    r = sigmoid(x[t] @ w_ir.T + b_ir + h[t-1] @ w_hr.T + b_hr)             the blocks of the weights are r, z and n,
    z = sigmoid(x[t] @ w_iz.T + b_iz + h[t-1] @ w_hz.T + b_hz)             in this order
    s = h[t-1] @ w_hn.T + b_hn
    n = tanh(x[t] @ w_in.T + b_in + r * s)
    h[t] = (1 - z) * n + z * h[t-1]                                        the output of step t

In the paper r is multiplied with h[t-1], before the product with w_hn. Here, as in cuDNN and `torch.nn.GRU`, it is
multiplied with the product and its bias. These are two different functions of the same weights. Because of r, the sums
of the input and of the state cannot simply be added, and b_in and b_hn have different gradients.

Backward, "da_z" is the gradient of the loss with respect to the pre-activation of the gate z, "dq" that with respect to
any other q. h[t] touches the loss as the output of step t, through the sums of step t+1, and directly through z[t+1] *
h[t]:

    dh[t] = dy[t] + (da_r, da_z, ds)[t+1] @ w_hh + dh[t+1] * z[t+1]

The rest is the product rule on the formula of h[t]. In terms of its result s, the derivative of sigmoid is s * (1 - s)
and that of tanh is 1 - s**2:

    da_n = dh[t] * (1 - z)        * (1 - n**2)                             ds = da_n * r
    da_z = dh[t] * (h[t-1] - n)   * z * (1 - z)
    da_r = da_n  * s              * r * (1 - r)

The gradients of w_ih and b_ih come from (da_r, da_z, da_n), those of w_hh and b_hh from (da_r, da_z, ds).
"""

from __future__ import annotations

import numpy as np

from rnnimpl.interface import LayerWeights, NumpyArray, State
from rnnimpl.numpy_base import Layer, LayerGrads, sigmoid

Gates = tuple[NumpyArray, NumpyArray, NumpyArray, NumpyArray]
Saved = tuple[NumpyArray, list[NumpyArray], list[Gates]]
"""The arrays that the backward pass needs: x (T, B, I), h before and after each step, and r, z, n and s of each."""


class GruLayer(Layer):
    """The GRU of `torch.nn.GRU`: gates in the order r, z, n; the reset gate after the product."""

    def forward(self, x: NumpyArray, state: State[NumpyArray]) -> tuple[NumpyArray, State[NumpyArray], Saved]:
        w = self.weights
        (h,) = state  # (B, H)
        outputs, gates = [h], []
        for t in range(len(x)):
            of_input, of_state = x[t] @ w.w_ih.T, h @ w.w_hh.T  # (B, 3*H) each
            if w.b_ih is not None and w.b_hh is not None:
                of_input, of_state = of_input + w.b_ih, of_state + w.b_hh
            input_r, input_z, input_n = np.split(of_input, 3, axis=1)  # (B, H) each
            state_r, state_z, s = np.split(of_state, 3, axis=1)
            r, z = sigmoid(input_r + state_r), sigmoid(input_z + state_z)
            n = np.tanh(input_n + r * s)
            h = (1 - z) * n + z * h
            outputs.append(h)
            gates.append((r, z, n, s))
        return np.stack(outputs[1:]), (h,), (x, outputs, gates)

    def backward(self, dy: NumpyArray, dstate_n: State[NumpyArray], saved: Saved) -> LayerGrads:
        w = self.weights
        x, outputs, gates = saved
        dx = np.empty_like(x)
        dw_ih, dw_hh = np.zeros_like(w.w_ih), np.zeros_like(w.w_hh)
        db_ih, db_hh = np.zeros_like(w.w_hh[:, 0]), np.zeros_like(w.w_hh[:, 0])
        (dh_from_next,) = dstate_n  # (B, H)
        for t in reversed(range(len(x))):
            r, z, n, s = gates[t]
            h_before = outputs[t]
            dh = dy[t] + dh_from_next
            da_n = dh * (1 - z) * (1 - n**2)
            da_z = dh * (h_before - n) * z * (1 - z)
            da_r = da_n * s * r * (1 - r)
            of_input = np.concatenate([da_r, da_z, da_n], axis=1)  # (B, 3*H)
            of_state = np.concatenate([da_r, da_z, da_n * r], axis=1)  # (B, 3*H)
            dw_ih += of_input.T @ x[t]
            dw_hh += of_state.T @ h_before
            db_ih += of_input.sum(axis=0)
            db_hh += of_state.sum(axis=0)
            dx[t] = of_input @ w.w_ih
            dh_from_next = of_state @ w.w_hh + dh * z
        return LayerGrads(dx, (dh_from_next,), LayerWeights(dw_ih, dw_hh, db_ih, db_hh))
