"""How a profile was measured, in words and a table: what profiling cost, and whether the parts add up."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.profiling.sampling.pairs import (
    AGREE,
    LEAST_PAIRS,
    MOST_PAIRS,
    MOST_TAKEN,
    Pair,
    counted,
    halves_differ,
    pairs_of,
    undisturbed,
)
from benchmarks.reporting.plain_text import NOTHING, code, seconds, share, table, times

NEAR_SUM = 0.05
"""By how much the unscaled parts of a call may miss its unprofiled time before the report counts it as missed."""


def how_measured(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """What looking cost, how much of the time looks stand for, and what follows for the sum of the parts."""
    every = [pairs_of(record) for record in records]
    counts = [counted(pairs) for pairs in every]
    costs, accounted, sums = ([_median(pairs, name) for pairs in counts] for name in ("cost", "accounted", "total"))
    disturbed = [pairs.count(False) for pairs in map(undisturbed, every)]
    kept = sum(
        bool(number) and len(own) == len(pairs) for number, own, pairs in zip(disturbed, counts, every, strict=True)
    )
    of_all = [_median(pairs, "total") for pairs in every]
    apart = sum(halves_differ(pairs) > AGREE for pairs in every)
    said = (
        f"The parts of a call are shares of what was seen, times its unprofiled time: they add up to that. Unscaled, "
        f"what was seen adds up to {share(min(sums))} to {share(max(sums))} of the unprofiled time, to within "
        f"{share(NEAR_SUM)} in {_near(sums)} of {len(sums)} repeats: it stands for {share(min(accounted))} to "
        f"{share(max(accounted))} of the profiled time, and profiling makes a call {times(min(costs))} to "
        f"{times(max(costs))} as long, {times(statistics.median(costs))} in the median. Each figure of a repeat is the "
        f"median over pairs of neighbouring blocks, one profiled and one not; least to most in parentheses."
    )
    left_out = (
        f"Others disturbed {sum(disturbed)} of {sum(map(len, every))} pairs: in either block they kept this process "
        f"from a core for {share(MOST_TAKEN)} more of the time than in the least disturbed block of that side. Such "
        f"pairs are left out, looks and times alike, but for {kept} repeats in which fewer than {LEAST_PAIRS} others "
        f"remained: there all count. With all pairs of every repeat it would be {_near(of_all)} of {len(sums)} within "
        f"{share(NEAR_SUM)}. A repeat has {LEAST_PAIRS} to {MOST_PAIRS} pairs, until the sums of its two halves differ "
        f"by {share(AGREE)} at most; in {apart} of {len(sums)} they differ by more all the same."
    )
    header = ["case", "repeat", "unprofiled", "profiled / unprofiled", "accounted for", "unscaled sum", "halves differ"]
    header += ["pairs disturbed", "kept from a core", "no core", "threads computing", "context switches a call"]
    rows = []
    for record, pairs, own, number in zip(records, every, counts, disturbed, strict=True):
        looks = record["phases"].values()
        without = sum(each["without_core"] for each in looks)
        seen = sum(sum(each["kinds"].values()) for each in looks) + without
        busy = max((each["computing_threads"] for each in looks), default=0.0)
        ratios = [pair.cost for pair in own]
        ratio = f"{times(statistics.median(ratios))} ({min(ratios):.2f} to {max(ratios):.2f})"
        row = [code(record["case"]), str(record["repeat"]), seconds(record["unprofiled_seconds"]), ratio]
        row += [share(_median(own, "accounted")), share(_median(own, "total")), share(halves_differ(pairs))]
        row += [f"{number} of {len(pairs)}", _kept_away(own), share(without / seen if seen else 0.0)]
        rows.append([*row, f"{busy:.2f}", f"{record['context_switches']:.1f}"])
    return [said, "", left_out, "", table(header, rows)]


def _median(pairs: Sequence[Pair], name: str) -> float:
    figures: list[float] = [getattr(pair, name) for pair in pairs]
    return statistics.median(figures)


def _near(sums: Sequence[float]) -> int:
    """How many sums of parts miss the unprofiled time by no more than is taken for near."""
    return sum(abs(each - 1) <= NEAR_SUM for each in sums)


def _kept_away(pairs: Sequence[Pair]) -> str:
    """The share of the unprofiled time in which threads were ready and had no core, in the median."""
    known = [pair.alone_taken for pair in pairs if pair.alone_taken is not None]
    return share(statistics.median(known)) if known else NOTHING
