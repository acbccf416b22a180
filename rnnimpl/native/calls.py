"""The functions of `api.cpp` for Python, and the records of arguments that they take."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Sequence
from typing import Any

from rnnimpl.interface import NumpyArray
from rnnimpl.native.build import Library

_LONG, _POINTER = ctypes.c_long, ctypes.c_void_p


class ForwardArguments(ctypes.Structure):
    """`ForwardArguments` of api.cpp: sizes, strides in elements, and addresses of arrays.

    x (T, B, I) has the strides `x_step` and `x_row`; h0 and c0 (L*D, B, H) are None for zeros. The pass fills y
    (T, B, D*H), h_n and c_n (L*D, B, H) and, unless it is None, `saved` with what a backward pass needs. `lengths` are
    B numbers from 1 to T, as `c_lengths` makes them, or None where all sequences have T steps. Where `packed` is not 0,
    x, y and their gradients have the rows of all valid steps one after another, the longest sequence first, as the data
    of PyTorch's `PackedSequence`, and `x_step` is not read.
    """

    _fields_ = (
        ("T", _LONG),
        ("B", _LONG),
        ("x", _POINTER),
        ("x_step", _LONG),
        ("x_row", _LONG),
        ("h0", _POINTER),
        ("c0", _POINTER),
        ("saved", _POINTER),
        ("y", _POINTER),
        ("h_n", _POINTER),
        ("c_n", _POINTER),
        ("lengths", _POINTER),
        ("packed", _LONG),
    )


class BackwardArguments(ctypes.Structure):
    """`BackwardArguments` of api.cpp: addresses of the cotangents, and of the gradients to fill.

    `weights` is one array for the gradients of all weights. It and `dx` are None where nobody asks for them.
    """

    _fields_ = tuple((name, _POINTER) for name in ("dy", "dh_n", "dc_n", "dx", "dh0", "dc0", "weights"))


class Native:
    """The functions of a library of kernels, with the types of their arguments.

    `forward` and `backward` take addresses of the records above, and return 0, or 1 when memory ran out. Python's lock
    is released while they run.
    """

    def __init__(self, library: Library) -> None:
        whole = ctypes.c_int

        def function(name: str, result: type[Any] | None, *arguments: type[Any]) -> Any:
            found = getattr(library.functions, f"rnn_{name}")
            found.restype, found.argtypes = result, arguments
            return found

        # Prototypes of pointers to records would cost a conversion in each call.
        self.create = function("create", _POINTER, whole, whole, _LONG, _LONG, whole, _POINTER, _POINTER)
        self.destroy = function("destroy", None, _POINTER)
        self.saved_size = function("saved_size", _LONG, _POINTER)
        self.weights_changed = function("weights_changed", whole, _POINTER)
        self.forward = function("forward", whole, _POINTER, _POINTER)
        self.backward = function("backward", whole, _POINTER, _POINTER, _POINTER)
        self.borrow_threads = function("borrow_threads", None, _POINTER, _POINTER)
        self.vector_bits = function("vector_bits", whole)


# Looked up once: a small network takes no longer than its addresses.
_addressof, _from_buffer = ctypes.addressof, ctypes.c_char.from_buffer


def address(array: NumpyArray) -> int:
    """The address of an array's first element."""
    return address_of_contiguous(array) if array.flags.carray else array.ctypes.data


def address_of_contiguous(array: NumpyArray) -> int:
    """The address of a contiguous, writable array that is not empty: several times faster than `array.ctypes`."""
    return _addressof(_from_buffer(array))  # type: ignore[arg-type]  # an array is a buffer


def c_lengths(lengths: Sequence[int]) -> ctypes.Array[ctypes.c_long]:
    """Lengths as the kernels read them; the caller keeps the array until the last pass with its address is done."""
    return (ctypes.c_long * len(lengths))(*lengths)


def addresses(arrays: Iterable[NumpyArray | None]) -> ctypes.Array[ctypes.c_void_p]:
    """The addresses of arrays, NULL for None."""
    found = [None if array is None else address(array) for array in arrays]
    return (ctypes.c_void_p * len(found))(*found)
