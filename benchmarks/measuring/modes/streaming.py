"""A block of calls each of whose times is kept: a stream that hands its state on, or sequences one after another.

Nothing here knows the expected results; `stream_checking` compares them in the asking process.
"""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.machine import last_level_cache_bytes
from benchmarks.measuring.calls import arrays
from benchmarks.measuring.calls.call import Results
from benchmarks.measuring.calls.timing import CallSeconds
from benchmarks.measuring.measure import Subject, Wrong
from benchmarks.measuring.modes.stream import MOST_CALLS, Stream, block_seconds
from rnnimpl.interface import NumpyArray, Unavailable

EVICTION_FACTOR = 2
"""Bytes read between calls with cold caches, in last-level caches."""
CHANGE_SECONDS = 2e-6
"""What lies between two calls, about: a new input."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class StreamRequest:
    """A block of calls: the `seed` of its inputs, and the call whose results are kept.

    `lead` calls without a time come first; they begin from a zero state. The kept call is the first timed one at
    `place` 0, the last below 1, and number `latest` at most. Before the first timed call the process sleeps for
    `silence_seconds`, and then makes this one alone. `begin_at` is a reading of the machine's clock, at which several
    processes begin together; 0 is at once.
    """

    seed: int
    lead: int
    place: float
    latest: int
    silence_seconds: float = 0.0
    begin_at: float = 0.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class StreamedBlock:
    """A block by this process's clock: `began` and `ended` are readings of it, with `calls` timed calls between them.

    The first of these began at `started`. `untimed_seconds` went into the first calls, emptying caches, sleeping,
    waiting and keeping results. `position` is the kept call.
    """

    calls: int
    position: int
    began: float
    started: float
    ended: float
    untimed_seconds: float


class StreamSubject(Subject):
    """A case of which every call is timed and kept. Raises as `Subject`, and Unavailable where no cache is known."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._carries = self.workload.mode == "streaming"
        self._y: Any = None
        self._state: Any = None
        self._nanoseconds = np.zeros(0, np.int64)
        self._eviction: npt.NDArray[np.int64] | None = None
        self._between_seconds = CHANGE_SECONDS
        if self.workload.caches == "cold":
            self._eviction = eviction_array()
            start = self.clock()
            self._evict()
            self._between_seconds = self.clock() - start

    def changed_call(self) -> CallSeconds:
        """One call on a new input, from the state of the call before where the workload hands it on."""
        self.input.change()
        return CallSeconds(self._step(), 0.0)

    def stream(self, request: StreamRequest) -> StreamedBlock:
        """Make the calls of a block and keep their times, and the results of one of them."""
        clock = self.clock
        began = clock()
        stream = Stream(self.workload, request.seed, request.lead + MOST_CALLS)
        silent = request.silence_seconds > 0
        position = 0 if silent else min(int(request.place * self._expected_calls()), request.latest, MOST_CALLS - 1)
        self._y = self._state = self._kept = None
        for call in range(request.lead):
            self.input.change_all(stream.x(call))
            self._step()
        if silent:
            time.sleep(request.silence_seconds)
        while clock() < request.begin_at:
            pass
        start = clock()
        untimed_seconds = start - began
        end = start + block_seconds(self.workload)
        times: list[float] = []
        while len(times) <= position or (not silent and len(times) < MOST_CALLS and clock() < end):
            self.input.change_all(stream.x(request.lead + len(times)))
            if self._eviction is not None:
                untimed_seconds += self._evict()
            times.append(self._step())
            if len(times) - 1 == position:
                keeping = clock()
                self._keep()
                untimed_seconds += clock() - keeping
        ended = clock()
        self._nanoseconds = np.maximum(np.rint(1e9 * np.array(times)), 1).astype(np.int64)
        return StreamedBlock(
            calls=len(times),
            position=position,
            began=began,
            started=start,
            ended=ended,
            untimed_seconds=untimed_seconds,
        )

    def streamed(self) -> dict[str, NumpyArray]:
        """The results of the kept call of the last block by name, and `nanoseconds`, the time of each of its calls."""
        assert self._kept is not None
        kept, self._kept = self._kept, None
        return {**kept, "nanoseconds": self._nanoseconds}

    def _expected_calls(self) -> int:
        seconds = max(self.call_seconds, 1e-9) + self._between_seconds
        return max(1, min(MOST_CALLS, int(block_seconds(self.workload) / seconds)))

    def _step(self) -> float:
        """One call on the input, its seconds; letting go of the results of the call before is part of it."""
        rnn, clock = self.rnn, self.clock
        if not self._carries:
            self._state = None
        if self.is_converted:
            start = clock()
            self.input.convert()
            self._y, self._state = rnn.forward(self.input.array, self._state)
            rnn.synchronize()
            rnn.to_numpy(self._y)
            return clock() - start
        x, forward, synchronize, state = self.input.array, rnn.forward, rnn.synchronize, self._state
        y, self._y, self._state = self._y, None, None
        start = clock()
        y, state = forward(x, state)
        synchronize()
        end = clock()
        self._y, self._state = y, state
        return end - start

    def _keep(self) -> None:
        """Copy the results of the last call. Raises Wrong where they are not ready, or are no results."""
        called = Results(self.rnn, self._y, self._state, None)
        if not self.is_converted:
            unfinished = [name for name, array in called.named().items() if not arrays.is_finished(array)]
            if unfinished:
                raise Wrong(f"{', '.join(unfinished)} were still being computed when synchronize had returned")
        self._kept = self._read(called)

    def _evict(self) -> float:
        """Read more memory than the caches hold, and return the seconds."""
        assert self._eviction is not None
        start = self.clock()
        self._eviction.max()
        return self.clock() - start


def eviction_array() -> npt.NDArray[np.int64]:
    """An array of `EVICTION_FACTOR` times the bytes of the last-level cache. Raises Unavailable where it is unknown."""
    size = last_level_cache_bytes()
    if size is None:
        raise Unavailable("caches cold: the size of the last-level cache is not known here")
    return np.ones(EVICTION_FACTOR * size // 8, np.int64)
