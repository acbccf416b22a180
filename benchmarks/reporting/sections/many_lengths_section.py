"""A process that meets a hundred lengths, in words: what the first call at each costs, and the memory that stays."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence

from benchmarks.presentation.plain_text import NOTHING, code, seconds, significant
from benchmarks.reporting.answers.findings import CELL_LABELS
from benchmarks.reporting.sections.limited_table import cut
from benchmarks.reporting.words.answer_words import ratio
from benchmarks.runs.loading import LoadedRun
from benchmarks.runs.pooling import PooledCase
from benchmarks.statistics import Estimate, estimate_ratio

MIB = 2**20


def many_lengths_section(runs: Sequence[LoadedRun]) -> str:
    """What new lengths cost each implementation; empty where none was measured."""
    cases = [
        (run.label, case)
        for run in runs
        for workload, of_workload in run.workloads.items()
        if workload.mode == "many-lengths"
        for case in of_workload.values()
        if case.visits
    ]
    if not cases:
        return ""
    header = ["run", "network", "implementation", "lengths", "first calls together", "second calls together"]
    header += ["a new length, typically", "memory"]
    rows = []
    for run, case in cases:
        workload = case.case.workload
        network = f"{CELL_LABELS.get(workload.cell, workload.cell)}, T < {workload.T}, B {workload.B}, H {workload.H}"
        first, second, extra, growth = _costs(case)
        memory = NOTHING if growth is None else f"{significant(growth / MIB, 2)} MiB"
        row = [code(run), network, code(case.case.implementation), str(len(case.visits[-1][0].seconds))]
        rows.append([*row, seconds(first), seconds(second), seconds(extra), memory])
    rule = (
        "Each visit starts a new process and calls at each length twice, with other inputs, in random order. “A new "
        "length” is the median over lengths of the first call less the second. Memory is how far the resident set rose "
        "from the first length to the last; the longest had been called before. Each number is the median over visits, "
        "and each ratio that over blocks of lengths."
    )
    return "\n\n".join((_answer(cases), rule, cut((run for run, _ in cases), header, rows)))


def _answer(cases: Sequence[tuple[str, PooledCase]]) -> str:
    """A line an implementation: its first calls over its second ones on the network where that is most, surely."""
    found: dict[str, list[Estimate]] = {}
    for _, case in cases:
        found.setdefault(case.case.implementation, []).append(first_over_second(case))
    worst = {name: max(ratios, key=lambda each: (each.low > 1, each.median)) for name, ratios in found.items()}
    return "\n".join(f"- {code(name)}: {_said(worst[name])}." for name in sorted(worst, key=lambda n: -worst[n].median))


def _said(found: Estimate) -> str:
    if math.isnan(found.low):
        return f"whether first calls take longer is {ratio(found)}, of too few blocks for an interval"
    if found.low <= 1 <= found.high:
        return f"the first calls take as long as the second ones, or too nearly to tell ({ratio(found)})"
    return f"the first calls take {ratio(found)} as long as the second ones"


def first_over_second(case: PooledCase) -> Estimate:
    """The time of first calls over that of second ones at the same lengths: the median over blocks of lengths."""
    ones: list[float] = []
    others: list[float] = []
    for trial, _ in case.visits:
        ends = list(itertools.accumulate(trial.blocks))
        for begin, end in zip([0, *ends], ends, strict=False):
            ones.append(math.fsum(trial.seconds[begin:end]))
            others.append(math.fsum(trial.repeated_seconds[begin:end]))
    return estimate_ratio(ones, others)


def _costs(case: PooledCase) -> tuple[float, float, float, int | None]:
    """Seconds of all first calls, of all second calls and of a new length, and bytes: medians over visits."""
    trials = [trial for trial, _ in case.visits]
    extra = [
        statistics.median(one - two for one, two in zip(trial.seconds, trial.repeated_seconds, strict=True))
        for trial in trials
    ]
    grown = [trial.growth_bytes for trial in trials if trial.growth_bytes is not None]
    return (
        statistics.median(sum(trial.seconds) for trial in trials),
        statistics.median(sum(trial.repeated_seconds) for trial in trials),
        statistics.median(extra),
        int(statistics.median(grown)) if grown else None,
    )
