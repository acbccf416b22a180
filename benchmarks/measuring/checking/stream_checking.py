"""The check of one call of a stream in the asking process: the state that was handed on, and what came of it.

The kept call could not be known before. The state after it depends on all inputs since the block began, and a network
forgets: with states as far apart as zeros and ones, the reference comes to the same results, within a share of their
limits, after some calls. So it is computed from zeros over that many calls before the kept one, and the carried state
has to be its state. Of a network that does not forget, one of the first calls is kept, and the reference starts with
the block. Where no state is handed on, the kept call is all there is to compute.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks.measuring.checking.call_checking import limits_of, output_bytes, problem_in_results, sizes_of
from benchmarks.measuring.inputs import make_inputs
from benchmarks.measuring.modes.stream import MOST_CALLS, Stream
from benchmarks.measuring.modes.streaming import StreamRequest
from benchmarks.workload import Workload
from rnnimpl import reference
from rnnimpl.expectation import name_arrays, relative
from rnnimpl.interface import NumpyArray, State, Weights
from rnnimpl.tolerance import expect

LEAST_LEAD = 4
"""Calls before the first timed one: the caches then hold the network, and its code has been used."""
MOST_FORGETTING_STEPS = 1024
"""Steps after which a network counts as one that does not forget."""
FORGOTTEN_SHARE = 0.1
"""Share of the limits within which results from two states have to agree."""
LATEST_UNFORGOTTEN = 64
"""Calls of a network that does not forget among which the kept one is."""


@dataclasses.dataclass(frozen=True, eq=False)
class StreamExpected:
    """The part of a stream that the state after a call depends on, and the limits of results.

    `memory` is the number of calls before a call; None where the network does not forget. `limits` are of errors
    relative to `sizes`, the largest values of results in other calls, or to a call's own where they are larger.
    """

    weights: Weights
    memory: int | None
    limits: Mapping[str, float]
    sizes: Mapping[str, float]

    @property
    def lead(self) -> int:
        """Calls before the first timed one."""
        return max(LEAST_LEAD, self.memory or 0)


@dataclasses.dataclass(frozen=True, eq=False)
class StreamCheck:
    """One block of calls to ask for, and the check of the call whose results are kept."""

    workload: Workload
    expected: StreamExpected
    request: StreamRequest

    def on_another_stream(self, **changes: Any) -> StreamCheck:
        """The check on other inputs, with `changes` of its request."""
        request = dataclasses.replace(self.request, seed=random.SystemRandom().getrandbits(48), **changes)
        return dataclasses.replace(self, request=request)

    @property
    def result_bytes(self) -> int:
        """Bytes of a call's results in float64."""
        return output_bytes(self.workload, self.workload.T)

    def values(self, position: int) -> dict[str, NumpyArray]:
        """The expected results of a timed call by name, in float64."""
        call = self.request.lead + position
        first = 0 if self.expected.memory is None else call - self.expected.memory
        x = Stream(self.workload, self.request.seed, self.request.lead + MOST_CALLS).joined(first, call)
        return _last_call(self.workload, self.expected.weights, x, None)

    def problem(self, results: Mapping[str, NumpyArray], position: int) -> str | None:
        """Why the results are not those of the stream's inputs, in a sentence; None where they are."""
        expected = self.values(position)
        failing = f"timed call {position} did not compute what its inputs and those before it give"
        limits, sizes = self.expected.limits, self.expected.sizes
        return problem_in_results(results, expected, limits=limits, sizes=sizes, failing=failing)


def make_stream_checks(workload: Workload, expected: StreamExpected, blocks: int) -> list[StreamCheck]:
    """A check for each block of a visit, drawn from the system's random source."""
    drawn = random.SystemRandom()
    latest = (MOST_CALLS if expected.memory is not None else LATEST_UNFORGOTTEN) - 1
    requests = [
        StreamRequest(seed=drawn.getrandbits(48), lead=expected.lead, place=drawn.random(), latest=latest)
        for _ in range(blocks)
    ]
    return [StreamCheck(workload, expected, request) for request in requests]


def expect_stream(workload: Workload, seed: int) -> StreamExpected:
    """How far back a workload's calls depend on others, and the limits, on the weights of `make_inputs` with `seed`."""
    weights = make_inputs(workload, seed).weights
    memory: int | None = 0
    forgotten = workload.mode != "streaming"
    while True:
        assert memory is not None
        x = Stream(workload, seed, memory + 1).joined(0, memory)
        expectation = expect(workload.config, weights, x, None, None, None)
        limits = limits_of(workload, expectation.tolerances)
        if not forgotten:
            forgotten = _is_forgotten(workload, weights, x, limits)
        if forgotten or (memory + 1) * workload.T >= MOST_FORGETTING_STEPS:
            return StreamExpected(weights, memory if forgotten else None, limits, sizes_of(expectation.values))
        memory = 2 * memory + 1


def _is_forgotten(workload: Workload, weights: Weights, x: NumpyArray, limits: Mapping[str, float]) -> bool:
    """Whether the last call's results are the same from a state of zeros and from one of ones."""
    zeros = workload.config.zero_state(workload.B)
    of_zeros = _last_call(workload, weights, x, zeros)
    of_ones = _last_call(workload, weights, x, tuple(map(np.ones_like, zeros)))
    return all(
        relative(float(np.abs(of_ones[name] - value).max()), value) <= FORGOTTEN_SHARE * limits[name]
        for name, value in of_zeros.items()
    )


def _last_call(
    workload: Workload, weights: Weights, x: NumpyArray, state: State[NumpyArray] | None
) -> dict[str, NumpyArray]:
    """The results of the last call of several, whose inputs are joined, from the state before the first."""
    y, state_n = reference.forward(workload.config, weights, x, state)
    return name_arrays(workload.config, y[-workload.T :], state_n)
