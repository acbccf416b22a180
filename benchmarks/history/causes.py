"""What a step likely comes from: the code, the packages, the system, the suite, or the machine itself."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Literal

from benchmarks.history.series import Point, Series
from benchmarks.history.steps import Noise, Step, noise_of, shift, values

Kind = Literal["code", "packages", "machine", "several"]


@dataclasses.dataclass(frozen=True)
class Cause:
    """Of what kind the likely cause is, and why it is thought so."""

    kind: Kind
    why: str


def likely_cause(series: Series, step: Step, noise: Noise) -> Cause:
    """Why a case's time changed, as far as the records of the two sides can tell."""
    moved = _control_that_moved(series, step)
    if moved is not None:
        return Cause("machine", moved)
    before, after = series.points[step.last_before], series.points[step.first_after]
    packages = changed(before.packages, after.packages)
    others = [*packages, *changed(before.system, after.system)]
    if before.suite_digest != after.suite_digest:
        others.append("the suite's own files")
    if not others:
        return Cause("code", f"nothing else was recorded to differ, {_when(before, after)}")
    told = ", ".join(others)
    effect = _effect_of_packages(series, before, after, noise) if packages else None
    if effect is None:
        return Cause("several", f"code, or what changed with it: {told}; measure {before.revision[:10]} again to tell")
    size = math.exp(effect[0]) - 1
    measured = f"revisions measured under both differ by {size:+.1%} (±{effect[1]:.1%}): {told}"
    # The step is the packages' where it is nearer to what they do than to nothing.
    if abs(math.log(step.ratio) - effect[0]) < abs(effect[0]):
        return Cause("packages", measured)
    return Cause("code", f"not the packages, {measured}")


def _when(before: Point, after: Point) -> str:
    """Whether the machine had the time to change from the one to the other."""
    if before.first_measured_at < after.measured_at and after.first_measured_at < before.measured_at:
        return "and both took turns"
    return "but the two were measured at different times"


def changed(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """What differs between two descriptions: `torch 2.12.0 → 2.13.0`."""
    return [
        f"{name} {before.get(name, 'none')} → {after.get(name, 'none')}"
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    ]


def _control_that_moved(series: Series, step: Step) -> str | None:
    """What a control says when it moved with the case, by half as much or more; None when none did."""
    points = series.points
    size = math.log(step.ratio)
    for name in dict.fromkeys(name for point in points for name in point.controls):
        taken = [point.controls.get(name, ()) for point in points]
        if not all(taken):
            continue
        noise = noise_of(taken, [step.at])
        if noise is None:
            continue
        moved, half = shift(taken[step.start : step.at], taken[step.at : step.end], noise)
        if abs(moved) > half and moved * size > 0 and abs(moved) >= abs(size) / 2:
            return f"the {name}, which is none of this code, changed by {math.exp(moved) - 1:+.1%} at the same place"
    return None


def _effect_of_packages(series: Series, before: Point, after: Point, noise: Noise) -> tuple[float, float] | None:
    """The log ratio that the packages make on revisions measured under both, and half its interval; None if none is."""
    everywhere = (*series.points, *series.older)
    old = {point.revision: point for point in everywhere if point.packages == before.packages}
    new = {point.revision: point for point in everywhere if point.packages == after.packages}
    both = [revision for revision in old if revision in new]
    if not both:
        return None
    difference = _level([new[each] for each in both]) - _level([old[each] for each in both])
    return difference, noise.half_width(len(both), len(both))


def _level(points: Sequence[Point]) -> float:
    return float(values([point.seconds for point in points]).mean())
