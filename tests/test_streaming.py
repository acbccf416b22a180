"""Streams: calls that hand their state on, each one timed, and the check that finds a state which was not handed on."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import numpy as np
import pytest

from benchmarks.measuring.checking.expectations import Expectations
from benchmarks.measuring.checking.stream_checking import StreamCheck, expect_stream
from benchmarks.measuring.measure import Wrong
from benchmarks.measuring.modes.stream import MOST_CALLS, Stream
from benchmarks.measuring.modes.streaming import StreamRequest, StreamSubject
from benchmarks.workload import Workload
from rnnimpl import load
from rnnimpl.expectation import name_arrays
from rnnimpl.impls.numpy_loop import NumpyLoop
from rnnimpl.interface import NumpyArray, Rnn, State, Weights

Results = tuple[NumpyArray, State[NumpyArray]]
STREAM = Workload(mode="streaming", T=1, B=1, I=6, H=8, cell="lstm")
EXPECTATIONS = Expectations(seed=1)
BLOCKS = 3


@pytest.fixture(autouse=True)
def short_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of a hundredth of a second, so that a visit takes little."""
    monkeypatch.setattr("benchmarks.measuring.modes.stream.BLOCK_SECONDS", 0.01)
    monkeypatch.setattr("benchmarks.measuring.modes.stream.COLD_BLOCK_SECONDS", 0.01)


def problem(implementation: type[Rnn[Any]], workload: Workload, **changes: Any) -> str | None:
    """What a visit in this process finds wrong in the stream; None where it finds nothing."""
    expected = EXPECTATIONS.get(workload)
    try:
        subject = StreamSubject(implementation, workload, clock=time.perf_counter, seed=expected.seed)
        subject.prepare(expected.expectation, expected.steps, warm_up_seconds=0.0)
        for check in EXPECTATIONS.checks(workload, BLOCKS):
            assert isinstance(check, StreamCheck)
            check = check.on_another_stream(**changes)
            block = subject.stream(check.request)
            results = subject.streamed()
            times = results.pop("nanoseconds")
            assert len(times) == block.calls > block.position
            assert times.sum() / 1e9 <= block.ended - block.started
            found = check.problem(results, block.position)
            if found is not None:
                return found
        subject.finish()
    except Wrong as wrong:
        return str(wrong)
    return None


class ForgetsTheState(NumpyLoop):
    """Begins each call with zeros."""

    devices = ("cpu",)

    def forward(self, x: NumpyArray, state: State[NumpyArray] | None = None) -> Results:
        return super().forward(x, None)


class StateOfLongAgo(NumpyLoop):
    """Goes on with the first state that it was given."""

    devices = ("cpu",)
    first: Any = None

    def forward(self, x: NumpyArray, state: State[NumpyArray] | None = None) -> Results:
        self.first = self.first or state
        return super().forward(x, self.first if state is not None else None)


class SkipsEveryFourth(NumpyLoop):
    """Gives the results of the call before in every fourth call."""

    devices = ("cpu",)
    calls = 0
    before: Any = None

    def forward(self, x: NumpyArray, state: State[NumpyArray] | None = None) -> Results:
        self.calls += 1
        if state is None or self.calls % 4:
            self.before = super().forward(x, state)
        y, state_n = self.before
        return y.copy(), tuple(each.copy() for each in state_n)


class SwapsStates(NumpyLoop):
    """Takes h for c and c for h."""

    devices = ("cpu",)

    def forward(self, x: NumpyArray, state: State[NumpyArray] | None = None) -> Results:
        return super().forward(x, None if state is None else state[::-1])


@pytest.mark.parametrize("faulty", [ForgetsTheState, StateOfLongAgo, SwapsStates])
def test_a_state_that_is_not_handed_on_is_wrong(faulty: type[Rnn[Any]]) -> None:
    """The first call is right in each; a later one shows that the state before did not come into it."""
    found = problem(faulty, STREAM)
    assert found is not None
    assert "did not compute what its inputs and those before it give" in found


def test_a_call_that_was_left_out_is_wrong_in_later_calls() -> None:
    """The check of one call finds a fault in those before it, since their inputs are in the state."""
    expected = expect_stream(STREAM, 1)
    assert expected.memory is not None
    assert expected.memory > 4
    assert problem(SkipsEveryFourth, STREAM) is not None


