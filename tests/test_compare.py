"""The verdict of comparing two runs, as a pure function of an interval."""

from __future__ import annotations

import pytest

from benchmarks.reporting.compare import verdict


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.5, 0.9, "faster"),
        (1.1, 1.5, "slower"),
        (0.97, 1.04, "same"),
        (0.9, 1.2, "cannot tell"),
        (1.0, 1.2, "cannot tell"),
        (0.8, 1.0, "cannot tell"),
        (1.051, 1.052, "slower"),
    ],
)
def test_a_verdict_needs_the_whole_interval_on_one_side_of_the_floor(low: float, high: float, expected: str) -> None:
    """`faster` and `slower` need the whole interval beyond the floor, `same` needs it within."""
    assert verdict(low, high, floor=0.05) == expected
