"""The NumPy loop with everything that does not depend on the previous step outside of it, in one product each.

Forward, the input projection x[t] @ w_ih.T of all steps is one product of (T*B, I) by (I, G*H); the loop has only what
depends on the step before. Backward, the loop computes the gradients of the gates' sums; the gradients of the inputs
and of both weights are then one product each over all steps. The formulas are derived in `numpy_loop`.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from rnnimpl.interface import LayerWeights, NumpyArray, State
from rnnimpl.numpy_base import Layer, LayerGrads, NumpyRnn


class HoistedLayer(Layer):
    """One layer in one direction, with the products over all steps that every cell has."""

    def __init__(self, weights: LayerWeights[NumpyArray]) -> None:
        super().__init__(weights)
        self.w_hh = np.ascontiguousarray(weights.w_hh)
        # A contiguous transpose, with which OpenBLAS computes the product of a step faster than with a view.
        self.w_hh_transposed = np.ascontiguousarray(weights.w_hh.T)

    def project(self, x: NumpyArray, bias: NumpyArray | None) -> NumpyArray:
        """x (T, B, I) -> x @ w_ih.T + bias for all steps, (T, B, G*H)."""
        T, B, I = x.shape
        projection = x.reshape(T * B, I) @ self.weights.w_ih.T
        if bias is not None:
            projection += bias
        return projection.reshape(T, B, -1)

    def merged_bias(self) -> NumpyArray | None:
        """b_ih + b_hh, for a cell in which both enter the same sum; None without biases."""
        w = self.weights
        return None if w.b_ih is None or w.b_hh is None else w.b_ih + w.b_hh

    def collect(
        self,
        x: NumpyArray,
        h_before: NumpyArray,
        state: State[NumpyArray],
        of_input: NumpyArray,
        of_state: NumpyArray,
    ) -> LayerGrads:
        """The layer's gradients, from those of both sums of all steps (T, B, G*H) and h before each step (T, B, H)."""
        T, B, I = x.shape
        rows = of_input.reshape(T * B, -1)
        state_rows = rows if of_state is of_input else of_state.reshape(T * B, -1)
        # A product with ones: NumPy's sum over many rows of float16 rounds at each row, its product does not.
        ones = np.ones(T * B, dtype=rows.dtype)
        db_ih = ones @ rows
        return LayerGrads(
            x=(rows @ self.weights.w_ih).reshape(T, B, I),
            state=state,
            weights=LayerWeights(
                w_ih=rows.T @ x.reshape(T * B, I),
                w_hh=state_rows.T @ h_before.reshape(T * B, -1),
                b_ih=db_ih,
                b_hh=db_ih.copy() if of_state is of_input else ones @ state_rows,
            ),
        )


class ElmanLayer(HoistedLayer):
    """The plain recurrent layer; a subclass has its nonlinearity, which works in place."""

    def squash(self, a: NumpyArray) -> None:
        """Replace the pre-activation (B, H) by the state."""
        raise NotImplementedError

    def slope(self, y: NumpyArray) -> NumpyArray:
        """The derivative of the nonlinearity in terms of its result y, both (T, B, H)."""
        raise NotImplementedError

    def forward(self, x: NumpyArray, state: State[NumpyArray]) -> tuple[NumpyArray, State[NumpyArray], Any]:
        (h0,) = state
        y = self.project(x, self.merged_bias())
        recurrent = np.empty_like(h0)
        h = h0  # (B, H)
        for a in y:  # (B, H): the projection of this step, which becomes its state in place
            np.matmul(h, self.w_hh_transposed, out=recurrent)
            a += recurrent
            self.squash(a)
            h = a
        return y, (h,), (x, h0, y)

    def backward(self, dy: NumpyArray, dstate_n: State[NumpyArray], saved: Any) -> LayerGrads:
        x, h0, y = saved
        slope = self.slope(y)  # (T, B, H)
        da = np.empty_like(dy)  # (T, B, H)
        dh_from_next = dstate_n[0].copy()  # (B, H)
        for t in reversed(range(len(x))):
            np.add(dy[t], dh_from_next, out=da[t])
            da[t] *= slope[t]
            np.matmul(da[t], self.w_hh, out=dh_from_next)
        return self.collect(x, np.concatenate([h0[None], y[:-1]]), (dh_from_next,), da, da)


class TanhLayer(ElmanLayer):
    """The plain recurrent layer with tanh."""

    def squash(self, a: NumpyArray) -> None:
        np.tanh(a, out=a)

    def slope(self, y: NumpyArray) -> NumpyArray:
        return 1 - y * y


class ReluLayer(ElmanLayer):
    """The plain recurrent layer with relu."""

    def squash(self, a: NumpyArray) -> None:
        np.maximum(a, 0, out=a)

    def slope(self, y: NumpyArray) -> NumpyArray:
        return (y > 0).astype(y.dtype)


