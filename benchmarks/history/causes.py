"""Changes that are not the code's: steps over time in the session effects, and their likely causes.

Interleaved revisions met the same machine, packages and suite, so a step between them is the code's. A step between
sessions is not, since session effects are corrected for the revisions. The control shows whether the machine changed;
the records show what else differs.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Literal

from benchmarks.history.series import CaseSeries, Session
from benchmarks.history.steps import StepChange, find_steps, noise_of, shift

CauseKind = Literal["machine", "packages", "system", "suite", "several"]


@dataclasses.dataclass(frozen=True)
class Cause:
    """The likely cause of a step over time: its kind, and the evidence for it in a clause."""

    kind: CauseKind
    why: str


@dataclasses.dataclass(frozen=True)
class EnvironmentChange:
    """A step between two sessions in the time of the same revisions, and its likely cause."""

    step: StepChange
    cause: Cause


def environment_changes(series: CaseSeries, cases: int) -> list[EnvironmentChange]:
    """The steps over time that are not the code's; `cases` is the number of series that are searched together."""
    steps = find_steps([(session.seconds,) for session in series.sessions], cases)
    return [EnvironmentChange(step, _cause(series.sessions, step)) for step in steps]


def changed(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """The differences between two descriptions, each as `torch 2.12.0 → 2.13.0`."""
    return [
        f"{name} {before.get(name, 'none')} → {after.get(name, 'none')}"
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    ]


def _cause(sessions: Sequence[Session], step: StepChange) -> Cause:
    moved = _control_that_moved(sessions, step)
    if moved is not None:
        return Cause("machine", moved)
    before, after = sessions[step.last_before], sessions[step.first_after]
    found: list[tuple[CauseKind, list[str]]] = [
        ("packages", changed(before.packages, after.packages)),
        ("system", changed(before.system, after.system)),
        ("suite", [] if before.suite_digest == after.suite_digest else ["the suite's own files"]),
    ]
    recorded = [(kind, names) for kind, names in found if names]
    if not recorded:
        return Cause("machine", "the same revisions changed, and no recorded difference explains it")
    what = ", ".join(name for _, names in recorded for name in names)
    return Cause(recorded[0][0] if len(recorded) == 1 else "several", f"the same revisions changed: {what}")


def _control_that_moved(sessions: Sequence[Session], step: StepChange) -> str | None:
    """A sentence on the control that moved with the case, by half as much or more; None where none did."""
    size = math.log(step.ratio)
    for name in dict.fromkeys(name for session in sessions for name in session.controls):
        seconds = [(session.controls[name],) for session in sessions if name in session.controls]
        noise = noise_of(seconds, [step.at]) if len(seconds) == len(sessions) else None
        if noise is None:
            continue
        moved, half = shift(seconds[step.start : step.at], seconds[step.at : step.end], noise)
        if abs(moved) > half and moved * size > 0 and abs(moved) >= abs(size) / 2:
            return f"the {name}, which uses none of this code, changed by {math.exp(moved) - 1:+.1%} at the same place"
    return None
