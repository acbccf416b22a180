"""Why a run has no times: the reason of each implementation, or what used the budget."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.presentation.plain_text import clean, seconds
from benchmarks.reporting.words.provenance import activity_seconds
from benchmarks.runs.loading import LoadedRun
from benchmarks.trial import NothingMeasured

_MOST_REASONS = 12
_LONGEST_REASON = 300


def check_measured(runs: Sequence[LoadedRun]) -> None:
    """Raise NothingMeasured, with the reasons, where no case of any run has a time."""
    if any(case.measured for run in runs for case in run.cases.values()):
        return
    raise NothingMeasured("; ".join(_why(run) for run in runs))


def _why(run: LoadedRun) -> str:
    reasons: dict[str, str] = {}
    for case in run.cases.values():
        reason = clean(case.reason or "no reason is recorded", _LONGEST_REASON)
        reasons.setdefault(case.case.implementation, f"{case.status.replace('_', ' ')}: {reason}")
    if not reasons:
        return f"nothing was measured in {run.folder}: {_what_took_the_budget(run)}"
    said = [f"{name} is {reason}" for name, reason in reasons.items()]
    more = [f"and {len(said) - _MOST_REASONS} more, in the report"] if len(said) > _MOST_REASONS else []
    return f"nothing was measured in {run.folder}: {'; '.join([*said[:_MOST_REASONS], *more])}"


def _what_took_the_budget(run: LoadedRun) -> str:
    spent = activity_seconds(run.record)
    if not spent:
        return "it holds no trials"
    said = ", ".join(f"{name} took {seconds(value)}" for name, value in spent.items())
    again = f"; go on with a larger budget: {run.resume_command} --budget 10m" if run.resume_command else ""
    return f"the budget ended before any case was: {said}{again}"
