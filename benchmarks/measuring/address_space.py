"""Where code and arrays lie in a worker's memory: drawn once a round for all workers, not once a process.

Linux places libraries, heap and stack of each process at random. Where PyTorch's library falls can make a backward
pass 15 % slower for as long as the process lives (on a Zen processor, for about one place in seven). So workers start
without that randomization, and each round shifts what they load by a distance of its own: the implementations of a
round are compared in one layout, and the rounds sample several (Mytkowicz et al. 2009, Producing Wrong Data Without
Doing Anything Obviously Wrong!).
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
"""From one layout to the next: a prime number of huge pages, so that no power of two is met twice soon."""

_held: list[mmap.mmap] = []


@contextlib.contextmanager
def fixed_layout() -> Iterator[bool]:
    """Processes started inside are not randomized; yields whether that could be had (not in some containers)."""
    if not sys.platform.startswith("linux"):
        yield False
        return
    personality = ctypes.CDLL(None).personality
    personality.argtypes = [ctypes.c_ulong]
    before = personality(_QUERY)
    # It belongs to this thread and is inherited; this process itself stays where it is.
    fixed = before >= 0 and personality(before | _ADDR_NO_RANDOMIZE) >= 0
    try:
        yield fixed
    finally:
        if fixed:
            personality(before)


def is_fixed() -> bool:
    """Whether this process was started without randomization."""
    if not sys.platform.startswith("linux"):
        return False
    personality = ctypes.CDLL(None).personality
    personality.argtypes = [ctypes.c_ulong]
    found = personality(_QUERY)
    return bool(found >= 0 and found & _ADDR_NO_RANDOMIZE)


def shift_layout(layout: int) -> None:
    """Have what this process loads from now on lie `layout` distances lower: before it imports its framework.

    The distance is reserved, not used: it takes no memory.
    """
    if layout and sys.platform.startswith("linux"):
        no_access = 0
        _held.append(mmap.mmap(-1, layout * SHIFT_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=no_access))
