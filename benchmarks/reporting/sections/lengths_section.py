"""Sequences of unequal lengths, in words: what a valid step costs in each implementation, and what buckets give."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.presentation.plain_text import NOTHING, code, count, interval, seconds, share, times
from benchmarks.reporting.answers.findings import CELL_LABELS
from benchmarks.reporting.sections.limited_table import cut
from benchmarks.reporting.topics.lengths import LengthsCase
from benchmarks.sequence_lengths import BUCKETS
from benchmarks.workload import Workload

_RULE = (
    "A batch is padded to its longest sequence. A **valid** step is one that its sequence has; “per valid step” is the "
    "time of a call over these, “per padded step” over all steps of the padded array. “Over equal lengths” is the time "
    "per valid step over the implementation's own time per step where all sequences have T steps: 1 where padding is "
    "free, and the padded steps over the valid ones where all of them are computed. “In buckets” is what a call "
    f"would take, about, if sequences were batched by length, from {BUCKETS} batches of such sequences: the time at "
    "equal lengths, less the padding that is saved."
)


def lengths_section(cases: Sequence[LengthsCase]) -> str:
    """What padding costs each implementation, and who is fastest; empty where no lengths were unequal."""
    if not cases:
        return ""
    header = ["run", "network", "lengths", "valid", "implementation", "a call", "per valid step", "per padded step"]
    header += ["over equal lengths", "in buckets"]
    rows = []
    for case in cases:
        cost, buckets = case.cost, case.bucketed_seconds
        rows.append(
            [
                *(code(case.run), _network(case.plain), case.lengths, share(case.valid_share)),
                *(code(case.implementation), seconds(case.time.median)),
                *(seconds(case.per_valid_step), seconds(case.per_padded_step)),
                NOTHING if cost is None else f"{times(cost.median)} ({interval(cost.low, cost.high)})",
                NOTHING if buckets is None else seconds(buckets),
            ]
        )
    return "\n\n".join((_answer(cases), _RULE, cut((case.run for case in cases), header, rows)))


def _answer(cases: Sequence[LengthsCase]) -> str:
    """Who is fastest how often, and the least and the largest cost of a valid step of each implementation."""
    fastest: dict[tuple[str, str], LengthsCase] = {}
    for case in cases:
        key = case.run, case.workload.id
        if key not in fastest or case.time.median < fastest[key].time.median:
            fastest[key] = case
    names = list(dict.fromkeys(case.implementation for case in cases))
    said = []
    for name in names:
        of_name = [case for case in cases if case.implementation == name]
        costs = [case.cost.median for case in of_name if case.cost is not None]
        won = sum(each.implementation == name for each in fastest.values())
        line = f"- {code(name)} is the fastest of {won} of {len(fastest)} batches"
        if costs:
            line += f"; a valid step takes {times(min(costs))} to {times(max(costs))} of its time at equal lengths"
        saved = [
            case.bucketed_seconds / case.time.median
            for case in of_name
            if case.bucketed_seconds is not None and case.bucketed_seconds < case.time.median
        ]
        if saved:
            line += (
                f"; batching by length would make {len(saved)} of {len(of_name)} faster, up to {times(1 / min(saved))}"
            )
        said.append(f"{line}.")
    return "\n".join(said)


def _network(workload: Workload) -> str:
    cell = CELL_LABELS.get(workload.cell, workload.cell)
    threads = count(workload.threads, "thread")
    return f"{cell}, T {workload.T}, B {workload.B}, H {workload.H}, {workload.mode}, {threads}"
