"""The origin of an exception: a statement of this project, of somebody's code, or the interpreter itself."""

from __future__ import annotations

import dis
from types import TracebackType

_OURS = (__name__.partition(".")[0], "rnnimpl")
_RAISE = dis.opmap["RAISE_VARARGS"]


def by_statement(error: BaseException) -> bool:
    """Whether a `raise` statement in Python code raised it.

    False for the ValueError of `max([])` and for the KeyboardInterrupt of Ctrl-C.
    """
    innermost = _innermost(error.__traceback__)
    return innermost is not None and innermost.tb_frame.f_code.co_code[innermost.tb_lasti] == _RAISE


def by_us(error: BaseException) -> bool:
    """Whether a `raise` statement of this project raised it, so that its message is written for the user."""
    innermost = _innermost(error.__traceback__)
    if innermost is None or not by_statement(error):
        return False
    return is_ours(str(innermost.tb_frame.f_globals.get("__name__", "")))


def is_ours(module: str) -> bool:
    """Whether a module belongs to this project."""
    return module.partition(".")[0] in _OURS


def _innermost(found: TracebackType | None) -> TracebackType | None:
    while found is not None and found.tb_next is not None:
        found = found.tb_next
    return found
