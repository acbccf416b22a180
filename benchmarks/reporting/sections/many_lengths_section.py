"""A process that meets a hundred lengths, in words: what the first call at each costs, and the memory that stays."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from benchmarks.presentation.plain_text import NOTHING, code, seconds, significant, times
from benchmarks.reporting.answers.findings import CELL_LABELS
from benchmarks.reporting.sections.limited_table import cut
from benchmarks.runs.loading import LoadedRun
from benchmarks.runs.pooling import PooledCase

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
        "from the first length to the last; the longest had been called before. Each number is the median over visits."
    )
    return "\n\n".join((_answer(cases), rule, cut((run for run, _ in cases), header, rows)))


def _answer(cases: Sequence[tuple[str, PooledCase]]) -> str:
    worst: dict[str, float] = {}
    for _, case in cases:
        first, second, _, _ = _costs(case)
        name = case.case.implementation
        worst[name] = max(worst.get(name, 0.0), first / second)
    said = [
        f"- {code(name)}: the first calls take {times(ratio)} as long as the second ones"
        for name, ratio in sorted(worst.items(), key=lambda pair: -pair[1])
    ]
    return "\n".join(f"{each}." for each in said)


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
