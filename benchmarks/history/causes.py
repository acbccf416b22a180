"""What else changed than the code: steps over time of what each moment did to all revisions, and why.

Revisions that took turns met the same machine, packages and suite, so a step between them is the code's. A step between
moments is not the code's, since each moment is freed of its revisions: the control tells whether the machine took it,
and the records what else differs.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Literal

from benchmarks.history.series import Moment, Series
from benchmarks.history.steps import Step, find_steps, noise_of, shift

Kind = Literal["machine", "packages", "system", "suite", "several"]


@dataclasses.dataclass(frozen=True)
class Cause:
    """The likely cause of a step in a series of times: its kind, and the evidence for it."""

    kind: Kind
    why: str


@dataclasses.dataclass(frozen=True)
class Elsewhere:
    """A step in what the same revisions took, between two moments."""

    step: Step
    cause: Cause


def elsewhere(series: Series, cases: int) -> list[Elsewhere]:
    """The steps over time that are not the code's; `cases` is how many series are looked through."""
    steps = find_steps([(moment.seconds,) for moment in series.moments], cases)
    return [Elsewhere(step, _cause(series.moments, step)) for step in steps]


def changed(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """What differs between two descriptions: `torch 2.12.0 → 2.13.0`."""
    return [
        f"{name} {before.get(name, 'none')} → {after.get(name, 'none')}"
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    ]


def _cause(moments: Sequence[Moment], step: Step) -> Cause:
    moved = _control_that_moved(moments, step)
    if moved is not None:
        return Cause("machine", moved)
    before, after = moments[step.last_before], moments[step.first_after]
    found: list[tuple[Kind, list[str]]] = [
        ("packages", changed(before.packages, after.packages)),
        ("system", changed(before.system, after.system)),
        ("suite", [] if before.suite_digest == after.suite_digest else ["the suite's own files"]),
    ]
    told = [(kind, names) for kind, names in found if names]
    if not told:
        return Cause("machine", "the same revisions changed, and nothing was recorded to differ")
    what = ", ".join(name for _, names in told for name in names)
    return Cause(told[0][0] if len(told) == 1 else "several", f"the same revisions changed: {what}")


def _control_that_moved(moments: Sequence[Moment], step: Step) -> str | None:
    """What a control says when it moved with the case, by half as much or more; None when none did."""
    size = math.log(step.ratio)
    for name in dict.fromkeys(name for moment in moments for name in moment.controls):
        taken = [(moment.controls[name],) for moment in moments if name in moment.controls]
        noise = noise_of(taken, [step.at]) if len(taken) == len(moments) else None
        if noise is None:
            continue
        moved, half = shift(taken[step.start : step.at], taken[step.at : step.end], noise)
        if abs(moved) > half and moved * size > 0 and abs(moved) >= abs(size) / 2:
            return f"the {name}, which is none of this code, changed by {math.exp(moved) - 1:+.1%} at the same place"
    return None
