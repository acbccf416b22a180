"""Calls at lengths that a process has not had: how long the first and the second call of each take, and the memory.

Engines that compile, or keep a plan, for each shape that they meet take time and memory for each. Nothing here knows
the expected results.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from benchmarks.measuring.calls import arrays, memory
from benchmarks.measuring.calls.call import Results
from benchmarks.measuring.calls.changing_input import ChangingInput
from benchmarks.measuring.measure import Subject, Wrong
from benchmarks.workload import Workload
from rnnimpl.dtypes import round_to
from rnnimpl.interface import NumpyArray

LENGTHS = 100
"""Lengths of a visit, if the workload has as many below T."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LengthsRequest:
    """Some lengths to call at, the `seed` of their inputs, and the place among them whose results are kept."""

    lengths: Sequence[int]
    seed: int
    kept: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class LengthsBlock:
    """The seconds of the first call at each length and of the second, and resident bytes before and after them all.

    `began` and `ended` are readings of this process's clock; `untimed_seconds` between them went into inputs.
    """

    seconds: Sequence[float]
    repeated_seconds: Sequence[float]
    held_bytes: int
    grown_bytes: int
    began: float
    ended: float
    untimed_seconds: float


def length_inputs(workload: Workload, request: LengthsRequest, place: int) -> tuple[NumpyArray, NumpyArray]:
    """The inputs (T, B, I) of the first and the second call at the length at `place`."""
    generator = np.random.default_rng([request.seed, place])
    shape = request.lengths[place], workload.B, workload.I
    first, second = (round_to(generator.standard_normal(shape, dtype=np.float32), workload.dtype) for _ in range(2))
    return first, second


class LengthsSubject(Subject):
    """A case that is called at many lengths. Raises as `Subject`."""

    def lengths(self, request: LengthsRequest) -> LengthsBlock:
        """Make two calls at each length and keep the results of one."""
        clock = self.clock
        began = clock()
        self._kept = None
        held_bytes = memory.resident()
        first_seconds: list[float] = []
        second_seconds: list[float] = []
        for place in range(len(request.lengths)):
            first, second = length_inputs(self.workload, request, place)
            # The array is made from other values, so nothing can be computed when it is made.
            values = np.zeros_like(first)
            self.input = ChangingInput(self.rnn, values, self.rnn.from_numpy(values))
            self.rnn.synchronize()
            first_seconds.append(self._call(first, keep=place == request.kept))
            second_seconds.append(self._call(second, keep=False))
        ended = clock()
        return LengthsBlock(
            seconds=first_seconds,
            repeated_seconds=second_seconds,
            held_bytes=held_bytes,
            grown_bytes=memory.resident(),
            began=began,
            ended=ended,
            untimed_seconds=ended - began - sum(first_seconds) - sum(second_seconds),
        )

    def of_length(self) -> dict[str, NumpyArray]:
        """The kept results by name."""
        assert self._kept is not None
        kept, self._kept = self._kept, None
        return kept

    def _call(self, x: NumpyArray, *, keep: bool) -> float:
        """One call on x, in seconds."""
        self.input.change_all(x)
        rnn, clock = self.rnn, self.clock
        start = clock()
        if self.is_converted:
            self.input.convert()
        y, state_n = rnn.forward(self.input.array)
        rnn.synchronize()
        if self.is_converted:
            rnn.to_numpy(y)
        seconds = clock() - start
        if keep:
            called = Results(rnn, y, state_n, None)
            unfinished = [name for name, array in called.named().items() if not arrays.is_finished(array)]
            if unfinished and not self.is_converted:
                raise Wrong(f"{', '.join(unfinished)} were still being computed when synchronize had returned")
            self._kept = self._read(called)
        return seconds
