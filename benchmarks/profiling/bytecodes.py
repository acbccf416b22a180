"""How many instructions of Python's interpreter a call takes: what a loop in Python costs, whatever it calls."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def count_bytecodes(call: Callable[[], object]) -> int:
    """Of one call, in this thread: instructions of all Python functions that it runs (sys.settrace)."""
    counted = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal counted
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        counted += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return counted
