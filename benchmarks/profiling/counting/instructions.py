"""What Python's interpreter does in a call, instruction by instruction: the one view that NumPy code cannot hide from.

The interpreter says before each instruction where it is (sys.settrace). What follows here is exact counts, in passes
of their own: every instruction is made several times as long by being told of.
"""

from __future__ import annotations

import dis
import functools
import sys
import tracemalloc
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any, NamedTuple

_OPERATIONS = ("BINARY_", "UNARY_", "COMPARE_OP", "STORE_SUBSCR", "STORE_SLICE", "CALL")
"""Instructions that ask an object to do something, by the beginnings of their names (dis, Python 3.11 to 3.14)."""
_PRODUCT_SIGNS = ("@", "@=")
_PRODUCT_NAMES = frozenset({"matmul", "dot", "vdot", "inner", "tensordot", "einsum"})
"""NumPy's functions that multiply matrices."""

Note = Callable[[FrameType], None]
"""Is told of each instruction before it runs: the frame that is about to, at its `f_lasti`."""


class Instructions(NamedTuple):
    """What the interpreter did in a call, in the calling thread."""

    bytecodes: int
    """Instructions of all kinds."""
    operations: int
    """Those that ask an object to do something: arithmetic, comparisons, subscripts and calls. In NumPy code nearly
    each one is an array operation."""
    products: int
    """Matrix products that Python code asked for, as an operator or by a function of NumPy's."""


def count_instructions(call: Callable[[], object]) -> Instructions:
    """Of one call: instructions of all Python functions that it runs."""
    bytecodes = operations = products = 0

    def note(frame: FrameType) -> None:
        nonlocal bytecodes, operations, products
        bytecodes += 1
        operates, multiplies = classes(frame.f_code).get(frame.f_lasti, (False, False))
        operations += operates
        products += multiplies

    told(note, call)
    return Instructions(bytecodes, operations, products)


def count_allocated(call: Callable[[], object]) -> int:
    """Bytes that Python and NumPy take in one call, whether or not they give them back.

    Of each instruction the most that was held at once beyond what was held before (tracemalloc, to which NumPy
    reports its arrays). What compiled code takes by itself is not in it.
    """
    taken: list[int] = []
    held = 0

    def note(_: FrameType) -> None:
        nonlocal held
        taken.append(tracemalloc.get_traced_memory()[1] - held)
        tracemalloc.reset_peak()
        held = tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        held = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        told(note, call)
        taken.append(tracemalloc.get_traced_memory()[1] - held)
    finally:
        tracemalloc.stop()
    # To be told of an instruction takes a few bytes as well.
    least = max(0, min(taken))
    return sum(max(0, each - least) for each in taken)


def told(note: Note, call: Callable[[], object]) -> None:
    """Call, and have the interpreter tell of each instruction that this thread begins in it."""

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        if event == "opcode":
            note(frame)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)


@functools.lru_cache(maxsize=1024)
def classes(code: CodeType) -> dict[int, tuple[bool, bool]]:
    """{offset: (asks an object, asks for a matrix product)} of the instructions that are either."""
    found = {}
    for each in dis.get_instructions(code):
        operates = each.opname.startswith(_OPERATIONS)
        # A function is asked for where its name is loaded; what is then called has no name any more.
        named = each.opname.startswith("LOAD_") and each.argval in _PRODUCT_NAMES
        signed = each.opname == "BINARY_OP" and each.argrepr in _PRODUCT_SIGNS
        if operates or named:
            found[each.offset] = (operates, named or signed)
    return found
