"""The sampler of this process: at random times, what each of its threads is doing (`native/sampler.cpp`)."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np

from rnnimpl.native.build import library

SOURCE = Path(__file__).parent / "native" / "sampler.cpp"
INTERVAL_SECONDS = 4e-3
"""Mean interval between two samples; each interval is random, between half and one and a half times the mean."""
CAPACITY = 500_000
"""Sampled threads that are kept; later ones are dropped."""

WAITS = 0
"""The address that is stored for a thread that waited in the kernel."""
PREEMPTED = 1
"""The address that is stored for a thread that was runnable while another program had its core."""

SAMPLED_THREAD = np.dtype(
    [
        *(("address", "u8"), ("caller", "u8"), ("nanoseconds", "u8")),
        *(("sample", "u4"), ("thread", "i4"), ("pass", "i4"), ("interval", "u4")),
    ],
)
"""One thread in one sample. The main thread is in every sample, other threads where they ran.

`caller` is the main thread's return address within the code that `callers` names, else 0. `pass` and `nanoseconds`,
by the clock of `time.perf_counter_ns`, are those of the main thread's answer. `interval` is the random interval between
the previous sample and this one, in nanoseconds; added up over samples, it is the time that they stand for.
"""

SampledThreads: TypeAlias = np.ndarray[tuple[int], np.dtype[np.void]]
"""Elements of `SAMPLED_THREAD`, ordered by sample."""


class Sampler:
    """Samples this process between `start` and `stop`; samples taken while `current_pass.value` is 0 are dropped.

    The thread that starts it is the main one. Raises `rnnimpl.Unavailable`, with what is missing, where the
    sampler cannot be compiled or loaded.
    """

    def __init__(self, interval_seconds: float = INTERVAL_SECONDS) -> None:
        self.interval_seconds = interval_seconds
        self._native = library(SOURCE, what="the sampler").functions
        self._native.sampler_pass.restype = ctypes.POINTER(ctypes.c_int32)
        self._native.sampler_callers.argtypes = [ctypes.POINTER(ctypes.c_uint64), ctypes.c_int]
        self._native.sampler_start.argtypes = [ctypes.c_double, ctypes.c_long]
        self._native.sampler_stop.restype = ctypes.c_long
        self._native.sampler_sampled_threads.restype = ctypes.c_void_p
        self.current_pass: ctypes.c_int32 = self._native.sampler_pass().contents

    def callers(self, code: Sequence[tuple[int, int]]) -> None:
        """Have later samples hold the main thread's return address within this code, ranges of addresses.

        Every function between that address and the sampled one must keep a frame pointer.
        """
        addresses = [address for begin_and_end in code for address in begin_and_end]
        self._native.sampler_callers((ctypes.c_uint64 * len(addresses))(*addresses), len(code))

    def start(self) -> None:
        """Begin to sample. Raises OSError without memory for samples, a thread or a signal."""
        failed = self._native.sampler_start(self.interval_seconds, CAPACITY)
        if failed:
            raise OSError(failed, os.strerror(failed))

    def stop(self) -> SampledThreads:
        """End, and give the sampled threads since `start`."""
        count = self._native.sampler_stop()
        content = ctypes.string_at(self._native.sampler_sampled_threads(), count * SAMPLED_THREAD.itemsize)
        return np.frombuffer(content, SAMPLED_THREAD)
