"""The addresses of code and arrays in workers: one layout for all workers of a round, another for each round.

Linux places libraries, heap and stack of each process at random, and some places make code slower for as long as the
process lives. So workers start without that randomization, and each round shifts what they load by its own distance.
The implementations of a round are compared in one layout, and the rounds sample several (Mytkowicz et al. 2009,
Producing Wrong Data Without Doing Anything Obviously Wrong!). `docs/measuring.md` has figures.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import sys
from collections.abc import Iterator

_ADDR_NO_RANDOMIZE = 0x0040000
_QUERY = 0xFFFFFFFF
SHIFT_BYTES = 73 * 2**21
"""The distance between two layouts: a prime number of huge pages, so that layouts do not repeat modulo a power of
two."""

_held: list[mmap.mmap] = []


@contextlib.contextmanager
def fixed_layout() -> Iterator[bool]:
    """Start processes without address randomization in the block; yields whether the system allows it."""
    if not sys.platform.startswith("linux"):
        yield False
        return
    personality = ctypes.CDLL(None).personality
    personality.argtypes = [ctypes.c_ulong]
    before = personality(_QUERY)
    # The setting is inherited; it does not move this process.
    fixed = before >= 0 and personality(before | _ADDR_NO_RANDOMIZE) >= 0
    try:
        yield fixed
    finally:
        if fixed:
            personality(before)


def shift_layout(layout: int) -> None:
    """Shift everything that this process loads from now on down by `layout` distances; for before its framework.

    The distance is reserved and not used, so it takes no memory.
    """
    if layout and sys.platform.startswith("linux"):
        no_access = 0
        _held.append(mmap.mmap(-1, layout * SHIFT_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=no_access))
