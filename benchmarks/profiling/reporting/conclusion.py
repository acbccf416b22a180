"""What a breakdown means, in a sentence: rules over shares and counts, each of them tested."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

from benchmarks.machine.bounds import LIMIT_NAMES
from benchmarks.profiling.sampling.kinds import KIND_NAMES, Kind
from benchmarks.reporting.plain_text import share, significant, times

MOST = 0.5
"""A kind that has this share of a call or more is what the call spends its time in."""
NEAR = 0.8
"""Of the attainable: whoever reaches this has little left to win."""
FEW_CALLS = 1.0
"""What a further step adds in calls, at the least, where something is called once a step."""
PROJECTED_EACH_STEP = 1.5
"""Products that a further step adds to each layer's forward pass: one is the recurrence's, two are with a projection.
All gates of a step are one product, as their weights lie one below the other."""
FAR = 1.25
"""Times as long as the fastest library's products: such products are slow ones."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known of a case beside its shares; NaN where it is not known.

    What a further step adds is the difference between calls of two lengths: what belongs to the call is not in it.
    """

    operators_per_step: float = math.nan
    """PyTorch's, over all steps."""
    calls_of_a_step: float = math.nan
    """What a further step adds: PyTorch's operators, else the operations that Python asks for."""
    products_of_a_step: float = math.nan
    """Matrix products that a further step adds to the forward pass of each layer and direction."""
    share_of_no_step: float = math.nan
    """Of a call's time, what is left when each step has what a further one takes."""
    gates: int = 1
    """Of the cell: a plain RNN has one, its nonlinearity."""
    threads: int = 1
    share_of_attainable: float = math.nan
    bound_by: str | None = None
    """A value of `LIMIT_NAMES`."""
    products_over_fastest: float = math.nan
    """How many times as long its products take as the same ones, each a call of the fastest library."""

    @property
    def one_call(self) -> bool:
        """Whether all steps are one call into compiled code."""
        return self.calls_of_a_step < FEW_CALLS

    @property
    def hoisted(self) -> bool | None:
        """Whether the input projection is taken out of the loop over time; None where that is not known."""
        if math.isnan(self.products_of_a_step) or self.products_of_a_step < 0.5:
            return None
        return self.products_of_a_step < PROJECTED_EACH_STEP


def conclusion(shares: Mapping[Kind, float], facts: Facts | None = None) -> str:
    """What most of the time goes to, what would help, and the most that it could win.

    `shares` add up to 1. The most that can be won is Amdahl's (1967), and no more than the machine allows.
    """
    facts = facts or Facts()
    ordered = sorted(shares, key=lambda kind: (-shares[kind], kind))
    first = ordered[0]
    most = _most(shares[first], facts)
    if shares[first] < MOST:
        second = ordered[1]
        said = (
            f"has no kind of work with half of its time: {KIND_NAMES[first]} {share(shares[first])}, "
            f"{KIND_NAMES[second]} {share(shares[second])}"
        )
        return f"{said}; no single change wins more than {times(most)}{_limit(first, facts)}"
    known = not math.isnan(facts.operators_per_step)
    calls = f", {significant(facts.operators_per_step, 2)} operators a step" if known else ""
    said = f"spends {share(shares[first])} in {KIND_NAMES[first]}{calls}"
    if facts.share_of_attainable >= NEAR:
        left = f", at most {times(most)}" if most > 1 else ""
        return f"{said}: near the limit, little is left to win{left}{_limit(first, facts)}"
    # Where all of the time goes to it and the peaks are not known, nothing says how much there is to win.
    left = f", at most {times(most)}" if math.isfinite(most) else ""
    return f"{said}: {_remedy(first, shares[first], facts)}{left}{_limit(first, facts)}"


def _most(part: float, facts: Facts) -> float:
    """How many times as fast a call could be without a part of it, as far as the machine allows."""
    amdahl = 1 / (1 - part) if part < 1 else math.inf
    allowed = 1 / facts.share_of_attainable if facts.share_of_attainable > 0 else math.inf
    return min(amdahl, allowed)


def _remedy(kind: Kind, part: float, facts: Facts) -> str:
    """What would make a call faster that spends its time in this, and what would not."""
    match kind:
        case "overhead":
            return _less_overhead(part, facts)
        case "products":
            return _faster_products(facts)
        case "elementwise":
            cheaper, same = ("a cheaper nonlinearity", "one") if facts.gates == 1 else ("cheaper gates", "gates")
            fused = "" if facts.one_call else f", or {same} fused into the product,"
            return f"{cheaper}{fused} would help, a faster GEMM would not"
        case "memory":
            return "fewer copies would help: results written where they are needed, no stacking"
        case "waiting":
            if facts.threads == 1:
                return "it has one thread and waits: for a lock, a sleep or another process; `functions.csv` says where"
            return "fewer threads, or fewer meetings of them a step, would help"
        case "engine":
            return "what it does there its makers' profiler may tell, this one cannot"
        case "host_bound":
            return (
                "the GPU waits for the host: fewer launches a step (a fused kernel), or all of them launched at once "
                "(a CUDA graph), would help, a faster GPU would not"
            )
        case "launch":
            return "each launch finds the GPU idle: fewer of them, launched ahead of time, would help"
        case "between":
            return "kernels are queued and there are too many of them: fewer and larger ones would help"


def _less_overhead(part: float, facts: Facts) -> str:
    if facts.one_call and facts.share_of_no_step < part / 2:
        return (
            "all steps are one call already, and each has its overhead within it: "
            "larger batches a call would help, a faster GEMM would not"
        )
    if facts.one_call:
        return (
            "all steps are one call already and this is what that call costs: "
            "longer sequences or larger batches a call would help, a faster GEMM would not"
        )
    if facts.hoisted:
        return "its input projection is one product already: a fused kernel would help, a faster GEMM would not"
    if facts.hoisted is None:
        return "fewer calls a step, or a fused kernel, would help, a faster GEMM would not"
    return (
        "fewer calls a step (its input projection is one product a step) or a fused kernel would help, "
        "a faster GEMM would not"
    )


def _faster_products(facts: Facts) -> str:
    bound = facts.bound_by or ""
    if facts.hoisted is False:
        return "one product for the projections of all steps would help, fewer calls alone would not"
    if bound == LIMIT_NAMES["chain"]:
        return "each step's product waits for the one before: more sequences a call would help"
    if bound.startswith("bandwidth"):
        return "the weights are read anew in each step: more sequences a call, or a smaller dtype, would help"
    packed = "" if facts.one_call else ", its weights packed once,"
    return f"a faster product{packed} would help, fewer calls would not"


def _limit(kind: Kind, facts: Facts) -> str:
    """How near a case comes to its limit and what bounds it; empty if not known."""
    if math.isnan(facts.share_of_attainable) or facts.bound_by is None:
        return ""
    reached = f"; it reaches {share(facts.share_of_attainable)} of the attainable"
    # "Overhead" is what is neither work nor waiting for the chain, by times alone; here it lies within the products.
    if kind == "products" and facts.bound_by == LIMIT_NAMES["overhead"]:
        slow = facts.products_over_fastest
        return f"{reached}, its products taking {times(slow)} the fastest library's time" if slow >= FAR else reached
    return f"{reached}, bound by {facts.bound_by}"
