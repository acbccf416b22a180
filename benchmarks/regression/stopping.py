"""When to stop, and what is called a slowdown: the whole procedure, fed with pairs by whoever has them.

`regress` feeds it pairs that it measures, `calibrate` pairs that were measured: both are the same procedure, so the
error rates of one are those of the other.

1. At most `len(looks)` times, all cases are judged, each time with an equal part of `suspicion` (Bonferroni over looks,
   Holm over cases). A case that is faster or the same is done. Only cases that cannot be told are measured further.
2. What looks slower is only suspected. It is measured again, in `confirmation_pairs` fresh pairs, and judged by these
   alone, with `confirmation` for all suspected cases together (Holm).

Pairs are independent, so a false alarm needs two errors that are: at most suspicion * confirmation of runs have one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from benchmarks.regression.judging import LEAST_PAIRS, Judgement, judge

Draw = Callable[[Sequence[str]], Mapping[str, float] | None]
"""The log ratios of the named cases in a fresh pair; None when the budget is spent."""


@dataclasses.dataclass(frozen=True)
class Rule:
    """The thresholds. `calibrate` tells the error rates that they give on a machine."""

    looks: tuple[int, ...] = (5, 8, 12, 18)
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
        return tuple(case for case in self.suspected if case in self.again and self.final[case].verdict == "slower")


def decide(
    rule: Rule, draw: Draw, cases: Sequence[str], *, tolerances: Mapping[str, float], floor_of: Callable[[int], float]
) -> Outcome:
    """Draw pairs until every case is told or the budget ends, then measure again what looks slower.

    `floor_of` gives the noise floor of so many pairs, as a share.
    Raises ValueError when the budget ends before there are enough pairs for any verdict.
    """
    ratios: dict[str, list[float]] = {case: [] for case in cases}
    first: dict[str, Judgement] = {}
    undecided = list(cases)
    for look in rule.looks:
        spent = _draw_until(look, draw, undecided, ratios)
        if any(len(values) < LEAST_PAIRS for values in ratios.values()):
            raise ValueError(
                f"the budget ends after {min(map(len, ratios.values()))} pairs of processes; a verdict needs "
                f"{LEAST_PAIRS} at least, and {rule.looks[0]} to be of use: give a longer --budget"
            )
        judged = judge(ratios, error=rule.suspicion / len(rule.looks), tolerances=tolerances, floor_of=floor_of)
        first |= {case: judged[case] for case in undecided}
        undecided = [case for case in cases if first[case].verdict == "cannot tell"]
        if spent or not undecided:
            break
    suspected = [case for case in cases if first[case].verdict == "slower"]
    again: dict[str, list[float]] = {case: [] for case in suspected}
    final = dict(first)
    if suspected:
        _draw_until(rule.confirmation_pairs, draw, suspected, again)
        if all(len(values) >= LEAST_PAIRS for values in again.values()):
            final |= judge(again, error=rule.confirmation, tolerances=tolerances, floor_of=floor_of)
        else:
            again = {}
            final |= {case: dataclasses.replace(first[case], verdict="cannot tell") for case in suspected}
    return Outcome(
        first=first,
        final=final,
        suspected=tuple(suspected),
        log_ratios={case: tuple(values) for case, values in ratios.items()},
        again={case: tuple(values) for case, values in again.items()},
    )


def _draw_until(count: int, draw: Draw, cases: Sequence[str], into: dict[str, list[float]]) -> bool:
    """Draw until the cases have so many pairs each; whether the budget ended before."""
    while any(len(into[case]) < count for case in cases):
        drawn = draw(cases)
        if drawn is None:
            return True
        for case in cases:
            if case in drawn:
                into[case].append(drawn[case])
    return False
