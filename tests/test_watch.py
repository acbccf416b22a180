"""Time that is watched, on a clock that is moved by hand: who was suspended does not count it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from benchmarks.measuring.processes.watch import Watch, now


def watched(limit_seconds: float, steps: Sequence[float]) -> tuple[list[bool], Watch]:
    """The watch, and whether its limit was over after each step."""
    at = 0.0
    watch = Watch(limit_seconds, clock=lambda: at)
    over = []
    for step in steps:
        at += step
        over.append(watch.is_over())
    return over, watch


def test_a_limit_is_over_once_it_was_watched_for() -> None:
    """Ten steps of a fifth of a second make two seconds."""
    over, watch = watched(1.9, [0.2] * 10)
    assert over == [False] * 9 + [True]
    assert watch.suspended_seconds == 0


def test_a_suspension_is_not_held_against_anybody() -> None:
    """An hour between two looks extends the limit by an hour."""
    over, watch = watched(1.9, [0.2] * 5 + [3600.0] + [0.2] * 5)
    assert over == [False] * 10 + [True]
    assert watch.suspended_seconds == pytest.approx(3600)


def test_a_slow_tick_counts() -> None:
    """Seconds between two ticks on a busy machine count as watched."""
    over, watch = watched(7.0, [4.0, 4.0])
    assert over == [False, True]
    assert watch.suspended_seconds == 0


def test_the_clock_goes_on() -> None:
    """The clock never goes back."""
    first = now()
    assert now() >= first
