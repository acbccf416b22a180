"""The clock of a worker against that of the process that asked it."""

from __future__ import annotations

import pytest

from benchmarks.measuring.checking.clocks import BlockClock, contradiction


def clock(**changed: float) -> BlockClock:
    """A block of ten calls of a millisecond, told as it was."""
    usual = {"sent": 0.0, "began": 0.001, "ended": 0.0113, "received": 0.012, "timed": 0.010, "untimed": 0.0002}
    return BlockClock(**{**usual, **changed}, calls=10)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, None),
        ({"began": -1.0, "ended": -0.99}, "does not show the machine's time"),
        ({"ended": 0.5}, "does not show the machine's time"),
        ({"received": 0.1, "on_core": 0.1}, "goes slower than the machine's: it counted 11% of the time"),
        ({"received": 0.1, "on_core": 0.011}, None),
        ({"timed": 0.001}, "work is left out of what is timed"),
        ({"timed": 0.0099}, None),
        ({"timed": 0.009, "on_core": 0.001}, None),
    ],
)
def test_times_that_contradict_the_asking_process_are_reported(changed: dict[str, float], said: str | None) -> None:
    """A slow clock, and work between the samples, contradict the clock of the asking process."""
    found = contradiction([clock(**changed)] * 3, changed_elements=64)
    assert (found is None) if said is None else (found is not None and said in found)


def test_one_disturbed_block_is_no_contradiction() -> None:
    """A process may lose its core between two samples, but not in every block."""
    disturbed = clock(received=0.2, ended=0.15, untimed=0.0)
    assert contradiction([disturbed, clock()], changed_elements=64) is None
    assert contradiction([], changed_elements=64) is None
