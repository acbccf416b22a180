"""Groups of three processes, as `calibrate` measures them, whose slowdowns are known."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.regression.calibration.measuring import Group
from benchmarks.regression.calibration.rules import (
    Costs,
)
from benchmarks.regression.calibration.trials import (
    Replay,
)

CASES = ("a", "b")
COSTS = Costs(plain=10.0, dry_run=1.0, pairs={1: 2.0, 2: 4.0})
CONTROLS = ((1.0, 1.0),) * 3


def group(
    number: int,
    again: float = 1.0,
    slowed: float | None = None,
    size: str = "0.2",
    amount: int = 1,
    settled: bool = True,
) -> Group:
    """Two cases of about a second; the second process takes `again` times as long, the third `slowed` times.

    Without `slowed`, the third takes as much longer as `size` says.
    """
    slowed = 1 + float(size) if slowed is None else slowed
    wobble = 1 + 0.002 * (number % 3)
    factors = (1.0, again * wobble, slowed * wobble)
    sides = tuple(dict.fromkeys(CASES, (factor, factor)) for factor in factors)
    summaries = tuple({case: {"mean": each, "min": each, "median": each} for case in CASES} for each in factors)
    sizes, amounts = dict.fromkeys(CASES, size), dict.fromkeys(CASES, amount)
    return Group(sides, summaries, (CONTROLS,) * 3, sizes, amounts, settled, 1.0)


def replay(groups: Sequence[Group]) -> Replay:
    """The replay of these groups."""
    return Replay.of(groups, CASES, COSTS)
