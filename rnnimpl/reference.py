"""The reference: outputs and every gradient in float64 NumPy, written to be read and never timed.

It shares no code with the implementations, so that a mistake here and the same mistake there is a coincidence.
For one layer in one direction, with the shape letters of `rnnimpl.interface` and "dz" for the gradient of the
loss with respect to z (Werbos 1990, "Backpropagation through time"):

    a[t] = (x[t] @ w_ih.T + b_ih) + (h[t-1] @ w_hh.T + b_hh)         h[t] = f(a[t]),   h[-1] = h0
    dh[t] = dy[t] + da[t+1] @ w_hh                                   dh[T-1] = dy[T-1] + dh_n
    da[t] = dh[t] * f'(a[t])                                         f' is 1 - h**2 for tanh, [a > 0] for relu
    dx[t] = da[t] @ w_ih                    dw_ih = sum over t of da[t].T @ x[t]
    dh0 = da[0] @ w_hh                      dw_hh = sum over t of da[t].T @ h[t-1]         db = sum of da[t]

The same code computes "the plain loop in a given dtype", whose error `rnnimpl.tolerance` allows others: an
`Arithmetic` says after which operations numbers are rounded, and to what.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from rnnimpl.dtypes import SIGNIFICAND_BITS, Dtype, Precision, round_significand, round_to
from rnnimpl.interface import CellWeights, Grads, NumpyArray, RnnConfig, Weights, cell_weight_names

Cell: TypeAlias = tuple[int, int]
"""(layer, direction), as `RnnConfig.cells` gives them."""


@dataclasses.dataclass(frozen=True)
class Arithmetic:
    """How the plain loop computes: every elementary result is rounded to `name`, sums inside a product are not.

    float64 and float32 are NumPy's own. float16 and bfloat16 are computed in float32 with each result rounded,
    as hardware with float32 accumulators does. tf32 is float32 whose products take operands rounded to 10 bits
    of significand (NVIDIA A100 whitepaper, 2020).

    With `running_sums` the sum inside a product is rounded, too: after each of its terms, in order, as the textbook's
    loop rounds it. Libraries sum in lanes and blocks of their own choice, which is more exact the longer the sum.
    """

    name: Dtype | Literal["tf32"]
    running_sums: bool = False

    @classmethod
    def of(cls, dtype: Dtype, precision: Precision) -> Arithmetic:
        """The arithmetic of a dtype; the precision tf32 concerns float32 alone."""
        return cls("tf32" if dtype == "float32" and precision == "tf32" else dtype)

    @property
    def carrier(self) -> np.dtype[Any]:
        """The NumPy dtype in which it computes."""
        return np.dtype("float64" if self.name == "float64" else "float32")

    @property
    def narrow(self) -> bool:
        """Whether results are narrower than what they are computed in, so that each has to be rounded."""
        return self.name in ("float16", "bfloat16")

    def values(self, array: npt.ArrayLike) -> NumpyArray:
        """The array as this arithmetic holds it."""
        return self.round(np.asarray(array).astype(self.carrier))

    def round(self, array: NumpyArray) -> NumpyArray:
        """Round the result of one elementary operation."""
        if self.name == "float16":
            # Beyond 65504 float16 is infinite, which whoever reads the result sees.
            with np.errstate(over="ignore"):
                return round_to(array, "float16").astype(np.float32)
        return round_to(array, "bfloat16") if self.name == "bfloat16" else array

    def product(self, a: NumpyArray, b: NumpyArray) -> NumpyArray:
        """The matrix product a @ b, rounded once."""
        if self.name == "tf32":
            a, b = (round_significand(operand, SIGNIFICAND_BITS["tf32"]) for operand in (a, b))
        return self.round(running_product(a, b) if self.running_sums else a @ b)

    def sum_of_products(self, da: NumpyArray, z: NumpyArray) -> NumpyArray:
        """The sum over t of da[t].T @ z[t], for da (T, B, H) and z (T, B, K) -> (H, K).

        Where numbers are narrow it matters that a loop over time rounds the sum at each step, the last step
        first; elsewhere one product over all steps is as exact, and quicker.
        """
        if not self.narrow:
            return self.product(da.reshape(-1, da.shape[2]).T, z.reshape(-1, z.shape[2]))
        total = np.zeros((da.shape[2], z.shape[2]), self.carrier)
        for t in reversed(range(len(da))):
            total = self.round(total + self.product(da[t].T, z[t]))
        return total

    def sum_over_steps(self, da: NumpyArray) -> NumpyArray:
        """The sum of da (T, B, H) over steps and sequences -> (H,), rounded as in `sum_of_products`."""
        if not self.narrow:
            total: NumpyArray = da.sum(axis=(0, 1))
            return total
        total = np.zeros(da.shape[2], self.carrier)
        for t in reversed(range(len(da))):
            total = self.round(total + self.round(da[t].sum(axis=0)))
        return total


FLOAT64 = Arithmetic("float64")


def running_product(a: NumpyArray, b: NumpyArray) -> NumpyArray:
    """a (M, K) @ b (K, N), every element's sum rounded after each of its K terms."""
    total = np.zeros((len(a), b.shape[1]), np.result_type(a, b))
    columns, term = np.ascontiguousarray(a.T), np.empty_like(total)
    for column, row in zip(columns, np.ascontiguousarray(b), strict=True):
        np.multiply(column[:, None], row, out=term)
        total += term
    return total


