"""When to stop measuring, and what is called a slowdown: the sequential procedure, fed with pairs from outside.

`regress` feeds it with pairs that it measures, `calibrate` with pairs that were measured before. Both run the same
procedure, so the error rates of one are those of the other.

1. All cases are judged at each interim analysis, each time with an equal part of `suspicion` (Bonferroni over analyses,
   Holm over cases). A case that is faster or the same is decided. Only cases that cannot be told are measured further.
2. A case that is slower is suspected. It is measured again, in the next `confirmation_pairs` pairs, and judged by these
   alone, with `confirmation` for all cases that were suspected at the same analysis together (Holm).

Pairs are independent. So a false alarm needs two independent errors: one in the pairs up to an analysis, and one in the
pairs after it. Its probability is at most suspicion * confirmation a run.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from benchmarks.regression.judging.verdicts import (
    LEAST_PAIRS,
    Judgement,
    RatioEstimate,
    Thresholds,
    estimate_each,
    judge,
)

Draw = Callable[[Sequence[str]], Mapping[str, float] | None]
"""The log ratios of the named cases in a fresh pair, without those that cannot be measured any more; None when the
budget is spent."""


@dataclasses.dataclass(frozen=True)
class Rule:
    """The parameters of the procedure; `calibrate` measures the error rates that they give on a machine."""

    interim_analyses: tuple[int, ...] = (3, 5, 8, 12, 18)
    """The numbers of pairs at which cases are judged."""
    suspicion: float = 0.2
    """The probability that equal code is suspected, over all analyses and cases."""
    confirmation_pairs: int = 5
    confirmation: float = 0.05
    """The probability that equal code, once suspected, is confirmed to be slower."""
    tolerance: float = 0.03
    """The change that matters, as a share, of a case that sets none itself."""

    @property
    def most_pairs(self) -> int:
        """The most pairs that the procedure draws."""
        return self.interim_analyses[-1] + self.confirmation_pairs


@dataclasses.dataclass(frozen=True)
class Decision:
    """What the procedure came to."""

    first: Mapping[str, Judgement]
    """The judgement on each case before any was measured again."""
    final: Mapping[str, Judgement]
    """The judgement on each case; that of a suspected case rests on its confirmation."""
    suspected: tuple[str, ...]
    """The cases that were measured again."""
    log_ratios: Mapping[str, tuple[float, ...]]
    """The log ratios of each case until it was decided or suspected."""
    confirmation_log_ratios: Mapping[str, tuple[float, ...]]
    """The log ratios of each suspected case after that."""

    @property
    def slower(self) -> tuple[str, ...]:
        """The cases with a confirmed slowdown."""
        return tuple(case for case in self.suspected if self.final[case].verdict == "slower")

    @property
    def unconfirmed(self) -> tuple[str, ...]:
        """The suspected cases whose confirmation the end of the budget cut short: they are neither slower nor not."""
        return tuple(case for case in self.suspected if case not in self.confirmation_log_ratios)


def decide(rule: Rule, draw: Draw, cases: Sequence[str], *, thresholds: Thresholds) -> Decision:
    """Draw pairs until every case is decided or the budget ends, and measure suspected cases again.

    A case that `draw` leaves out of a pair drops out. Raises ValueError when the budget ends before there are enough
    pairs for any verdict.
    """
    procedure = _Procedure(rule, cases, thresholds)
    while wanted := procedure.wanted():
        drawn = draw(wanted)
        if drawn is None:
            break
        procedure.add(wanted, drawn)
    return procedure.decision()


class _Procedure:
    """The state of the procedure: the pairs, the cases that are decided, and those that are not.

    `families` are the cases that were suspected at the same analysis: they are confirmed together.
    """

    def __init__(self, rule: Rule, cases: Sequence[str], thresholds: Thresholds) -> None:
        self.rule = rule
        self.cases = list(cases)
        self.number = len(cases)
        self.thresholds = thresholds
        self.pairs = 0
        self.ratios: dict[str, list[float]] = {case: [] for case in cases}
        self.again: dict[str, list[float]] = {}
        self.estimates: dict[str, RatioEstimate] = {}
        self.first: dict[str, Judgement] = {}
        self.final: dict[str, Judgement] = {}
        self.undecided = set(cases)
        self.families: list[tuple[str, ...]] = []

    def wanted(self) -> list[str]:
        """The cases of the next pair: those to confirm, and, while an analysis is left, those that are undecided."""
        open_cases = self.undecided if self.pairs < self.rule.interim_analyses[-1] else set()
        unconfirmed = {case for family in self._unconfirmed() for case in family}
        return [case for case in self.cases if case in open_cases or case in unconfirmed]

    def add(self, wanted: Sequence[str], drawn: Mapping[str, float]) -> None:
        """Count a pair of these cases, and judge where an analysis or a confirmation is due."""
        self._drop([case for case in wanted if case not in drawn])
        wanted = [case for case in wanted if case in drawn]
        self.pairs += 1
        for case in wanted:
            (self.ratios if case in self.undecided else self.again)[case].append(drawn[case])
        for family in self.families:
            if family[0] in wanted and len(self.again[family[0]]) == self.rule.confirmation_pairs:
                self._confirm(family)
        if self.undecided and self.pairs in self.rule.interim_analyses:
            self._analyse()

    def decision(self) -> Decision:
        """The decision when no pair follows. Raises ValueError where there are too few pairs for any verdict."""
        if self.cases and self.pairs < LEAST_PAIRS:
            raise ValueError(
                f"the budget ends after {self.pairs} pairs of processes; a verdict needs {LEAST_PAIRS} at least, "
                f"and {LEAST_PAIRS + self.rule.confirmation_pairs} to be of use: give a longer --budget"
            )
        if self.undecided and self.pairs not in self.rule.interim_analyses:
            self._analyse()
        for family in self._unconfirmed():
            if len(self.again[family[0]]) >= LEAST_PAIRS:
                self._confirm(family)
            else:
                for case in family:
                    del self.again[case]
                    self.final[case] = dataclasses.replace(self.first[case], verdict="cannot tell")
        suspected = {case for family in self.families for case in family}
        return Decision(
            first={case: self.first[case] for case in self.cases},
            final={case: self.final[case] for case in self.cases},
            suspected=tuple(case for case in self.cases if case in suspected),
            log_ratios={case: tuple(values) for case, values in self.ratios.items()},
            confirmation_log_ratios={case: tuple(values) for case, values in self.again.items()},
        )

    def _drop(self, dropped: Sequence[str]) -> None:
        """Forget cases that cannot be measured any more. They still count in the correction for their number."""
        self.cases = [case for case in self.cases if case not in dropped]
        self.undecided -= set(dropped)
        for by_case in (self.ratios, self.again, self.estimates, self.first, self.final):
            for case in dropped:
                by_case.pop(case, None)
        left = (tuple(case for case in family if case not in dropped) for family in self.families)
        self.families = [family for family in left if family]

    def _unconfirmed(self) -> list[tuple[str, ...]]:
        return [each for each in self.families if len(self.again[each[0]]) < self.rule.confirmation_pairs]

    def _analyse(self) -> None:
        """Judge the undecided cases, corrected for the number of all cases; decided ones keep their estimate."""
        error = self.rule.suspicion / len(self.rule.interim_analyses)
        open_cases = [case for case in self.cases if case in self.undecided]
        self.estimates |= estimate_each({case: self.ratios[case] for case in open_cases}, error / self.number)
        judged = judge(self.estimates, error=error, thresholds=self.thresholds)
        found = {case: judged[case] for case in open_cases}
        self.first |= found
        self.final |= found
        self.undecided = {case for case, each in found.items() if each.verdict == "cannot tell"}
        suspected = tuple(case for case, each in found.items() if each.verdict == "slower")
        if suspected:
            self.families.append(suspected)
            self.again |= {case: [] for case in suspected}

    def _confirm(self, family: Sequence[str]) -> None:
        """Judge a family by the pairs after it was suspected, and by these alone."""
        error = self.rule.confirmation
        estimates = estimate_each({case: self.again[case] for case in family}, error / len(family))
        self.final |= judge(estimates, error=error, thresholds=self.thresholds)
