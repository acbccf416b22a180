"""Warm-up and sampling, on a clock that is moved by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from benchmarks.measuring.calls.timing import (
    CallSeconds,
    calls_per_sample,
    resolution,
    sample_block,
    timed_in_turns,
    warm_up,
)


class FakeClock:
    """A clock that goes on only when a call takes its time, and by a tick at each reading."""

    def __init__(self, tick: float = 0.0) -> None:
        self.now = 0.0
        self.tick = tick
        self.calls = 0

    def __call__(self) -> float:
        self.now += self.tick
        return self.now

    def timed(self, durations: Iterable[float], backward_share: float = 0.0) -> Callable[[], CallSeconds]:
        """A call that takes the next of these durations."""
        remaining: Iterator[float] = iter(durations)

        def call() -> CallSeconds:
            self.calls += 1
            duration = next(remaining)
            self.now += duration
            return CallSeconds(duration, duration * backward_share)

        return call


def forever(duration: float) -> Iterator[float]:
    """The duration, endlessly."""
    while True:
        yield duration


def test_the_resolution_is_the_smallest_step_of_the_clock() -> None:
    """A clock that ticks by a microsecond resolves a microsecond."""
    assert abs(resolution(FakeClock(tick=1e-6)) - 1e-6) < 1e-12


def test_a_warm_up_of_steady_calls_ends_after_the_least_time() -> None:
    """Steady calls need no more than the least time."""
    clock = FakeClock()
    warmed = warm_up(clock.timed(forever(0.001)), clock, least=0.05, most=1.0)
    assert warmed.steady
    assert 0.05 <= warmed.elapsed < 0.07
    assert warmed.call == 0.001


def test_a_warm_up_goes_on_while_calls_become_faster() -> None:
    """Calls that are still being tuned are no steady ones, however often they were made."""
    clock = FakeClock()

    def faster_and_faster() -> Iterator[float]:
        duration = 0.02
        while True:
            yield duration
            duration = max(0.001, duration * 0.9)

    warmed = warm_up(clock.timed(faster_and_faster()), clock, least=0.05, most=10.0)
    assert warmed.steady
    assert warmed.call == 0.001


def test_a_warm_up_that_never_becomes_steady_ends_at_the_most() -> None:
    """The result says that calls were not steady."""
    clock = FakeClock()

    def jumping() -> Iterator[float]:
        while True:
            yield 0.02
            yield 0.03

    warmed = warm_up(clock.timed(jumping()), clock, least=0.01, most=1.0)
    assert not warmed.steady
    assert 1.0 <= warmed.elapsed < 1.1


def test_a_long_call_is_warmed_up_by_few_calls() -> None:
    """A call longer than the whole warm-up is made once."""
    clock = FakeClock()
    warm_up(clock.timed(forever(2.0)), clock, least=0.05, most=1.0)
    assert clock.calls == 1


def test_a_sample_is_long_enough_for_the_clock() -> None:
    """The clock's resolution is a thousandth of a sample at most."""
    calls = calls_per_sample(1e-6, clock_resolution=1e-7, block_seconds=0.0001, samples=8)
    assert calls * 1e-6 >= 1e-7 * 1000


def test_samples_fill_a_block() -> None:
    """Short calls are gathered so that a block has the wanted number of samples; long ones stand alone."""
    assert calls_per_sample(1e-4, clock_resolution=1e-8, block_seconds=0.04, samples=8) == 50
    assert calls_per_sample(1.0, clock_resolution=1e-8, block_seconds=0.04, samples=8) == 1


def test_a_block_has_at_least_one_sample_and_at_most_the_wanted_number() -> None:
    """A call longer than the block is one sample; short calls stop at the number."""
    clock = FakeClock()
    assert len(sample_block(clock.timed(forever(1.0)), clock, calls=1, block_seconds=0.03, samples=8)) == 1
    clock = FakeClock()
    assert len(sample_block(clock.timed(forever(0.001)), clock, calls=1, block_seconds=0.03, samples=8)) == 8
    clock = FakeClock()
    assert len(sample_block(clock.timed(forever(0.01)), clock, calls=1, block_seconds=0.03, samples=8)) == 3


def test_a_sample_is_the_mean_of_its_calls_and_no_call_is_dropped() -> None:
    """The slow call counts too, in both parts."""
    clock = FakeClock()
    samples = sample_block(
        clock.timed([1.0, 3.0, 1.0, 7.0], backward_share=0.5), clock, calls=2, block_seconds=9.0, samples=2
    )
    assert samples == [CallSeconds(2.0, 1.0), CallSeconds(4.0, 2.0)]


def test_calls_take_turns_until_the_time_is_over() -> None:
    """Calls of 1 s and 2 s have two turns in 5 s, and one however short the time."""
    clock = FakeClock()
    calls = [clock.timed(forever(duration)) for duration in (1.0, 2.0)]
    assert timed_in_turns(calls, clock, 5.0) == [(1.0, 2.0)] * 2
    assert timed_in_turns(calls, clock, 0.0) == [(1.0, 2.0)]
