"""What others took of the cores, from readings that are known."""

from __future__ import annotations

import pytest

from benchmarks.measuring.processes.interference import CoreSeconds, Interference


def test_what_is_not_ours_is_somebody_elses() -> None:
    """Two cores for a second: 1.5 s of work, 1.1 s of it ours, so 0.4 of 2 s went elsewhere; blocks add up."""
    interference = Interference()
    interference.add(CoreSeconds(10.0, 100.0, 5.0), CoreSeconds(11.0, 101.5, 6.1), cores=2)
    assert interference.share == pytest.approx(0.2)
    interference.add(CoreSeconds(20.0, 200.0, 7.0), CoreSeconds(21.0, 201.0, 8.0), cores=2)
    assert interference.share == pytest.approx(0.1)


def test_clock_ticks_do_not_make_a_share_below_zero() -> None:
    """The machine's clock counts in ticks of 10 ms: ours may seem more than all."""
    interference = Interference()
    interference.add(CoreSeconds(0.0, 0.0, 0.0), CoreSeconds(0.05, 0.04, 0.05), cores=2)
    assert interference.share == 0.0


def test_without_a_block_nothing_is_known() -> None:
    """The share without a block is None, not zero."""
    assert Interference().share is None
