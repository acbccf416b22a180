"""The control bits of floating point of this thread, read and set: whether denormal numbers are taken for zero.

Linux keeps them for each thread, and a new thread begins with those of the thread that starts it. On x86-64 they are
the upper bits of MXCSR (Intel's manual, volume 1, section 10.2.3), which glibc's `fegetenv` stores after the 28 bytes
of the x87 environment; on AArch64 they are FPCR, which `fegetenv` stores first. The status bits, which any
computation may set, are left out.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import platform
import sys
from collections.abc import Iterator
from typing import NamedTuple


class _Place(NamedTuple):
    """Where `fegetenv` stores the register, its control bits, and those that flush denormal numbers."""

    offset: int
    control: int
    flush: int


# MXCSR: flush to zero (results) is bit 15, denormals are zeros (operands) bit 6; bits 0 to 5 are the status.
_PLACES = {"x86_64": _Place(28, 0xFFC0, 0x8040), "aarch64": _Place(0, 0xFFFFFFFF, 1 << 24)}
_ENVIRONMENT_BYTES = 64
"""More than any of these environments has."""


def control_bits() -> int | None:
    """The control bits of this thread; None where this system's are not known."""
    found = _read()
    return None if found is None else found[1]


def flushes_denormals(bits: int) -> bool:
    """Whether these control bits, of this machine, flush denormal numbers: results, operands or both."""
    place = _place()
    return place is not None and bool(bits & place.flush)


def flush_denormals() -> bool:
    """Have this thread, and those that it starts from now on, take denormal numbers for zero; whether it could."""
    found, place = _read(), _place()
    if found is None or place is None:
        return False
    environment, _ = found
    _register(environment, place.offset).value |= place.flush
    _mathematics().fesetenv(environment)
    after = control_bits()
    return after is not None and flushes_denormals(after)


@contextlib.contextmanager
def keeping_denormals() -> Iterator[None]:
    """Compute with denormal numbers in the block, whatever this thread does outside of it."""
    found, place = _read(), _place()
    if found is None or place is None or not flushes_denormals(found[1]):
        yield
        return
    environment, _ = found
    register = _register(environment, place.offset)
    flushing = register.value
    register.value &= ~place.flush
    _mathematics().fesetenv(environment)
    try:
        yield
    finally:
        register.value = flushing
        _mathematics().fesetenv(environment)


def in_words(bits: int | None) -> str:
    """The bits as a trial holds them: `0x1f80`, `0x9fc0, flushes denormals`; empty where they are not known."""
    if bits is None:
        return ""
    return f"{bits:#x}, flushes denormals" if flushes_denormals(bits) else f"{bits:#x}"


@functools.cache
def _place() -> _Place | None:
    return _PLACES.get(platform.machine()) if sys.platform.startswith("linux") else None


def _read() -> tuple[ctypes.Array[ctypes.c_char], int] | None:
    """The environment of this thread and its control bits."""
    place = _place()
    if place is None:
        return None
    environment = ctypes.create_string_buffer(_ENVIRONMENT_BYTES)
    if _mathematics().fegetenv(environment):
        return None
    return environment, _register(environment, place.offset).value & place.control


def _register(environment: ctypes.Array[ctypes.c_char], offset: int) -> ctypes.c_uint32:
    return ctypes.c_uint32.from_buffer(environment, offset)


@functools.cache
def _mathematics() -> ctypes.CDLL:
    return ctypes.CDLL("libm.so.6")
