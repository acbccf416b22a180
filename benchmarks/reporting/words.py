"""Findings in words: the verdict on a winner, the answer of a report, and cautions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import pandas as pd

from benchmarks.presentation.plain_text import code, count, interval, listed, share, times
from benchmarks.reporting.findings import Finding, Winner
from benchmarks.statistics import Estimate

DISTURBED = 0.1
"""A case counts as disturbed where others took at least this share of the cores' time."""
UNSUSPENDED_SECONDS = 0.1
"""Of an implementation that used so much of the cores in others' turns it is told: several ticks of the clock."""
MANY = 0.25
"""The share of cases from which on a report begins with a caution."""
TOO_FAST = 1.1
"""From this share of the hardware limit on, a time is doubted: the limit is measured to some hundredths."""


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


def cautions(frame: pd.DataFrame) -> str:
    """Reasons to doubt a run's numbers, in sentences; empty without any.

    `frame` is of `load_run`. Noise and disturbance are named where they affect at least `MANY` of the cases.
    """
    measured = frame[frame["median_seconds"].notna()]
    said = []
    disturbed = int((measured["elsewhere_share"] >= DISTURBED).sum())
    if disturbed and disturbed >= MANY * len(measured):
        said.append(
            f"Other programs took {share(DISTURBED)} or more of the cores' time while {disturbed} of "
            f"{count(len(measured), 'case')} were measured: measure again on a machine that does nothing else."
        )
    noisy = int((measured["status"] == "noisy").sum())
    if noisy and noisy >= MANY * len(measured):
        said.append(
            f"The intervals of {noisy} of {count(len(measured), 'case')} are wider than the sweep asked for: "
            "go on with `--resume`, or give it a larger `--budget`."
        )
    too_fast = measured[measured["share_of_attainable"] >= TOO_FAST]
    if len(too_fast):
        fastest = too_fast.sort_values("share_of_attainable").iloc[-1]
        name, workload, most = (fastest[column] for column in ("implementation", "workload", "share_of_attainable"))
        are = "are" if len(too_fast) > 1 else "is"
        said.append(
            f"{count(len(too_fast), 'case')} {are} faster than the hardware limit that was measured here, at most "
            f"{code(name)} on {code(workload)} with {share(most)} of it. Either the limit was measured too low, or the "
            "time was not earned: look at how it is computed before you believe it."
        )
    said += _own_processes(measured)
    lost = int((frame["lost_visits"] > 0).sum())
    if lost:
        said.append(
            f"Visits to {count(lost, 'case')} were lost to a kill from outside, a suspension or the end of the budget; "
            "what had been measured before is kept."
        )
    return " ".join(said)


def _own_processes(measured: pd.DataFrame) -> list[str]:
    """Which implementations have processes of their own, and whether those kept cores busy in others' turns."""
    said = []
    for name, cases in measured.groupby("implementation", sort=False):
        most = cases["helper_processes"].max()
        if most > 0:
            said.append(
                f"{code(name)} has processes of its own, up to {most:.0f} at a time: "
                "they are measured with it and suspended in others' turns."
            )
        ran = cases["unsuspended_seconds"].max()
        if ran >= UNSUSPENDED_SECONDS:
            said.append(
                f"Processes of {code(name)} used up to {ran:.1f} s of the cores in others' turns, although they were "
                "suspended: what was measured beside it may look slower than it is."
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
    """On how many workloads the overall winner is surely the fastest, and which one is more often, if any."""
    workloads = {workload.id for workload in finding.workloads}
    rows = winners[(winners["run"] == finding.run) & winners["workload"].isin(workloads)]
    name = finding.winner.fastest
    sure = rows["close"] == ""
    wins = rows[sure]["fastest"].value_counts()
    first = int(wins.get(name, 0))
    undecided = rows[~sure].to_dict("records")
    close = sum(name in (row["fastest"], *row["close"].split(", ")) for row in undecided)
    said = f"{code(name)} is the fastest on {first} of {len(workloads)}"
    said += f", and too close to call on {close} more" if close else ""
    most = max(wins, default=0)
    oftener = [code(other) for other in sorted(wins.index[wins == most])] if most > first else []
    verb = "are" if len(oftener) > 1 else "is"
    return f"{said}; {listed(oftener)} {verb} on {most}." if oftener else f"{said}."
