"""The kernel's text for one plan, and its argument as C lays it out."""

from __future__ import annotations

import ctypes
import math
from pathlib import Path

from rnnimpl.cuda.launch_plan import LaunchPlan
from rnnimpl.dtypes import Dtype

FOLDER = Path(__file__).parent
KERNEL = "recurrence"
VECTOR_BYTES = 16


class Arguments(ctypes.Structure):
    """`Arguments` of `recurrence.cu`."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("input", "weights", "initial", "addend", "states", "output")),
        *((name, ctypes.c_int) for name in ("steps", "batch", "directions", "first_direction", "rows", "relu")),
    )


def kernel_source(plan: LaunchPlan, dtype: Dtype) -> str:
    """CUDA C++ that needs no header."""
    return "\n".join([constants(plan, dtype), text("device.cuh"), text("recurrence.cu")])


def constants(plan: LaunchPlan, dtype: Dtype) -> str:
    """The plan and the dtype as definitions for the preprocessor."""
    itemsize = 4 if dtype == "float32" else 2
    # As many bytes at once as every row of states is aligned to.
    exchange_bytes = math.gcd(plan.hidden * itemsize, VECTOR_BYTES)
    values = {
        "HIDDEN": plan.hidden,
        "THREADS": plan.threads,
        "LANES": plan.lanes,
        "CHUNKS": plan.chunks,
        "UNITS_PER_THREAD": plan.units_per_thread,
        "ROWS_AT_ONCE": plan.rows_at_once,
        "SLICES": plan.slices,
        "SCALAR_BITS": 8 * itemsize,
        "SCALAR_FLOAT16": int(dtype == "float16"),
        "SCALAR_BFLOAT16": int(dtype == "bfloat16"),
        "EXCHANGE_BYTES": exchange_bytes,
        "EXCHANGE_WORDS": max(1, exchange_bytes // 4),
    }
    return "\n".join(f"#define {name} {value}" for name, value in values.items())


def text(name: str) -> str:
    """A source file of this folder."""
    return (FOLDER / name).read_text(encoding="utf-8")
