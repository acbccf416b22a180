"""The bytecode instructions that Python's interpreter runs in a call, traced by sys.settrace.

The counts are exact. Tracing makes every instruction several times as long, so they are taken in calls of their own.
"""

from __future__ import annotations

import dis
import functools
import gc
import sys
import tracemalloc
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any, NamedTuple

_OPERATIONS = ("BINARY_", "UNARY_", "COMPARE_OP", "STORE_SUBSCR", "STORE_SLICE", "CALL")
"""Beginnings of the names of instructions that call an object's operation (dis, Python 3.11 to 3.14)."""
_PRODUCT_SIGNS = ("@", "@=")
_PRODUCT_NAMES = frozenset({"matmul", "dot", "vdot", "inner", "tensordot", "einsum"})
"""NumPy's functions that multiply matrices."""

Observer = Callable[[FrameType], None]
"""Called before each instruction with the frame that is about to run it, at its `f_lasti`."""


class Instructions(NamedTuple):
    """Numbers of instructions that the interpreter ran in a call, in the calling thread."""

    bytecodes: int
    """Instructions of all kinds."""
    operations: int
    """Instructions that call an object's operation: arithmetic, comparisons, subscripts and calls. In NumPy code almost
    every one is an array operation."""
    products: int
    """Matrix products in Python code, by an operator or by a function of NumPy."""


def count_instructions(call: Callable[[], object]) -> Instructions:
    """The numbers of instructions of one call, in all Python functions that it runs."""
    bytecodes = operations = products = 0

    def note(frame: FrameType) -> None:
        nonlocal bytecodes, operations, products
        bytecodes += 1
        operates, multiplies = operations_of(frame.f_code).get(frame.f_lasti, (False, False))
        operations += operates
        products += multiplies

    trace_instructions(note, call)
    return Instructions(bytecodes, operations, products)


def count_allocated(call: Callable[[], object]) -> int:
    """Bytes that Python and NumPy allocate in one call, freed ones included.

    It is the sum over instructions of the peak of allocated memory above its level before the instruction, by
    tracemalloc, to which NumPy reports its arrays. Allocations by other compiled code are not in it.
    """
    rises: list[int] = []
    held = 0

    def note(_: FrameType) -> None:
        nonlocal held
        rises.append(tracemalloc.get_traced_memory()[1] - held)
        tracemalloc.reset_peak()
        held = tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        held = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        trace_instructions(note, call)
        rises.append(tracemalloc.get_traced_memory()[1] - held)
    finally:
        tracemalloc.stop()
    # Tracing an instruction allocates a few bytes too.
    least = max(0, min(rises))
    return sum(max(0, each - least) for each in rises)


def trace_instructions(observer: Observer, call: Callable[[], object]) -> None:
    """Make a call, with `observer` called before each instruction that this thread runs in it.

    The garbage collector is off meanwhile: it would run finalizers and callbacks of other code within the call.
    """

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        if event == "opcode":
            observer(frame)
        return trace

    before, collects = sys.gettrace(), gc.isenabled()
    gc.disable()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
        if collects:
            gc.enable()


@functools.lru_cache(maxsize=1024)
def operations_of(code: CodeType) -> dict[int, tuple[bool, bool]]:
    """{offset: (is an operation, is a matrix product)} of the instructions that are at least one of them."""
    found = {}
    for each in dis.get_instructions(code):
        operates = each.opname.startswith(_OPERATIONS)
        # A function counts where its name is loaded: the instruction that calls it does not name it.
        named = each.opname.startswith("LOAD_") and each.argval in _PRODUCT_NAMES
        signed = each.opname == "BINARY_OP" and each.argrepr in _PRODUCT_SIGNS
        if operates or named:
            found[each.offset] = (operates, named or signed)
    return found
