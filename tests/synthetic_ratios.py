"""Log ratios of the time of a head to that of its base, as pairs give them, and what is estimated from them."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.regression.judging import Estimate, estimate_each

NOISE = (0.004, -0.006, 0.001, 0.003, -0.002, 0.005, -0.001, -0.004, 0.002, 0.000, 0.006, -0.003)


def shifted(by: float, count: int = 5) -> list[float]:
    """Log ratios of a case whose time is exp(by) times what it was, with a spread of half a percent."""
    return [by + NOISE[number % len(NOISE)] for number in range(count)]


def estimate(log_ratios: Sequence[float], error: float = 0.05) -> Estimate:
    """Of a case by itself."""
    return estimate_each({"case": log_ratios}, error)["case"]
