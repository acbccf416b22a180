"""Streams and serving in words and tables: who answers in time, how surely, and how many sequences a second."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

from benchmarks.presentation.plain_text import NOTHING, TIMES, code, listed, seconds, share, significant
from benchmarks.reporting.answers.findings import CELL_LABELS, against_fastest, too_close
from benchmarks.reporting.sections.limited_table import cut
from benchmarks.reporting.topics.latency import (
    LATE_SHARE,
    MEETS,
    PERCENTILES,
    LatencyCase,
    deadlines,
    largest_in_time,
    latency_cases,
    twins,
)
from benchmarks.reporting.words.answer_words import ratio
from benchmarks.runs.loading import LoadedRun
from benchmarks.runs.pooling import contenders
from benchmarks.statistics import Estimate, widest_ratio
from benchmarks.workload import Workload

MOST_NAMED = 3
"""Names that a sentence has of those that are too close to call."""


def streaming_section(runs: Sequence[LoadedRun]) -> str:
    """The answer for streams, percentiles with intervals, and deadlines; empty without streams."""
    cases = [case for case in latency_cases(runs) if case.workload.mode == "streaming"]
    if not cases:
        return ""
    several_runs = len(runs) > 1
    parts = ["\n".join(f"- {each}" for each in _answers(cases, several_runs=several_runs)), _percentiles(cases)]
    parts.append(
        "A call takes T steps from the state that the call before returned. The time of every call is kept; an "
        "interval is over blocks of calls, and a percentile without ten calls beyond it is left out. With cold caches, "
        "twice the last-level cache is read between calls. “After silence” is the first call after a second in which "
        "the process slept: the median over visits."
    )
    for run in runs:
        table = _deadline_table(run, [case for case in cases if case.run == run.label])
        parts += [f"{code(run.label)}:", table] if table and several_runs else [table]
    parts += [_apart(cases)]
    return "\n\n".join(part for part in parts if part)


def serving_section(runs: Sequence[LoadedRun]) -> str:
    """One process of many threads against many processes of one; empty without serving."""
    cases = [case for case in latency_cases(runs) if case.workload.mode == "serving"]
    if not cases:
        return ""
    header = ["run", "network", "implementation", f"processes {TIMES} threads", "sequences a second"]
    header += ["50 %", "99 %", "99.9 %", "worst"]
    rows = []
    for case in sorted(cases, key=lambda case: (case.run, _network(case.workload), case.implementation)):
        workload = case.workload
        rate = case.sequences_per_second
        row = [code(case.run), _network(workload), code(case.implementation)]
        row += [f"{workload.processes} {TIMES} {workload.threads}", _rate(rate)]
        rows.append([*row, *(_estimate(case.percentile(p)) for p in PERCENTILES), seconds(case.latencies.worst)])
    said = "\n".join(f"- {each}" for each in _splits(cases, several_runs=len(runs) > 1))
    rule = (
        "Each process calls its network again as soon as a call is done. Sequences a second are those of all "
        "processes; the times are what each caller sees."
    )
    return "\n\n".join(part for part in (said, rule, cut((case.run for case in cases), header, rows)) if part)


def _answers(cases: Sequence[LatencyCase], *, several_runs: bool) -> list[str]:
    """A sentence for each network: the fastest by its typical call, its tail, and the one with the shortest tail.

    Who is too close to the fastest to call is named in place of a winner.
    """
    groups: dict[tuple[str, str], dict[str, LatencyCase]] = {}
    for case in cases:
        groups.setdefault((case.run, _network(case.workload)), {})[case.implementation] = case
    found: list[str] = []
    for (run, network), group in groups.items():
        names = contenders({name: case.pooled for name, case in group.items()})
        together = {name: group[name] for name in names if group[name].percentile(50.0) is not None}
        if not together:
            continue
        where = f"**{code(run)}: {network}.**" if several_runs else f"**{network}.**"
        first, behind = against_fastest({name: case.pooled for name, case in together.items()})
        parts = [f"{where} {_calls(together[first])}", _next(behind), _shortest_tail(together, first)]
        found.append(f"{'; '.join(part for part in parts if part)}.")
    return found


def _calls(case: LatencyCase) -> str:
    """What a typical call and the slowest in a thousand take."""
    said = f"{code(case.implementation)} takes {_estimate(case.percentile(50.0))} in a typical call"
    tail = case.percentile(99.9)
    return said if tail is None else f"{said} and at most {_estimate(tail)} in 99.9 % of calls"


def _next(behind: Mapping[str, Estimate]) -> str:
    """How far behind the next is, or who is too close to call; `behind` are times over that of the fastest."""
    if not behind:
        return ""
    if any(math.isnan(each.low) for each in behind.values()):
        return "whether that is the fastest is not yet known, of too few blocks for an interval"
    close = [f"{code(name)} ({ratio(each)})" for name, each in behind.items() if too_close(each.low)]
    if close:
        return f"too close to call against {_some(close)}"
    name, each = next(iter(behind.items()))
    return f"the next, {code(name)}, takes {ratio(each)} as long"


def _shortest_tail(cases: Mapping[str, LatencyCase], first: str) -> str:
    """Who has the least 99.9th percentile where that is not surely `first`; empty with too few calls."""
    tails = {name: tail for name, case in cases.items() if (tail := case.percentile(99.9)) is not None}
    if not tails:
        return ""
    least, *others = sorted(tails, key=lambda name: tails[name].median)
    close = [name for name in others if too_close(widest_ratio(tails[name], tails[least]).low)]
    if close:
        return f"the shortest 99.9 % is too close to call between {_some([code(name) for name in (least, *close)])}"
    if least == first:
        return ""
    return f"the shortest 99.9 % has {code(least)}: {_estimate(tails[least])}"


def _some(names: Sequence[str]) -> str:
    """The first few of several names, and how many more there are."""
    more = [f"{len(names) - MOST_NAMED} more"] if len(names) > MOST_NAMED else []
    return listed([*names[:MOST_NAMED], *more])


def _percentiles(cases: Sequence[LatencyCase]) -> str:
    header = ["run", "network", "implementation", "calls", "50 %", "99 %", "99.9 %", "worst", "after silence"]
    rows = []
    for case in cases:
        silence = seconds(statistics.median(case.after_silence)) if case.after_silence else NOTHING
        row = [code(case.run), _network(case.workload), code(case.implementation), str(case.latencies.calls)]
        row += [_estimate(case.percentile(percent)) for percent in PERCENTILES]
        rows.append([*row, seconds(case.latencies.worst), silence])
    return cut((case.run for case in cases), header, rows)


def _deadline_table(run: LoadedRun, cases: Sequence[LatencyCase]) -> str:
    """For each cell and implementation, the largest H that meets each deadline, and how many calls of it are late."""
    limits = deadlines(run.record)
    groups: dict[tuple[str, str], list[LatencyCase]] = {}
    for case in cases:
        groups.setdefault((_without_size(case.workload), case.implementation), []).append(case)
    header = ["run", "network", "implementation", *(f"within {seconds(limit)}" for limit in limits)]
    rows = []
    for (network, name), together in groups.items():
        row = [code(run.label), network, code(name)]
        rows.append([*row, *(_in_time(together, limit) for limit in limits)])
    if not rows:
        return ""
    rule = (
        f"The largest network that is done by a deadline in {MEETS} % of calls, surely (the whole interval), and the "
        "share of its calls that are late. Where the smallest one is not, “none” or, with too few calls for a verdict, "
        "“cannot tell”, with its share."
    )
    return f"{rule}\n\n{cut([run.label], header, rows)}"


def _in_time(cases: Sequence[LatencyCase], limit: float) -> str:
    largest = largest_in_time(cases, limit)
    shown = largest or min(cases, key=lambda case: case.workload.H)
    late = shown.latencies.share_beyond(limit)
    said = share(late.median) if late.median else f"< {share(late.high)}"
    if largest:
        return f"H {shown.workload.H} ({said})"
    return f"none ({said})" if late.low > LATE_SHARE else f"cannot tell ({said})"


def _apart(cases: Sequence[LatencyCase]) -> str:
    """How far one source under two names comes apart at each percentile; empty without such names."""
    header = ["run", "source", "names", "percentile", "workloads", "apart, median", "apart, most"]
    rows = [
        [
            "",
            code(pair.source),
            f"{code(pair.one)}, {code(pair.other)}",
            f"{pair.percent:g} %",
            str(len(pair.apart)),
            share(statistics.median(pair.apart)),
            share(max(pair.apart)),
        ]
        for pair in twins(cases)
    ]
    if not rows:
        return ""
    rule = "The same implementation under two names, at each percentile: what is less apart cannot be told here."
    return f"{rule}\n\n{cut([''], header, rows)}"


def _splits(cases: Sequence[LatencyCase], *, several_runs: bool) -> list[str]:
    """A sentence for each network and implementation that was measured both ways."""
    groups: dict[tuple[str, str, str], list[LatencyCase]] = {}
    for case in cases:
        groups.setdefault((case.run, _network(case.workload), case.implementation), []).append(case)
    found = []
    for (run, network, name), together in groups.items():
        one = next((case for case in together if case.workload.processes == 1 and case.workload.threads > 1), None)
        many = next((case for case in together if case.workload.processes > 1), None)
        if one is None or many is None:
            continue
        rates = widest_ratio(many.sequences_per_second, one.sequences_per_second)
        latency = [case.percentile(99.0) for case in (many, one)]
        where = f"{code(run)}: {network}" if several_runs else network
        said = (
            f"**{where}, {code(name)}.** {many.workload.processes} processes "
            f"of one thread: {ratio(rates)} the sequences a second of one process of "
            f"{one.workload.threads} threads"
        )
        if latency[0] is not None and latency[1] is not None:
            said += f"; 99 % of calls within {_estimate(latency[0])} against {_estimate(latency[1])}"
        found.append(f"{said}.")
    return found


def _bounds(low: float, high: float) -> str:
    return NOTHING.join((significant(low), significant(high)))


def _network(workload: Workload) -> str:
    further = f", {workload.caches} caches" if workload.caches != "warm" else ""
    layers = f", L {workload.L}" if workload.L > 1 else ""
    return f"{_cell(workload)}, T {workload.T}, B {workload.B}, H {workload.H}{layers}{further}"


def _without_size(workload: Workload) -> str:
    further = f", {workload.caches} caches" if workload.caches != "warm" else ""
    return f"{_cell(workload)}, T {workload.T}, B {workload.B}{further}"


def _cell(workload: Workload) -> str:
    return CELL_LABELS.get(workload.cell, workload.cell)


def _estimate(found: Estimate | None) -> str:
    """A time with the bounds of its interval: 3.12 µs (3.05–3.20)."""
    if found is None:
        return NOTHING
    shown = seconds(found.median)
    if not found.low <= found.high:
        return shown
    unit = {"s": 1.0, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9}[shown.rpartition(" ")[2]]
    return f"{shown} ({_bounds(found.low / unit, found.high / unit)})"


def _rate(rate: Estimate) -> str:
    if not rate.low <= rate.high:
        return significant(rate.median)
    return f"{significant(rate.median)} ({_bounds(rate.low, rate.high)})"
