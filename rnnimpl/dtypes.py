"""Element types: how NumPy carries each, its unit roundoff, and rounding to it.

NumPy has no bfloat16. NumPy arrays of bfloat16 values are float32 in this package, and hold only values that bfloat16
can represent: converting to bfloat16 and back loses nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

Dtype = Literal["float16", "bfloat16", "float32", "float64"]
Precision = Literal["ieee", "tf32"]

DTYPES: tuple[Dtype, ...] = get_args(Dtype)
PRECISIONS: tuple[Precision, ...] = get_args(Precision)

SIGNIFICAND_BITS: Mapping[str, int] = MappingProxyType(
    {"float16": 10, "bfloat16": 7, "tf32": 10, "float32": 23, "float64": 52}
)
"""The number of stored bits of the significand, without the implicit one."""


def carrier(dtype: Dtype) -> np.dtype[Any]:
    """The NumPy dtype of arrays that hold values of `dtype`: itself, float32 for bfloat16."""
    return np.dtype("float32" if dtype == "bfloat16" else dtype)


def unit_roundoff(name: str) -> float:
    """The largest relative error of rounding to nearest, 2**-24 for float32; `name` is a dtype or tf32."""
    return float(2.0 ** -(SIGNIFICAND_BITS[name] + 1))


def round_significand(array: npt.NDArray[Any], bits: int) -> npt.NDArray[np.float32]:
    """Round float32 values to `bits` stored bits of significand, to nearest, ties to even; NaN stays NaN.

    bfloat16 and TF32 are float32 with a shorter significand, so this is the complete conversion to either.
    """
    values = np.ascontiguousarray(array, dtype=np.float32)
    drop = np.uint32(23 - bits)
    pattern = values.view(np.uint32)
    last_kept_bit = (pattern >> drop) & np.uint32(1)
    half = (np.uint32(1) << (drop - np.uint32(1))) - np.uint32(1)
    rounded = (pattern + half + last_kept_bit) & ~((np.uint32(1) << drop) - np.uint32(1))
    return np.where(np.isfinite(values), rounded.view(np.float32), values)


def round_to(array: npt.NDArray[Any], dtype: Dtype) -> npt.NDArray[Any]:
    """Round values to `dtype`; the result has the dtype's carrier."""
    if dtype == "bfloat16":
        return round_significand(array, SIGNIFICAND_BITS["bfloat16"])
    return np.asarray(array).astype(carrier(dtype))