@pytest.mark.parametrize(
    "workload",
    [
        STREAM,
        dataclasses.replace(STREAM, cell="gru", T=4, B=3),
        dataclasses.replace(STREAM, cell="tanh", L=2, bias=False),
        dataclasses.replace(STREAM, cell="relu"),
        dataclasses.replace(STREAM, dtype="float64"),
        dataclasses.replace(STREAM, caches="cold"),
        dataclasses.replace(STREAM, mode="serving", T=5, B=2, bidirectional=True),
    ],
    ids=lambda workload: workload.id,
)
@pytest.mark.parametrize("name", ["numpy_loop", "nn_rnn", "fused_cpu"])
def test_an_honest_stream_passes(name: str, workload: Workload) -> None:
    """Every cell, chunks, batches and layers pass, warm and cold, and so do sequences one after another."""
    assert problem(load(name), workload) is None


def test_rounding_of_values_that_are_small_by_chance_is_no_fault() -> None:
    """Errors of a state near zero come from the states before it, which were larger."""
    workload = dataclasses.replace(STREAM, cell="gru", I=1, H=1)
    expected = expect_stream(workload, 1)
    rnn = NumpyLoop(workload.config, expected.weights)
    for seed in range(200):
        check = StreamCheck(workload, expected, StreamRequest(seed=seed, lead=expected.lead, place=0.0, latest=0))
        stream = Stream(workload, seed, expected.lead + MOST_CALLS)
        y, state_n = rnn.forward(stream.joined(0, expected.lead))
        assert check.problem(name_arrays(rnn.config, y[-1:], state_n), 0) is None
        assert check.problem(name_arrays(rnn.config, y[-2:-1], state_n), 0) is not None
    assert problem(ForgetsTheState, workload) is not None


def test_the_call_after_a_silence_is_made_alone_and_checked() -> None:
    """The process sleeps before one timed call; it is the one that is kept."""
    start = time.perf_counter()
    assert problem(load("numpy_loop"), STREAM, silence_seconds=0.02) is None
    assert time.perf_counter() - start >= BLOCKS * 0.02
    subject = StreamSubject(load("numpy_loop"), STREAM, clock=time.perf_counter, seed=1)
    (check,) = EXPECTATIONS.checks(STREAM, 1)
    assert isinstance(check, StreamCheck)
    block = subject.stream(check.on_another_stream(silence_seconds=0.02).request)
    assert (block.calls, block.position) == (1, 0)
    assert block.untimed_seconds >= 0.02


def test_a_network_that_does_not_forget_is_checked_from_the_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    """With recurrent weights that keep every state, one of the first calls is kept and computed with all before it."""

    def remembering(config: Any, seed: int) -> Weights:
        drawn = original(config, seed)
        kept = {
            name: np.eye(len(each), dtype=each.dtype) if "weight_hh" in name else each
            for name, each in drawn.arrays.items()
        }
        return dataclasses.replace(drawn, arrays=kept)

    original = Weights.init
    monkeypatch.setattr(Weights, "init", remembering)
    monkeypatch.setattr("benchmarks.measuring.checking.stream_checking.MOST_FORGETTING_STEPS", 32)
    workload = dataclasses.replace(STREAM, cell="relu", I=2, H=3)
    expected = expect_stream(workload, 1)
    assert expected.memory is None
    (check,) = Expectations(seed=1).checks(workload, 1)
    assert isinstance(check, StreamCheck)
    assert check.request.latest < MOST_CALLS - 1


def test_both_processes_have_the_same_stream_and_no_input_twice_in_a_row() -> None:
    """A seed gives the stream again; another gives another."""
    one, same, other = (Stream(STREAM, seed, 500) for seed in (5, 5, 6))
    assert all(np.array_equal(one.x(call), same.x(call)) for call in range(500))
    assert not np.array_equal(one.x(0), other.x(0))
    assert len({one.x(call).tobytes() for call in range(500)}) > 450
    assert one.joined(3, 5).shape == (3, 1, STREAM.I)