class CellRun(NamedTuple):
    """What one cell took and gave, in its own order of time: x (T, B, I), h0 (B, H), a and h (T, B, H)."""

    x: NumpyArray
    h0: NumpyArray
    weights: CellWeights[NumpyArray]
    a: NumpyArray
    h: NumpyArray

    @property
    def h_before(self) -> NumpyArray:
        """The state that each step starts from (T, B, H)."""
        return np.concatenate([self.h0[None], self.h[:-1]])


class CellGrads(NamedTuple):
    """Gradients of one cell: a (T, B, H), x (T, B, I), h0 (B, H), w_ih (H, I), w_hh (H, H), b (H,) of either bias."""

    a: NumpyArray
    x: NumpyArray
    h0: NumpyArray
    w_ih: NumpyArray
    w_hh: NumpyArray
    b: NumpyArray


def forward(
    config: RnnConfig, weights: Weights, x: NumpyArray, h0: NumpyArray | None = None
) -> tuple[NumpyArray, NumpyArray]:
    """x (T, B, I), h0 (L*D, B, H) or None for zeros -> y (T, B, D*H), h_n (L*D, B, H), in float64."""
    y, h_n, _ = run(config, weights, x, h0)
    return y, h_n


def vjp(
    config: RnnConfig,
    weights: Weights,
    x: NumpyArray,
    h0: NumpyArray | None,
    dy: NumpyArray,
    dh_n: NumpyArray,
) -> tuple[NumpyArray, NumpyArray, Grads[NumpyArray]]:
    """y and h_n as `forward`, and the gradients of sum(dy * y) + sum(dh_n * h_n), in float64."""
    y, h_n, runs = run(config, weights, x, h0)
    grads, _ = backward(config, runs, dy, dh_n)
    return y, h_n, grads


def run(
    config: RnnConfig, weights: Weights, x: NumpyArray, h0: NumpyArray | None, arithmetic: Arithmetic = FLOAT64
) -> tuple[NumpyArray, NumpyArray, dict[Cell, CellRun]]:
    """Run all layers -> y, h_n and what `backward` needs of each cell."""
    if h0 is None:
        h0 = np.zeros((config.num_layers * config.num_directions, x.shape[1], config.hidden_size))
    layer_input, h0 = arithmetic.values(x), arithmetic.values(h0)
    runs: dict[Cell, CellRun] = {}
    for layer in range(config.num_layers):
        outputs = []
        for direction in range(config.num_directions):
            w_ih, w_hh, b_ih, b_hh = weights.cell(layer, direction)
            zeros = np.zeros(config.hidden_size)
            cell = CellWeights(*(arithmetic.values(zeros if w is None else w) for w in (w_ih, w_hh, b_ih, b_hh)))
            start = h0[layer * config.num_directions + direction]
            a, h = cell_forward(config, arithmetic, in_order(layer_input, direction), start, cell)
            runs[layer, direction] = CellRun(in_order(layer_input, direction), start, cell, a, h)
            outputs.append(in_order(h, direction))
        layer_input = np.concatenate(outputs, axis=2)  # (T, B, D*H)
    h_n = np.stack([cell_run.h[-1] for cell_run in runs.values()])  # (L*D, B, H)
    return layer_input, h_n, runs


