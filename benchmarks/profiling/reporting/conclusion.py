"""The conclusion from a breakdown: what most of a call's time goes to, and what would make it how much faster."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

from benchmarks.limits.bounds import LIMIT_NAMES
from benchmarks.presentation.plain_text import share, significant, times
from benchmarks.profiling.sampling.kinds import KIND_NAMES, WorkKind
from benchmarks.workload import Workload

MOST = 0.5
"""The least share of a call that a kind of work has where the call spends its time in that kind."""
NEAR = 0.8
"""The least share of the attainable at which little is left to win."""
LEAST_CALLS = 1.0
"""The fewest marginal calls of a step where something is called once in each step."""
PROJECTED_EACH_STEP = 1.5
"""Marginal products of a step and layer: fewer are the recurrence's one, more are two with the input projection.
All gates of a step are one product, as their weights are stacked."""
SLOW = 1.25
"""The least ratio of products' time to the fastest library's at which the products are slow."""

Remedy = Literal[
    "larger_batches",
    "longer_sequences",
    "fused_kernel",
    "fewer_calls",
    "hoisting_or_fused_kernel",
    "hoisting",
    "more_sequences",
    "more_sequences_or_smaller_dtype",
    "faster_product",
    "faster_product_of_packed_weights",
    "cheaper_nonlinearity",
    "cheaper_or_fused_nonlinearity",
    "cheaper_gates",
    "cheaper_or_fused_gates",
    "fewer_copies",
    "no_waiting",
    "fewer_threads",
    "profiler_of_the_engine",
    "fewer_launches",
    "launches_ahead",
    "larger_kernels",
]
"""What would make a call faster."""

REMEDIES: Mapping[Remedy, str] = MappingProxyType(
    {
        "larger_batches": (
            "all steps are one call already, and each step has its overhead within it: "
            "larger batches a call would help, a faster GEMM would not"
        ),
        "longer_sequences": (
            "all steps are one call already, and this is the overhead of that call: "
            "longer sequences or larger batches a call would help, a faster GEMM would not"
        ),
        "fused_kernel": (
            "its input projection is one product already: a fused kernel would help, a faster GEMM would not"
        ),
        "fewer_calls": "fewer calls a step, or a fused kernel, would help, a faster GEMM would not",
        "hoisting_or_fused_kernel": (
            "fewer calls a step (its input projection is one product a step) or a fused kernel would help, "
            "a faster GEMM would not"
        ),
        "hoisting": "one product for the projections of all steps would help, fewer calls alone would not",
        "more_sequences": "each step's product waits for the previous step: more sequences a call would help",
        "more_sequences_or_smaller_dtype": (
            "each step reads the weights again: more sequences a call, or a smaller dtype, would help"
        ),
        "faster_product": "a faster product would help, fewer calls would not",
        "faster_product_of_packed_weights": (
            "a faster product, its weights packed once, would help, fewer calls would not"
        ),
        "cheaper_nonlinearity": "a cheaper nonlinearity would help, a faster GEMM would not",
        "cheaper_or_fused_nonlinearity": (
            "a cheaper nonlinearity, or one fused into the product, would help, a faster GEMM would not"
        ),
        "cheaper_gates": "cheaper gates would help, a faster GEMM would not",
        "cheaper_or_fused_gates": (
            "cheaper gates, or gates fused into the product, would help, a faster GEMM would not"
        ),
        "fewer_copies": "fewer copies would help: results written where they are needed, no stacking",
        "no_waiting": "it has one thread and waits for a lock, a sleep or another process; `functions.csv` says where",
        "fewer_threads": "fewer threads, or fewer barriers a step, would help",
        "profiler_of_the_engine": "a profiler of its vendor may say what it does there, this one cannot",
        "fewer_launches": (
            "the GPU waits for the host: fewer launches a step (a fused kernel), or all of them launched at once "
            "(a CUDA graph), would help, a faster GPU would not"
        ),
        "launches_ahead": "the GPU is idle at each launch: fewer launches, made ahead of time, would help",
        "larger_kernels": "kernels are queued, and there are too many: fewer and larger ones would help",
    }
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known of a case besides its shares; NaN where it is not known."""

    operators_per_step: float = math.nan
    """Calls of PyTorch's operators in a call, divided by its steps."""
    marginal_calls: float = math.nan
    """Calls that a further step adds: PyTorch's operators, or operations of Python."""
    marginal_products: float = math.nan
    """Matrix products that a further step adds to the forward pass of each layer and direction."""
    fixed_time_share: float = math.nan
    """The share of a call's time that the marginal time of all its steps leaves."""
    gates: int = 1
    """The cell's gates; a plain RNN has one, its nonlinearity."""
    threads: int = 1
    share_of_attainable: float = math.nan
    bound_by: str | None = None
    """A value of `LIMIT_NAMES`."""
    products_over_fastest: float = math.nan
    """The time of its products, divided by the time of the same products in the fastest library."""

    @property
    def one_call(self) -> bool:
        """Whether all steps are one call of compiled code."""
        return self.marginal_calls < LEAST_CALLS

    @property
    def near_limit(self) -> bool:
        """Whether little is left to win."""
        return self.share_of_attainable >= NEAR

    @property
    def hoisted(self) -> bool | None:
        """Whether the input projection is made outside of the loop over time; None where it is not known."""
        if math.isnan(self.marginal_products) or self.marginal_products < 0.5:
            return None
        return self.marginal_products < PROJECTED_EACH_STEP


