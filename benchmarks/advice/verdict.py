"""The verdict on a question: which implementation, by how much, what it costs, how exact and how near the limit it is.

The time of an implementation is the sum over the layers' calls in one call of the model. Ratios are means of the
paired ratios of layers, weighted by their times, with the bounds that the layers' bounds give.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

from benchmarks.advice.question import Question
from benchmarks.limits.bounds import LIMIT_NAMES, what_bounds
from benchmarks.reporting.answers.ranking import largest_error
from benchmarks.runs.frames import over_visits
from benchmarks.runs.loading import LoadedRun
from benchmarks.runs.pooling import PooledCase, contenders, time_ratio
from benchmarks.statistics import Estimate
from benchmarks.trial import NothingMeasured
from benchmarks.workload import Workload

DROP_IN = "fused_cpu"
"""The implementation that has modules in place of PyTorch's (`rnnimpl.torch`)."""


@dataclasses.dataclass(frozen=True, eq=False)
class Engine:
    """One implementation, measured on all workloads of a question."""

    name: str
    source: str
    cases: Sequence[tuple[PooledCase, int]]
    """Each workload's case, with its calls in a call of the model."""

    @property
    def seconds(self) -> float:
        """The time of the layers in a call of the model."""
        return math.fsum(_median(case) * calls for case, calls in self.cases)

    @property
    def preparation_seconds(self) -> float:
        """Construction and first call of every layer, when nothing was cached; NaN where unknown."""
        names = ("setup_seconds", "first_call_seconds")
        return math.fsum(over_visits(case.trials, name, "first") for case, _ in self.cases for name in names)

    @property
    def error(self) -> float | None:
        """The largest error against float64, relative to the largest value; None where unknown."""
        errors = [largest_error(case) for case, _ in self.cases]
        return max((each for each in errors if each is not None), default=None)

    @property
    def is_noisy(self) -> bool:
        """Whether the interval of a case is wider than was asked for."""
        return any(case.status == "noisy" for case, _ in self.cases)


@dataclasses.dataclass(frozen=True, eq=False)
class Verdict:
    """The answer to a question."""

    question: Question
    best: Engine
    """The implementation to use."""
    present: Engine | None
    """What computes the layers now: PyTorch's module; None where it could not be measured."""
    speedup: Estimate | None
    """The present one's time over the best's; None without a present one, or where it is the best."""
    others: Sequence[tuple[Engine, Estimate]]
    """The other implementations, the fastest first, each with its time over the best's."""
    close: Sequence[str]
    """The names of those too close to the best to call."""
    share_of_attainable: float | None
    """The bound over the best's time; None where no peak was measured."""
    bound_by: str | None
    """What the best's time on the largest workload is bound by."""
    not_measured: Mapping[str, str]
    """{implementation: reason} of those without a time on some workload."""

    @property
    def extra_seconds(self) -> float | None:
        """What preparing the best costs more than preparing the present one; None where it is the best or unknown."""
        if self.present is None or self.present is self.best:
            return None
        extra = self.best.preparation_seconds - self.present.preparation_seconds
        return extra if math.isfinite(extra) else None

    @property
    def payback_calls(self) -> float | None:
        """Calls of the model after which the extra cost is earned back; None where it never is, or is unknown."""
        if self.extra_seconds is None or self.present is None:
            return None
        saved = self.present.seconds - self.best.seconds
        if self.extra_seconds <= 0:
            return 0.0
        return self.extra_seconds / saved if saved > 0 else None

    @property
    def model_speedup(self) -> float | None:
        """How many times as fast the whole model would be with the best (Amdahl); None where its share is unknown."""
        if self.question.share is None or self.speedup is None:
            return None
        share = min(1.0, self.question.share.of_layers.median)
        return 1 / (1 - share + share / self.speedup.median)


def judge(question: Question, run: LoadedRun) -> Verdict:
    """The verdict on a question by the run that measured its workloads.

    Of those too close to the fastest to call, the one is best that asks least of its user: the present one, then the
    one with modules, then the fastest. Raises NothingMeasured where no implementation was measured on all workloads.
    """
    cases = {workload: run.workloads.get(workload, {}) for workload in question.workloads}
    engines = _engines(question, cases)
    if not engines:
        reasons = [f"{name}: {why}" for name, why in _reasons(cases).items()] or ["the budget ended before"]
        raise NothingMeasured(f"no implementation was measured on all layers: {'; '.join(reasons)}")
    present = next((each for each in engines if question.present in (each.name, each.source)), None)
    fastest = min(engines, key=lambda each: each.seconds)
    near = [each for each in engines if each is not fastest and _includes_one(ratio(each, fastest))]
    easy = [each for each in (present, *near) if each is not None and (each is present or each.source == DROP_IN)]
    best = next((each for each in easy if each is fastest or each in near), fastest)
    others = sorted(
        ((each, ratio(each, best)) for each in engines if each is not best), key=lambda pair: pair[0].seconds
    )
    bounds = [(run.bounds[case.case.workload], calls) for case, calls in best.cases]
    attainable = [each.attainable_seconds * calls for each, calls in bounds if each is not None]
    largest = next(case for case, _ in best.cases if case.case.workload == question.largest)
    of_largest = run.bounds[question.largest]
    return Verdict(
        question=question,
        best=best,
        present=present,
        speedup=None if present is None or present is best else ratio(present, best),
        others=others,
        close=tuple(each.name for each, against in others if _includes_one(against)),
        share_of_attainable=math.fsum(attainable) / best.seconds if len(attainable) == len(bounds) else None,
        bound_by=None if of_largest is None else LIMIT_NAMES[what_bounds(_median(largest), of_largest)],
        not_measured={name: why for name, why in _reasons(cases).items() if name not in {e.name for e in engines}},
    )


def _includes_one(ratio: Estimate) -> bool:
    """Whether a ratio is too close to call; without an interval nothing says so."""
    return ratio.low <= 1 <= ratio.high


def ratio(above: Engine, below: Engine) -> Estimate:
    """The time of `above` over that of `below`."""
    pairs = [
        (_median(one) * calls, time_ratio(one, other))
        for (one, calls), (other, _) in zip(above.cases, below.cases, strict=True)
    ]
    total = math.fsum(seconds for seconds, _ in pairs)

    def over(bound: str) -> float:
        return total / math.fsum(seconds / getattr(each, bound) for seconds, each in pairs)

    return Estimate(over("median"), over("low"), over("high"))


def _engines(question: Question, cases: Mapping[Workload, Mapping[str, PooledCase]]) -> list[Engine]:
    """The implementations with a time on every workload, one for each source."""
    names = dict.fromkeys(name for of_workload in cases.values() for name in contenders(of_workload))
    return [
        Engine(
            name, next(iter(cases.values()))[name].source, list(zip(column, question.workloads.values(), strict=True))
        )
        for name in names
        if len(column := [each[name] for each in cases.values() if name in each and each[name].measured]) == len(cases)
    ]


def _reasons(cases: Mapping[Workload, Mapping[str, PooledCase]]) -> dict[str, str]:
    """{implementation: why it has no time} on the first workload on which it has none."""
    found: dict[str, str] = {}
    for of_workload in cases.values():
        for name, case in of_workload.items():
            if not case.measured:
                found.setdefault(name, case.reason or case.status)
    return found


def _median(case: PooledCase) -> float:
    assert case.estimate is not None
    return case.estimate.median