def cell_forward(
    config: RnnConfig, arithmetic: Arithmetic, x: NumpyArray, h0: NumpyArray, weights: CellWeights[NumpyArray]
) -> tuple[NumpyArray, NumpyArray]:
    """x (T, B, I), h0 (B, H) -> the pre-activations a (T, B, H) and the states h (T, B, H)."""
    T, B, I = x.shape
    rounded = arithmetic.round
    w_ih, w_hh, b_ih, b_hh = weights
    # A row of a product does not depend on the others, so all steps' projections may be one product.
    projected = arithmetic.product(x.reshape(T * B, I), w_ih.T).reshape(T, B, -1)
    a = rounded(projected + b_ih)
    h = np.empty_like(a)
    before = h0  # (B, H)
    for t in range(T):
        a[t] = rounded(a[t] + rounded(arithmetic.product(before, w_hh.T) + b_hh))
        h[t] = rounded(np.tanh(a[t]) if config.nonlinearity == "tanh" else np.maximum(a[t], 0))
        before = h[t]
    return a, h


def backward(
    config: RnnConfig,
    runs: Mapping[Cell, CellRun],
    dy: NumpyArray,
    dh_n: NumpyArray,
    arithmetic: Arithmetic = FLOAT64,
    active: Mapping[Cell, npt.NDArray[np.bool_]] | None = None,
) -> tuple[Grads[NumpyArray], dict[Cell, NumpyArray]]:
    """The gradients, from dy (T, B, D*H) and dh_n (L*D, B, H), layer by layer from the last; and those of each a.

    `active` (T, B, H) says for relu where the slope is 1, for those who know better than a > 0.
    """
    H, D = config.hidden_size, config.num_directions
    dy, dh_n = arithmetic.values(dy), arithmetic.values(dh_n)
    dh0 = np.empty_like(dh_n)
    dweights: dict[str, NumpyArray] = {}
    da: dict[Cell, NumpyArray] = {}
    for layer in reversed(range(config.num_layers)):
        dx = np.zeros_like(runs[layer, 0].x)
        for direction in range(D):
            cell = (layer, direction)
            dh = in_order(dy[:, :, direction * H : (direction + 1) * H], direction).copy()
            dh[-1] = arithmetic.round(dh[-1] + dh_n[layer * D + direction])
            grads = cell_backward(config, arithmetic, runs[cell], dh, None if active is None else active[cell])
            dx = arithmetic.round(dx + in_order(grads.x, direction))
            dh0[layer * D + direction] = grads.h0
            da[cell] = grads.a
            # Both biases enter the same sum, so both have the same gradient.
            dweights |= zip(
                cell_weight_names(layer, direction), (grads.w_ih, grads.w_hh, grads.b, grads.b), strict=True
            )
        dy = dx
    return Grads(dy, dh0, {name: dweights[name] for name in config.weight_shapes()}), da


def cell_backward(
    config: RnnConfig,
    arithmetic: Arithmetic,
    run: CellRun,
    dy: NumpyArray,
    active: npt.NDArray[np.bool_] | None,
) -> CellGrads:
    """The gradients of one cell from dy (T, B, H), in the cell's own order of time."""
    T, B, H = dy.shape
    rounded = arithmetic.round
    if config.nonlinearity == "tanh":
        slope = rounded(1 - rounded(run.h * run.h))  # (T, B, H)
    else:
        slope = (run.a > 0 if active is None else active).astype(arithmetic.carrier)
    da = np.empty_like(dy)
    from_next = np.zeros_like(run.h0)  # (B, H): nothing follows the last step
    for t in reversed(range(T)):
        da[t] = rounded(rounded(dy[t] + from_next) * slope[t])
        from_next = arithmetic.product(da[t], run.weights.w_hh)
    return CellGrads(
        a=da,
        x=arithmetic.product(da.reshape(T * B, H), run.weights.w_ih).reshape(T, B, -1),
        h0=from_next,
        w_ih=arithmetic.sum_of_products(da, run.x),
        w_hh=arithmetic.sum_of_products(da, run.h_before),
        b=arithmetic.sum_over_steps(da),
    )


def in_order(array: NumpyArray, direction: int) -> NumpyArray:
    """The array (T, ...) in the order in which a direction reads it; the second direction reads from the end."""
    return array[::-1] if direction else array
