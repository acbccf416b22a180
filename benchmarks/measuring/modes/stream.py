"""The inputs of a stream of calls, which a seed gives to the measuring process and to the one that checks.

Each call has an x of its own, new in every value, as a stream has: a window of one array of drawn values, at a place
that is drawn for the call. So the array is small enough to stay in the caches beside the network.
"""

from __future__ import annotations

import numpy as np

from benchmarks.workload import Workload
from rnnimpl.dtypes import round_to
from rnnimpl.interface import NumpyArray

PLACES = 4096
"""Windows of the array of drawn values."""
BLOCK_SECONDS = 0.1
"""How long the calls of a block last, with what is between them."""
COLD_BLOCK_SECONDS = 0.4
"""The same where the caches are emptied between calls, which takes longer than most calls."""
MOST_CALLS = 20_000
"""Timed calls of a block."""
SILENCE_SECONDS = 1.0
"""The sleep before the call that shows how a network answers after a pause."""


def block_seconds(workload: Workload) -> float:
    """How long the calls of a block last."""
    return COLD_BLOCK_SECONDS if workload.caches == "cold" else BLOCK_SECONDS


class Stream:
    """The x (T, B, I) of each call of a block, in the config's carrier dtype."""

    def __init__(self, workload: Workload, seed: int, calls: int) -> None:
        generator = np.random.default_rng(seed)
        self._shape = workload.T, workload.B, workload.I
        self._size = workload.T * workload.B * workload.I
        drawn = generator.standard_normal(self._size + PLACES, dtype=np.float32)
        self._drawn = round_to(drawn, workload.dtype)
        self.places: list[int] = generator.integers(0, PLACES, calls).tolist()

    def x(self, call: int) -> NumpyArray:
        """The input of a call, from 0; a view of the drawn values."""
        place = self.places[call]
        return self._drawn[place : place + self._size].reshape(self._shape)

    def joined(self, first: int, last: int) -> NumpyArray:
        """The inputs of the calls `first` to `last`, with both, one after another: (calls * T, B, I)."""
        return np.concatenate([self.x(call) for call in range(first, last + 1)])