def facts_of(limit: Mapping[str, Any], counts: Mapping[str, Any], products_share: float, workload: Workload) -> Facts:
    """The facts of a case from its row of `limits_frame` and, where it was counted, of `counts_frame`."""
    return Facts(
        operators_per_step=counts.get("operators_per_step", math.nan),
        marginal_calls=counts.get("marginal_calls_per_step", math.nan),
        marginal_products=counts.get("marginal_products_per_step", math.nan) / workload.config.num_stacked,
        fixed_time_share=counts.get("fixed_time_share", math.nan),
        gates=workload.config.num_gates,
        threads=workload.threads,
        share_of_attainable=limit["share_of_attainable"],
        bound_by=limit["bound_by"] if isinstance(limit["bound_by"], str) else None,
        products_over_fastest=products_share * limit["median_seconds"] / limit["blas_seconds"],
    )


@dataclasses.dataclass(frozen=True)
class Conclusion:
    """What a call spends its time in, and what could make it faster."""

    kind: WorkKind
    """The kind of work with the largest share."""
    share: float
    second: WorkKind
    """The kind with the second largest share."""
    second_share: float
    remedy: Remedy | None
    """None where no kind has half of the time, or where the call is near its limit."""
    most_times_as_fast: float
    """The largest speedup that a change of this kind could give; infinite where nothing bounds it."""
    facts: Facts


def conclude(shares: Mapping[WorkKind, float], facts: Facts | None = None) -> Conclusion:
    """The conclusion from the shares of at least two kinds, which add up to 1.

    The largest speedup is Amdahl's (1967), and at most what the machine allows.
    """
    facts = facts or Facts()
    first, second, *_ = sorted(shares, key=lambda kind: (-shares[kind], kind))
    remedy = None if shares[first] < MOST or facts.near_limit else _remedy(first, shares[first], facts)
    return Conclusion(
        kind=first,
        share=shares[first],
        second=second,
        second_share=shares[second],
        remedy=remedy,
        most_times_as_fast=_most_times_as_fast(shares[first], facts),
        facts=facts,
    )


def conclusion_words(found: Conclusion) -> str:
    """A conclusion as the rest of a sentence that begins with the implementation."""
    most, facts = times(found.most_times_as_fast), found.facts
    if found.share < MOST:
        return (
            f"has no kind of work with half of its time: {KIND_NAMES[found.kind]} {share(found.share)}, "
            f"{KIND_NAMES[found.second]} {share(found.second_share)}; "
            f"no single change wins more than {most}{_limit_words(found)}"
        )
    known = not math.isnan(facts.operators_per_step)
    calls = f", {significant(facts.operators_per_step, 2)} operators a step" if known else ""
    said = f"spends {share(found.share)} in {KIND_NAMES[found.kind]}{calls}"
    if found.remedy is None:
        left = f", at most {most}" if found.most_times_as_fast > 1 else ""
        return f"{said}: near the limit, little is left to win{left}{_limit_words(found)}"
    left = f", at most {most}" if math.isfinite(found.most_times_as_fast) else ""
    return f"{said}: {REMEDIES[found.remedy]}{left}{_limit_words(found)}"


def _most_times_as_fast(part: float, facts: Facts) -> float:
    """The speedup of a call without a part of its time, as far as the machine allows."""
    amdahl = 1 / (1 - part) if part < 1 else math.inf
    allowed = 1 / facts.share_of_attainable if facts.share_of_attainable > 0 else math.inf
    return min(amdahl, allowed)


def _remedy(kind: WorkKind, part: float, facts: Facts) -> Remedy:
    """What would make a call faster that spends this part of its time in a kind of work."""
    match kind:
        case "overhead":
            return _less_overhead(part, facts)
        case "products":
            return _faster_products(facts)
        case "elementwise":
            if facts.gates == 1:
                return "cheaper_nonlinearity" if facts.one_call else "cheaper_or_fused_nonlinearity"
            return "cheaper_gates" if facts.one_call else "cheaper_or_fused_gates"
        case "memory":
            return "fewer_copies"
        case "waiting":
            return "no_waiting" if facts.threads == 1 else "fewer_threads"
        case "unattributed":
            return "profiler_of_the_engine"
        case "host_bound":
            return "fewer_launches"
        case "launch":
            return "launches_ahead"
        case "between":
            return "larger_kernels"


def _less_overhead(part: float, facts: Facts) -> Remedy:
    if facts.one_call:
        return "larger_batches" if facts.fixed_time_share < part / 2 else "longer_sequences"
    if facts.hoisted is None:
        return "fewer_calls"
    return "fused_kernel" if facts.hoisted else "hoisting_or_fused_kernel"


def _faster_products(facts: Facts) -> Remedy:
    bound = facts.bound_by or ""
    if facts.hoisted is False:
        return "hoisting"
    if bound == LIMIT_NAMES["chain"]:
        return "more_sequences"
    if bound.startswith("bandwidth"):
        return "more_sequences_or_smaller_dtype"
    return "faster_product" if facts.one_call else "faster_product_of_packed_weights"


def _limit_words(found: Conclusion) -> str:
    """The share of the attainable and what bounds it; empty where it is not known."""
    facts = found.facts
    if math.isnan(facts.share_of_attainable) or facts.bound_by is None:
        return ""
    reached = f"; it reaches {share(facts.share_of_attainable)} of the attainable"
    # The limit "overhead" is time beyond the fastest products and the chain: slow products have such time too.
    if found.kind == "products" and facts.bound_by == LIMIT_NAMES["overhead"]:
        slow = facts.products_over_fastest
        return f"{reached}, its products taking {times(slow)} the fastest library's time" if slow >= SLOW else reached
    return f"{reached}, bound by {facts.bound_by}"
