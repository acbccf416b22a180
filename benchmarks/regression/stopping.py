"""When to stop, and what is called a slowdown: the whole procedure, fed with pairs by whoever has them.

`regress` feeds it pairs that it measures, `calibrate` pairs that were measured: both are the same procedure, so the
error rates of one are those of the other.

1. At most `len(looks)` times, all cases are judged, each time with an equal part of `suspicion` (Bonferroni over looks,
   Holm over cases). A case that is faster or the same is done. Only cases that cannot be told are measured further.
2. What looks slower is only suspected. It is measured again, in the next `confirmation_pairs` pairs, and judged by
   these alone, with `confirmation` for all cases that were suspected at the same look together (Holm).

Pairs are independent, so a false alarm needs two errors that are: one in what was measured until a look, and one in
what was measured after it. At most suspicion * confirmation of runs have one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.regression.judging import LEAST_PAIRS, Estimate, Judgement, estimate_each, judge

Draw = Callable[[Sequence[str]], Mapping[str, float] | None]
"""The log ratios of the named cases in a fresh pair, without those that cannot be measured any more; None when the
budget is spent."""


@dataclasses.dataclass(frozen=True)
class Rule:
    """The thresholds. `calibrate` tells the error rates that they give on a machine."""

    looks: tuple[int, ...] = (3, 5, 8, 12, 18)
    """Pairs at which the cases are judged."""
    suspicion: float = 0.2
    confirmation_pairs: int = 5
    confirmation: float = 0.05
    tolerance: float = 0.03
    """The change that matters, as a share, where a case sets none."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The judgement on each case: `first` on the first measurement, `final` with what was measured again.

    `suspected` were measured again; `log_ratios` are {case: of each pair}, of the first measurement and of the second.
    """

    first: Mapping[str, Judgement]
    final: Mapping[str, Judgement]
    suspected: tuple[str, ...]
    log_ratios: Mapping[str, tuple[float, ...]]
    again: Mapping[str, tuple[float, ...]]

    @property
    def slower(self) -> tuple[str, ...]:
        """The cases with a confirmed slowdown."""
        return tuple(case for case in self.suspected if self.final[case].verdict == "slower")


def decide(
    rule: Rule, draw: Draw, cases: Sequence[str], *, tolerances: Mapping[str, float], floor_of: Callable[[int], float]
) -> Outcome:
    """Draw pairs until every case is told or the budget ends, measuring again what looks slower.

    `floor_of` gives the noise floor of so many pairs, as a share.
    A case that `draw` leaves out of a pair drops out. Raises ValueError when the budget ends before there are enough
    pairs for any verdict.
    """
    course = _Course(rule, cases, tolerances, floor_of)
    while wanted := course.wanted():
        drawn = draw(wanted)
        if drawn is None:
            break
        course.add(wanted, drawn)
    return course.outcome()


class _Course:
    """Where a run stands: the pairs, what is told by them, and what is left to tell.

    `families` are the cases that were suspected at the same look: they are confirmed together.
    """

    def __init__(
        self, rule: Rule, cases: Sequence[str], tolerances: Mapping[str, float], floor_of: Callable[[int], float]
    ) -> None:
        self.rule = rule
        self.cases = list(cases)
        self.number = len(cases)
        self.gates: dict[str, Any] = {"tolerances": tolerances, "floor_of": floor_of}
        self.pairs = 0
        self.ratios: dict[str, list[float]] = {case: [] for case in cases}
        self.again: dict[str, list[float]] = {}
        self.estimates: dict[str, Estimate] = {}
        self.first: dict[str, Judgement] = {}
        self.final: dict[str, Judgement] = {}
        self.undecided = set(cases)
        self.families: list[tuple[str, ...]] = []

    def wanted(self) -> list[str]:
        """The cases of the next pair: what is to be confirmed, and what cannot be told while there are looks left."""
        open_cases = self.undecided if self.pairs < self.rule.looks[-1] else set()
        unconfirmed = {case for family in self._unconfirmed() for case in family}
        return [case for case in self.cases if case in open_cases or case in unconfirmed]

    def add(self, wanted: Sequence[str], drawn: Mapping[str, float]) -> None:
        """Count a pair of these cases, and judge where it is time to."""
        self._drop([case for case in wanted if case not in drawn])
        wanted = [case for case in wanted if case in drawn]
        self.pairs += 1
        for case in wanted:
            (self.ratios if case in self.undecided else self.again)[case].append(drawn[case])
        for family in self.families:
            if family[0] in wanted and len(self.again[family[0]]) == self.rule.confirmation_pairs:
                self._confirm(family)
        if self.undecided and self.pairs in self.rule.looks:
            self._look()

    def outcome(self) -> Outcome:
        """What there is to say when no pair follows. Raises ValueError where there are too few for any verdict."""
        if self.cases and self.pairs < LEAST_PAIRS:
            raise ValueError(
                f"the budget ends after {self.pairs} pairs of processes; a verdict needs {LEAST_PAIRS} at least, "
                f"and {LEAST_PAIRS + self.rule.confirmation_pairs} to be of use: give a longer --budget"
            )
        if self.undecided and self.pairs not in self.rule.looks:
            self._look()
        for family in self._unconfirmed():
            if len(self.again[family[0]]) >= LEAST_PAIRS:
                self._confirm(family)
            else:
                for case in family:
                    del self.again[case]
                    self.final[case] = dataclasses.replace(self.first[case], verdict="cannot tell")
        suspected = {case for family in self.families for case in family}
        return Outcome(
            first={case: self.first[case] for case in self.cases},
            final={case: self.final[case] for case in self.cases},
            suspected=tuple(case for case in self.cases if case in suspected),
            log_ratios={case: tuple(values) for case, values in self.ratios.items()},
            again={case: tuple(values) for case, values in self.again.items()},
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

    def _look(self) -> None:
        """Judge what is undecided, by all cases together; what is decided stays as it was estimated then."""
        error = self.rule.suspicion / len(self.rule.looks)
        open_cases = [case for case in self.cases if case in self.undecided]
        self.estimates |= estimate_each({case: self.ratios[case] for case in open_cases}, error / self.number)
        judged = judge(self.estimates, error=error, **self.gates)
        found = {case: judged[case] for case in open_cases}
        self.first |= found
        self.final |= found
        self.undecided = {case for case, each in found.items() if each.verdict == "cannot tell"}
        suspected = tuple(case for case, each in found.items() if each.verdict == "slower")
        if suspected:
            self.families.append(suspected)
            self.again |= {case: [] for case in suspected}

    def _confirm(self, family: Sequence[str]) -> None:
        """Judge a family by what was measured after it was suspected, and by that alone."""
        error = self.rule.confirmation
        measured = estimate_each({case: self.again[case] for case in family}, error / len(family))
        self.final |= judge(measured, error=error, **self.gates)
