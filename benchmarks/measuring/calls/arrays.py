"""Arrays of NumPy, PyTorch and JAX, read and changed without asking the implementation that made them.

An implementation's own `to_numpy` and `from_numpy` run outside of the timed region, so computing there would be free.
Therefore results are read here, and an input is changed in its own memory. Arrays of any other type are converted by
the implementation within the timed region.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any

import numpy as np
import numpy.typing as npt

from rnnimpl.dtypes import SIGNIFICAND_BITS, Dtype
from rnnimpl.interface import NumpyArray


def is_known(array: Any) -> bool:
    """Whether the type is exactly NumPy's, PyTorch's or JAX's: a subclass could compute when it is read."""
    return type(array) is np.ndarray or _is_torch(array) or _is_jax(array)


def is_on_host(array: Any) -> bool:
    """Whether the array is in the CPU's memory, as one of an unknown type may be."""
    if _is_torch(array):
        return bool(array.device.type == "cpu")
    return {device.platform for device in array.devices()} == {"cpu"} if _is_jax(array) else True


def is_finished(array: Any) -> bool:
    """Whether a known array has its values already; JAX returns arrays that are still being computed."""
    return bool(array.is_ready()) if _is_jax(array) else True


def read(array: Any, dtype: Dtype) -> NumpyArray:
    """A NumPy copy of a known array, in the carrier of `dtype`. Raises TypeError for another dtype."""
    if _is_torch(array):
        found = str(array.dtype).removeprefix("torch.")
        array = array.detach().cpu()
        array = (array.float() if found == "bfloat16" else array).numpy()
    elif _is_jax(array):
        found = str(array.dtype)
        array = np.asarray(array)
        array = array.astype(np.float32) if found == "bfloat16" else array
    else:
        # NumPy carries bfloat16 in float32.
        found = "bfloat16" if dtype == "bfloat16" and array.dtype == np.float32 else str(array.dtype)
    if found != dtype:
        raise TypeError(f"a result has dtype {found}; expected {dtype}")
    return np.array(array)


def writable_view(array: Any, values: NumpyArray) -> NumpyArray | None:
    """The memory of a known array on the host as a NumPy array, of floats or of the bits of bfloat16.

    None where it cannot be reached, or does not hold `values`, which the array was made from.
    """
    view = _memory(array)
    if view is None or view.shape != values.shape or not np.array_equal(view, as_stored(values, view.dtype)):
        return None
    return view if view.flags.writeable else None


def as_stored(values: NumpyArray, stored: npt.DTypeLike) -> NumpyArray:
    """Values as an array stores them: a bfloat16 is the upper half of a float32."""
    if np.dtype(stored) == np.uint16:
        bits = np.ascontiguousarray(values, np.float32).view(np.uint32) >> (23 - SIGNIFICAND_BITS["bfloat16"])
        return bits.astype(np.uint16)
    return values


def _memory(array: Any) -> NumpyArray | None:
    if type(array) is np.ndarray:
        return array
    if _is_torch(array):
        import torch

        detached = array.detach()
        is_half = detached.dtype == torch.bfloat16
        memory: NumpyArray = detached.view(torch.uint16).numpy() if is_half else detached.numpy()
        return memory
    if _is_jax(array):
        # The array may still be being copied into this memory.
        array.block_until_ready()
        stored = np.dtype(np.uint16) if str(array.dtype) == "bfloat16" else np.dtype(array.dtype)
        held = (ctypes.c_byte * array.nbytes).from_address(array.unsafe_buffer_pointer())
        return np.frombuffer(held, stored).reshape(array.shape)
    return None


def _is_torch(array: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and type(array) is torch.Tensor and array.layout == torch.strided


def _is_jax(array: Any) -> bool:
    jax = sys.modules.get("jax")
    return jax is not None and isinstance(array, jax.Array) and type(array).__name__ == "ArrayImpl"
