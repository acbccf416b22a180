"""Findings in words: the verdict on a winner, the answer of a report, and cautions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import pandas as pd

from benchmarks.presentation.plain_text import code, count, interval, listed, share, times
from benchmarks.reporting.doubts import DISTURBED, Doubts, OwnProcesses
from benchmarks.reporting.findings import Finding, Winner
from benchmarks.reporting.workload_winners import count_wins
from benchmarks.statistics import Estimate


def verdict(winner: Winner) -> str:
    """One clause about a winner: use it, by how much, or too close to call."""
    if winner.close:
        return _close(winner)
    clauses = []
    if winner.speedup and winner.baseline not in (winner.fastest, winner.second):
        clauses.append(f"{_faster(winner.speedup)} as {code(winner.baseline)} {_bounds(winner.speedup)}")
    if winner.second and winner.lead:
        clauses.append(f"{_faster(winner.lead)} as the second, {code(winner.second)} {_bounds(winner.lead)}")
    if not clauses:
        return f"only {code(winner.fastest)} was measured throughout"
    return f"use {code(winner.fastest)}: {listed(clauses)}"


def _close(winner: Winner) -> str:
    names = [code(name) for name in (winner.fastest, *winner.close)]
    unbounded = winner.lead is not None and math.isnan(winner.lead.low)
    said = f"{'measured too briefly' if unbounded else 'too close'} to call between {listed(names)}"
    if len(winner.close) == 1 and winner.lead and winner.second == winner.close[0]:
        said += f" ({code(winner.second)} takes {times(winner.lead.median)} the time, {_range(winner.lead)})"
    if winner.speedup and winner.baseline not in (winner.fastest, *winner.close):
        times_as_fast = f"{_faster(winner.speedup)} as {code(winner.baseline)} {_bounds(winner.speedup)}"
        said += f"; {code(winner.fastest)} is {times_as_fast}"
    return said


def _faster(ratio: Estimate) -> str:
    return f"{times(ratio.median)} as fast"


def _bounds(ratio: Estimate) -> str:
    return f"({_range(ratio)})"


def _range(ratio: Estimate) -> str:
    return interval(ratio.low, ratio.high)


def region_name(finding: Finding) -> str:
    """The region with the sizes that were measured in it: one sequence (B 1), a small hidden size (H 64, 128)."""
    if finding.region is None:
        number = len(finding.workloads)
        return f"all {number} workloads" if number > 1 else "the only workload"
    batch, hidden = finding.region
    batches = _sizes("B", (workload.B for workload in finding.workloads))
    return f"{batch.name} ({batches}), {hidden.name} ({_sizes('H', (each.H for each in finding.workloads))})"


def _sizes(letter: str, sizes: Iterable[int]) -> str:
    distinct = sorted(set(sizes))
    if len(distinct) > 3:
        return f"{letter} {distinct[0]} to {distinct[-1]}"
    return f"{letter} {', '.join(map(str, distinct))}"


def cautions(doubts: Doubts) -> str:
    """The doubts about a run in sentences; empty without any."""
    said = []
    if doubts.disturbed:
        said.append(
            f"Other programs took {share(DISTURBED)} or more of the cores' time while {doubts.disturbed} of "
            f"{count(doubts.measured, 'case')} were measured: measure again on a machine that does nothing else."
        )
    if doubts.noisy:
        said.append(
            f"The intervals of {doubts.noisy} of {count(doubts.measured, 'case')} are wider than the sweep asked for: "
            "go on with `--resume`, or give it a larger `--budget`."
        )
    if doubts.too_fast:
        fastest = doubts.too_fast
        are = "are" if fastest.cases > 1 else "is"
        said.append(
            f"{count(fastest.cases, 'case')} {are} faster than the hardware limit that was measured here, at most "
            f"{code(fastest.implementation)} on {code(fastest.workload)} with {share(fastest.share_of_attainable)} of "
            "it. Either the limit was measured too low, or the time was not earned: look at how it is computed before "
            "you believe it."
        )
    for name, own in doubts.processes.items():
        said += _own_processes(name, own)
    if doubts.lost:
        said.append(
            f"Visits to {count(doubts.lost, 'case')} were lost to a kill from outside, a suspension or the end of the "
            "budget; what had been measured before is kept."
        )
    return " ".join(said)


def _own_processes(name: str, own: OwnProcesses) -> list[str]:
    said = []
    if own.most:
        said.append(
            f"{code(name)} has processes of its own, up to {own.most} at a time: "
            "they are measured with it and suspended in others' turns."
        )
    if own.unsuspended_seconds:
        said.append(
            f"Processes of {code(name)} used up to {own.unsuspended_seconds:.1f} s of the cores in others' turns, "
            "although they were suspended: what was measured beside it may look slower than it is."
        )
    return said


def answer(found: Sequence[Finding], winners: pd.DataFrame, *, several_runs: bool) -> str:
    """The answer as Markdown: for each mode and setting a sentence over all, then one for each region."""
    parts: list[str] = []
    overall: Finding | None = None
    for finding in found:
        if finding.region is None:
            overall = finding
            run = f"{code(finding.run)}: " if several_runs else ""
            parts.append(
                f"\n**{run}{finding.mode.capitalize()} ({finding.setting}).** Over {region_name(finding)}, "
                f"{verdict(finding.winner)}. {_wins(finding, winners)}\n"
            )
        elif overall is not None and len(finding.workloads) < len(overall.workloads):
            # A single region with all workloads would repeat the sentence over all.
            region = region_name(finding)
            parts.append(f"- {region[0].upper()}{region[1:]}: {verdict(finding.winner)}.")
    return "\n".join(parts).strip()


def _wins(finding: Finding, winners: pd.DataFrame) -> str:
    """A sentence on how often the overall winner is surely the fastest, and which implementation is more often."""
    found = count_wins(finding, winners)
    said = f"{code(finding.winner.fastest)} is the fastest on {found.first} of {len(finding.workloads)}"
    said += f", and too close to call on {found.close} more" if found.close else ""
    if not found.oftener:
        return f"{said}."
    verb = "are" if len(found.oftener) > 1 else "is"
    return f"{said}; {listed(list(map(code, found.oftener)))} {verb} on {found.most}."
