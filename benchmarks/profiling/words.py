"""What a breakdown means, in a sentence: rules over shares, each of them tested."""

from __future__ import annotations

import math
from collections.abc import Mapping

from benchmarks.profiling.kinds import KIND_NAMES, Kind
from benchmarks.reporting.plain_text import share, significant, times

MOST = 0.5
"""A kind that has this share of a call or more is what the call spends its time in."""

REMEDIES: Mapping[Kind, str] = {
    "overhead": "fewer calls a step (a hoisted projection) or a fused kernel would help, a faster GEMM would not",
    "products": "a faster product (packed weights, a larger batch, more threads) would help, fewer calls would not",
    "elementwise": "a cheaper nonlinearity, or one fused into the product, would help",
    "memory": "fewer copies would help: results written where they are needed, no stacking",
    "waiting": "fewer threads, or fewer meetings of them a step, would help",
    "engine": "what it does there its makers' profiler may tell, this one cannot",
}


FEW_CALLS = "calls are few already: longer sequences or larger batches a call would help, a faster GEMM would not"
"""In place of the remedy for overhead, where nothing is called once a step."""
FEWEST_BYTECODES = 5.0
"""A loop in Python takes more instructions a step: two operands and a product are four already."""


def conclusion(
    shares: Mapping[Kind, float],
    operators_per_step: float = math.nan,
    bytecodes_per_step: float = math.nan,
) -> str:
    """What most of the time goes to, how much its absence could win, and what would help.

    `shares` add up to 1. The most that can be won is Amdahl's (1967). Operators, with those
    that operators call, and the interpreter's instructions are NaN where not known.
    """
    ordered = sorted(shares, key=lambda kind: (-shares[kind], kind))
    first = ordered[0]
    if shares[first] < MOST:
        second = ordered[1]
        return (
            f"no kind of work has half of the time: {KIND_NAMES[first]} {share(shares[first])}, "
            f"{KIND_NAMES[second]} {share(shares[second])}; no single change wins more than "
            f"{times(1 / (1 - shares[first]))}"
        )
    left = 1 - shares[first]
    most = f", at most {times(1 / left)}" if left >= 0.01 else ""
    known = not math.isnan(operators_per_step)
    few = operators_per_step < 1 if known else bytecodes_per_step < FEWEST_BYTECODES
    remedy = FEW_CALLS if first == "overhead" and few else REMEDIES[first]
    calls = f", {significant(operators_per_step, 2)} operators a step" if known else ""
    return f"spends {share(shares[first])} in {KIND_NAMES[first]}{calls}: {remedy}{most}"


def limit_words(share_of_attainable: float, bound_by: str | None) -> str:
    """How near a case comes to its limit and what bounds it, to be added to its conclusion; empty if not known."""
    if math.isnan(share_of_attainable) or bound_by is None:
        return ""
    return f"; it reaches {share(share_of_attainable)} of the attainable, bound by {bound_by}"
