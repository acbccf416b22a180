"""The kernel's source text for a plan, and the C structure of its argument."""

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
    """The structure `Arguments` of `recurrence.cu`."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("input", "weights", "initial", "addend", "states", "output")),
        *((name, ctypes.c_int) for name in ("steps", "batch", "directions", "first_direction", "rows", "relu")),
    )


def kernel_source(plan: LaunchPlan, dtype: Dtype) -> str:
    """The CUDA C++ of the kernel for a plan and a dtype, complete without headers."""
    return "\n".join([constants(plan, dtype), text("device.cuh"), text("recurrence.cu")])


def constants(plan: LaunchPlan, dtype: Dtype) -> str:
    """The plan and the dtype as `#define` lines."""
    itemsize = 4 if dtype == "float32" else 2
    # The widest access to which every row of states is aligned.
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
    """The text of a source file in this folder."""
    return (FOLDER / name).read_text(encoding="utf-8")
