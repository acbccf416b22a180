"""What the threads of this process are doing, looked at again and again by `native/sampler.cpp`."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rnnimpl.native.build import library

SOURCE = Path(__file__).parent / "native" / "sampler.cpp"
INTERVAL_SECONDS = 4e-3
"""Mean time between two looks; each is random between half and one and a half times this."""
CAPACITY = 500_000

WAITS = 0
"""In place of an address: the thread was asleep in the kernel."""
HAS_NO_CORE = 1
"""The thread could have run, and somebody else had its core."""
FORWARD = 1
BACKWARD = 2

SAMPLE = np.dtype(
    [
        *(("address", "u8"), ("caller", "u8"), ("nanoseconds", "u8")),
        *(("look", "u4"), ("thread", "i4"), ("phase", "i4"), ("interval", "u4")),
    ],
)
"""One thread at one look. The main thread is in every look, others where they ran.

`caller` is where in the code that `callers` named the main thread was called from, else 0. `phase` and `nanoseconds`,
of the clock of `time.perf_counter_ns`, are of when the main thread answered. `interval` are the nanoseconds that were
drawn to lie between the look before and this one: added up over looks, the time that they stand for.
"""


class Sampler:
    """Looks at this process between `start` and `stop`; what it finds while `phase.value` is 0 is dropped.

    The thread that starts it is the main one. Raises `rnnimpl.Unavailable`, with what is missing, where the
    sampler cannot be compiled or loaded.
    """

    def __init__(self, interval_seconds: float = INTERVAL_SECONDS) -> None:
        self.interval_seconds = interval_seconds
        self._native = library(SOURCE).functions
        self._native.sampler_phase.restype = ctypes.POINTER(ctypes.c_int32)
        self._native.sampler_callers.argtypes = [ctypes.POINTER(ctypes.c_uint64), ctypes.c_int]
        self._native.sampler_start.argtypes = [ctypes.c_double, ctypes.c_long]
        self._native.sampler_stop.restype = ctypes.c_long
        self._native.sampler_samples.restype = ctypes.c_void_p
        self.phase: ctypes.c_int32 = self._native.sampler_phase().contents

    def callers(self, code: Sequence[tuple[int, int]]) -> None:
        """From now on look also for where in this code, ranges of addresses, the main thread was called from.

        What lies between must keep frame pointers.
        """
        addresses = [address for begin_and_end in code for address in begin_and_end]
        self._native.sampler_callers((ctypes.c_uint64 * len(addresses))(*addresses), len(code))

    def start(self) -> None:
        """Begin to look. Raises OSError when no thread or no signal can be had."""
        failed = self._native.sampler_start(self.interval_seconds, CAPACITY)
        if failed:
            raise OSError(failed, os.strerror(failed))

    def stop(self) -> np.ndarray[tuple[int], np.dtype[np.void]]:
        """End, and give the samples of `SAMPLE` since `start`, by look."""
        count = self._native.sampler_stop()
        content = ctypes.string_at(self._native.sampler_samples(), count * SAMPLE.itemsize)
        return np.frombuffer(content, SAMPLE)