class LstmLayer(HoistedLayer):
    """An LSTM layer; the gates of a step are computed in the memory of its projection."""

    def forward(self, x: NumpyArray, state: State[NumpyArray]) -> tuple[NumpyArray, State[NumpyArray], Any]:
        T, B, _ = x.shape
        h0, c0 = state
        H = h0.shape[1]
        gates = self.project(x, self.merged_bias())  # (T, B, 4*H)
        y, memory, squashed = (np.empty((T, B, H), x.dtype) for _ in range(3))
        recurrent = np.empty_like(gates[0])
        kept = np.empty_like(h0)
        h, c = h0, c0
        for t, a in enumerate(gates):
            np.matmul(h, self.w_hh_transposed, out=recurrent)
            a += recurrent
            i, f, g, o = (a[:, part * H : (part + 1) * H] for part in range(4))  # views of a
            sigmoid(a[:, : 2 * H])
            np.tanh(g, out=g)
            sigmoid(o)
            np.multiply(f, c, out=kept)
            c = np.multiply(i, g, out=memory[t])
            c += kept
            np.tanh(c, out=squashed[t])
            h = np.multiply(o, squashed[t], out=y[t])
        return y, (h, c), (x, h0, c0, gates, y, memory, squashed)

    def backward(self, dy: NumpyArray, dstate_n: State[NumpyArray], saved: Any) -> LayerGrads:
        x, h0, c0, gates, y, memory, squashed = saved
        H = h0.shape[1]
        i, f, g, o = (gates[:, :, part * H : (part + 1) * H] for part in range(4))  # (T, B, H) each
        c_before = np.concatenate([c0[None], memory[:-1]])
        # The factors of dc and dh, for all steps at once.
        of_c = np.concatenate([g * i * (1 - i), c_before * f * (1 - f), i * (1 - g * g)], axis=2)  # (T, B, 3*H)
        of_h = squashed * o * (1 - o)
        into_c = o * (1 - squashed * squashed)
        da = np.empty_like(gates)  # (T, B, 4*H)
        dh_from_next, dc = (each.copy() for each in dstate_n)
        for t in reversed(range(len(x))):
            dh = dy[t]
            dh += dh_from_next
            dc += dh * into_c[t]
            for part in range(3):
                np.multiply(dc, of_c[t, :, part * H : (part + 1) * H], out=da[t, :, part * H : (part + 1) * H])
            np.multiply(dh, of_h[t], out=da[t, :, 3 * H :])
            np.matmul(da[t], self.w_hh, out=dh_from_next)
            dc *= f[t]
        return self.collect(x, np.concatenate([h0[None], y[:-1]]), (dh_from_next, dc), da, da)


class GruLayer(HoistedLayer):
    """A GRU layer; the reset gate multiplies the sum of the state, so both sums of the candidate are kept."""

    def forward(self, x: NumpyArray, state: State[NumpyArray]) -> tuple[NumpyArray, State[NumpyArray], Any]:
        T, B, _ = x.shape
        (h0,) = state
        H = h0.shape[1]
        b_hh = self.weights.b_hh
        gates = self.project(x, self.weights.b_ih)  # (T, B, 3*H): r, z and n, in the memory of the projection
        of_state = np.empty_like(gates)
        y = np.empty((T, B, H), x.dtype)
        h = h0
        for t, a in enumerate(gates):
            recurrent = np.matmul(h, self.w_hh_transposed, out=of_state[t])
            if b_hh is not None:
                recurrent += b_hh
            r, z, n = (a[:, part * H : (part + 1) * H] for part in range(3))  # views of a
            a[:, : 2 * H] += recurrent[:, : 2 * H]
            sigmoid(a[:, : 2 * H])
            n += r * recurrent[:, 2 * H :]
            np.tanh(n, out=n)
            # (1 - z) * n + z * h
            h = np.subtract(h, n, out=y[t])
            h *= z
            h += n
        return y, (h,), (x, h0, gates, of_state[:, :, 2 * H :], y)

    def backward(self, dy: NumpyArray, dstate_n: State[NumpyArray], saved: Any) -> LayerGrads:
        x, h0, gates, state_n, y = saved
        H = h0.shape[1]
        r, z, n = (gates[:, :, part * H : (part + 1) * H] for part in range(3))  # (T, B, H) each
        h_before = np.concatenate([h0[None], y[:-1]])
        # The factors of dh, for all steps at once.
        of_n = (1 - z) * (1 - n * n)
        of_z = (h_before - n) * z * (1 - z)
        of_r = of_n * state_n * r * (1 - r)
        dh_sums = np.concatenate([of_r, of_z, of_n * r], axis=2)  # (T, B, 3*H): of the state's sums
        dn = np.empty_like(dy)
        (dh_from_next,) = (each.copy() for each in dstate_n)
        for t in reversed(range(len(x))):
            dh = dy[t]
            dh += dh_from_next
            np.multiply(dh, of_n[t], out=dn[t])
            for part in range(3):
                dh_sums[t, :, part * H : (part + 1) * H] *= dh
            np.matmul(dh_sums[t], self.w_hh, out=dh_from_next)
            dh_from_next += dh * z[t]
        of_input = np.concatenate([dh_sums[:, :, : 2 * H], dn], axis=2)
        return self.collect(x, h_before, (dh_from_next,), of_input, dh_sums)


class NumpyHoisted(NumpyRnn):
    """NumPy layers with their input projection outside of the loop over time."""

    devices = ("cpu",)
    cells: ClassVar[tuple[str, ...]] = ("tanh", "relu", "lstm", "gru")
    layer_types = {"tanh": TanhLayer, "relu": ReluLayer, "lstm": LstmLayer, "gru": GruLayer}  # noqa: RUF012  # never written


def sigmoid(a: NumpyArray) -> None:
    """1 / (1 + exp(-a)) in place, computed as (1 + tanh(a / 2)) / 2, in which nothing overflows."""
    half = a.dtype.type(0.5)
    a *= half
    np.tanh(a, out=a)
    a += 1
    a *= half
