"""A value in an error message, as Python writes it, shortened: a stranger's file may hold any value."""

from __future__ import annotations

import reprlib

_REPR = reprlib.Repr()
_REPR.maxlevel = 4
_REPR.maxstring = _REPR.maxlong = _REPR.maxother = 80


def quoted(value: object) -> str:
    """The value as Python writes it, without the parts that are too long or too deep."""
    try:
        return _REPR.repr(value)
    except ValueError:  # Python refuses to write whole numbers of more than some thousand digits
        return f"a {type(value).__name__} too large to be written"
