"""The arithmetic of the plain loop in each element type: which results are rounded, and to what."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from rnnimpl.dtypes import SIGNIFICAND_BITS, Dtype, Precision, round_significand, round_to

NumpyArray = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True)
class Arithmetic:
    """The arithmetic of the plain loop: every elementary result is rounded to `name`, the sum inside a product is not.

    float64 and float32 are NumPy's. float16 and bfloat16 are computed in float32 with each result rounded, as by
    hardware with float32 accumulators. tf32 is float32 whose products take operands rounded to 10 bits of significand
    (NVIDIA A100 whitepaper, 2020).

    With `running_sums` the sum inside a product is rounded after each of its terms, in order, as in a textbook's loop.
    Libraries sum in lanes and blocks, which is the more exact the longer the sum.
    """

    name: Dtype | Literal["tf32"]
    running_sums: bool = False

    @classmethod
    def of(cls, dtype: Dtype, precision: Precision) -> Arithmetic:
        """The arithmetic of a dtype; the precision tf32 makes a difference for float32 only."""
        return cls("tf32" if dtype == "float32" and precision == "tf32" else dtype)

    @property
    def carrier(self) -> np.dtype[Any]:
        """The NumPy dtype of its arrays: float64 for float64, else float32."""
        return np.dtype("float64" if self.name == "float64" else "float32")

    @property
    def narrow(self) -> bool:
        """Whether its numbers are narrower than the carrier, so that each result is rounded."""
        return self.name in ("float16", "bfloat16")

    def values(self, array: npt.ArrayLike) -> NumpyArray:
        """The array in the carrier, rounded to the dtype."""
        return self.round(np.asarray(array).astype(self.carrier))

    def round(self, array: NumpyArray) -> NumpyArray:
        """Round the result of one elementary operation."""
        if self.name == "float16":
            # float16 is infinite beyond 65504; the infinity stays in the result, where it is noticed.
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

        In a narrow dtype the sum is rounded at each step, the last step first, as a loop over time rounds it. Elsewhere
        one product over all steps is as exact, and quicker.
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
    """a (M, K) @ b (K, N) -> (M, N), the sum of each element rounded after each of its K terms."""
    total = np.zeros((len(a), b.shape[1]), np.result_type(a, b))
    columns, term = np.ascontiguousarray(a.T), np.empty_like(total)
    for column, row in zip(columns, np.ascontiguousarray(b), strict=True):
        np.multiply(column[:, None], row, out=term)
        total += term
    return total
