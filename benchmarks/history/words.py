"""A case's history in words: its last step, or how small a one would have been seen."""

from __future__ import annotations

import math
from collections.abc import Sequence

from benchmarks.history.findings import CaseHistory, Change
from benchmarks.history.steps import Step
from benchmarks.reporting.plain_text import NOTHING, share


def size(step: Step) -> str:
    """By how much the time changed: +12.3 % (+10.1 to +14.6)."""
    return f"{_percent(step.ratio)} % ({_percent(step.low)} to {_percent(step.high)})"


def commits(case: CaseHistory, change: Change) -> tuple[str, str]:
    """The last revision that surely has the old time, and the first that surely has the new one; abbreviated."""
    points = case.series.points
    return points[change.step.last_before].revision[:10], points[change.step.first_after].revision[:10]


def visible(case: CaseHistory) -> str:
    """The smallest step that would have been seen; a dash where none would."""
    return NOTHING if case.least_visible is None else share(math.expm1(case.least_visible))


def finding(case: CaseHistory) -> str:
    """The steps in a line, the latest first."""
    if not case.changes:
        points = len(case.series.points)
        if case.least_visible is None:
            return f"too few to tell: {points} revisions, {sum(map(len, case.series.processes))} processes"
        return f"no step; one of {visible(case)} would have been seen"
    latest = case.changes[-1]
    before, after = commits(case, latest)
    more = f"; {len(case.changes) - 1} before" if len(case.changes) > 1 else ""
    return f"{size(latest.step)}, {before[:7]} to {after[:7]}: {latest.kind}{more}"


def short_names(cases: Sequence[str]) -> dict[str, str]:
    """Names without the file that all are in, and, where all are one test's, its parameters alone."""
    files = {case.partition("::")[0] for case in cases}
    tests = {case.partition("[")[0] for case in cases}
    if len(tests) == 1 and all(case.endswith("]") for case in cases):
        return {case: case.partition("[")[2][:-1] for case in cases}
    if len(files) == 1:
        return {case: case.partition("::")[2] or case for case in cases}
    return {case: case for case in cases}


def _percent(ratio: float) -> str:
    return f"{100 * (ratio - 1):+.1f}"
