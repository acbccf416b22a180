"""The LSTM layer in NumPy, with its derivation. Read `elman.py` first.

In a plain recurrent layer a gradient is multiplied by w_hh at every step back, and after many steps it has vanished or
exploded. Hochreiter and Schmidhuber (1997, "Long short-term memory") give the layer a second state, the memory c. It is
carried from step to step by addition. Gates decide what enters it, what stays in it and what is shown of it. A gate
is a number between 0 and 1 for each unit, computed from the input and the last output like everything else. The forget
gate is of Gers, Schmidhuber and Cummins (2000, "Learning to forget").

    a = x[t] @ w_ih.T + b_ih + h[t-1] @ w_hh.T + b_hh         four sums a unit, blocks of H in this order:
    i, f, g, o = sigmoid(a_i), sigmoid(a_f), tanh(a_g), sigmoid(a_o)
    c[t] = f * c[t-1] + i * g                                 f: the share of the memory kept, i: of g added
    h[t] = o * tanh(c[t])                                     o: the share of the memory shown; the output of step t

Backward, "dz" is the gradient of the loss E with respect to z. h[t] touches E as the output of step t and through the
sums of step t+1, as in a plain layer. c[t] touches E through h[t] and through c[t+1], where it was multiplied by f[t+1]
alone. While f is near 1 the gradient passes unchanged over any number of steps, which is the point of an LSTM.

    dh[t] = dy[t] + da[t+1] @ w_hh
    dc[t] = dh[t] * o * (1 - tanh(c[t])**2) + dc[t+1] * f[t+1]

The rest is the product rule on c[t] = f * c[t-1] + i * g and h[t] = o * tanh(c[t]). In terms of its result s, the
derivative of sigmoid is s * (1 - s) and that of tanh is 1 - s**2:

    da_i = dc[t] * g      * i * (1 - i)                       da_g = dc[t] * i          * (1 - g**2)
    da_f = dc[t] * c[t-1] * f * (1 - f)                       da_o = dh[t] * tanh(c[t]) * o * (1 - o)

The weights' gradients are sums over steps, as in a plain layer, with four blocks in place of one.
"""

from __future__ import annotations

import numpy as np

from rnnimpl.interface import LayerWeights, NumpyArray, State
from rnnimpl.numpy_base import Layer, LayerGrads, sigmoid

Gates = tuple[NumpyArray, NumpyArray, NumpyArray, NumpyArray]
Saved = tuple[NumpyArray, list[NumpyArray], list[Gates], list[NumpyArray]]
"""The arrays that the backward pass needs: x (T, B, I), h before and after each step, i, f, g and o of each, c as h."""


class LstmLayer(Layer):
    """The LSTM of `torch.nn.LSTM`: gates in the order i, f, g, o; no peepholes."""

    def forward(self, x: NumpyArray, state: State[NumpyArray]) -> tuple[NumpyArray, State[NumpyArray], Saved]:
        w = self.weights
        h, c = state  # (B, H) each
        outputs, gates, memory = [h], [], [c]
        for t in range(len(x)):
            a = x[t] @ w.w_ih.T + h @ w.w_hh.T  # (B, 4*H)
            if w.b_ih is not None and w.b_hh is not None:
                a = a + w.b_ih + w.b_hh
            a_i, a_f, a_g, a_o = np.split(a, 4, axis=1)  # (B, H) each
            i, f, g, o = sigmoid(a_i), sigmoid(a_f), np.tanh(a_g), sigmoid(a_o)
            c = f * c + i * g
            h = o * np.tanh(c)
            outputs.append(h)
            gates.append((i, f, g, o))
            memory.append(c)
        return np.stack(outputs[1:]), (h, c), (x, outputs, gates, memory)

    def backward(self, dy: NumpyArray, dstate_n: State[NumpyArray], saved: Saved) -> LayerGrads:
        w = self.weights
        x, outputs, gates, memory = saved
        dx = np.empty_like(x)
        dw_ih, dw_hh, db = np.zeros_like(w.w_ih), np.zeros_like(w.w_hh), np.zeros_like(w.w_hh[:, 0])
        dh_from_next, dc_from_next = dstate_n  # (B, H) each
        for t in reversed(range(len(x))):
            i, f, g, o = gates[t]
            h_before, c_before = outputs[t], memory[t]
            squashed = np.tanh(memory[t + 1])
            dh = dy[t] + dh_from_next
            dc = dh * o * (1 - squashed**2) + dc_from_next
            da_i = dc * g * i * (1 - i)
            da_f = dc * c_before * f * (1 - f)
            da_g = dc * i * (1 - g**2)
            da_o = dh * squashed * o * (1 - o)
            da = np.concatenate([da_i, da_f, da_g, da_o], axis=1)  # (B, 4*H)
            dw_ih += da.T @ x[t]
            dw_hh += da.T @ h_before
            db += da.sum(axis=0)
            dx[t] = da @ w.w_ih
            dh_from_next = da @ w.w_hh
            dc_from_next = dc * f
        return LayerGrads(dx, (dh_from_next, dc_from_next), LayerWeights(dw_ih, dw_hh, db, db.copy()))
