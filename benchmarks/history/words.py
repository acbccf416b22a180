"""A case's history in words: its last step, or the smallest step that would have been found."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from benchmarks.history.findings import CaseHistory, CodeChange
from benchmarks.history.steps import StepChange
from benchmarks.presentation.plain_text import NOTHING, share


def step_text(step: StepChange) -> str:
    """The change of the time with its interval: `+12.3 % (+10.1 to +14.6)`."""
    return f"{_percent(step.ratio)} % ({_percent(step.low)} to {_percent(step.high)})"


def commits_around(case: CaseHistory, change: CodeChange) -> tuple[str, str]:
    """The last revision that surely has the old time, and the first that surely has the new one, abbreviated."""
    revisions = case.series.revisions
    return short(revisions[change.step.last_before].revision), short(revisions[change.step.first_after].revision)


def short(revision: str, letters: int = 10) -> str:
    """A commit by its first letters; the version of a release as it is."""
    return revision[:letters] if re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", revision) else revision


def smallest_step_text(case: CaseHistory) -> str:
    """The smallest step that would have been found; a dash where none would."""
    return NOTHING if case.least_visible is None else share(math.expm1(case.least_visible))


def finding(case: CaseHistory) -> str:
    """The findings on a case in a line: its latest step, or the smallest that would have been found."""
    if not case.changes:
        revisions = len(case.series.revisions)
        if case.least_visible is None:
            return f"too few to tell: {revisions} revisions, {sum(map(len, case.series.processes))} processes"
        return f"no step; one of {smallest_step_text(case)} would have been found"
    latest = case.changes[-1]
    before, after = commits_around(case, latest)
    more = f"; {len(case.changes) - 1} before" if len(case.changes) > 1 else ""
    between = f"{before} to {after}" if latest.origin == "release" else f"{before[:7]} to {after[:7]}"
    return f"{step_text(latest.step)}, {between}: {latest.kind}{more}"


def short_names(cases: Sequence[str]) -> dict[str, str]:
    """{case: short name}: without the file that all share; only the parameters where all are of one test."""
    files = {case.partition("::")[0] for case in cases}
    tests = {case.partition("[")[0] for case in cases}
    if len(tests) == 1 and all(case.endswith("]") for case in cases):
        return {case: case.partition("[")[2][:-1] for case in cases}
    if len(files) == 1:
        return {case: case.partition("::")[2] or case for case in cases}
    return {case: case for case in cases}


def _percent(ratio: float) -> str:
    return f"{100 * (ratio - 1):+.1f}"
