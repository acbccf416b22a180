"""Whether the machine was fit to judge on, by the control; and which slowdowns are certain even where it was not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.regression.judging import Estimate, bounds, estimate_each
from benchmarks.regression.pairing import CONTROLS
from benchmarks.regression.stopping import Outcome

CONTROL_ERROR = 0.01
CONTROL_SHIFT = 0.01
CONTROL_WIDTH = 0.05
"""The machine is unfit when the control surely differs by more, or its interval reaches farther: shares."""
BY_FAR_ERROR = 0.01
"""How often, at most, all cases together and the control together have a bound on the wrong side of the truth."""


def judge_control(ratios: Sequence[Mapping[str, float]]) -> dict[str, Estimate]:
    """The control over pairs, by the log ratios of each, as if it were a case."""
    return estimate_each({name: [each[name] for each in ratios] for name in CONTROLS}, CONTROL_ERROR)


def unfit(control: Mapping[str, Estimate]) -> str:
    """Why the machine was unfit, in a sentence; empty when it was not."""
    for name, found in control.items():
        certain = min(found.p_slower, found.p_faster) < CONTROL_ERROR / 2 / len(control)
        if certain and not 1 / (1 + CONTROL_SHIFT) <= found.ratio <= 1 + CONTROL_SHIFT:
            return f"{name} came out {found.ratio:.3f} times as slow beside head, with the same code on both sides"
        if found.high / found.ratio > 1 + CONTROL_WIDTH:
            return f"{name} is known to {found.low:.3f}-{found.high:.3f} only: the machine is too noisy to judge on"
    return ""


def slower_by_far(outcome: Outcome, control: Mapping[str, Estimate]) -> tuple[str, ...]:
    """The confirmed slowdowns that an unfit machine does not explain.

    A machine may make equal code come out as slow as its control can be, in either direction, and no slower. So the
    lower bound of the case's ratio has to exceed the control's widest bound times the change that matters. Each bound
    is on the wrong side of the truth with a probability of `BY_FAR_ERROR` at most, over all cases and over both
    controls (Bonferroni). This is asked of what was suspected and confirmed already, so equal code raises a false alarm
    no more often than on a machine that is fit: what slows one side and not the control would have to pass both tests.
    """
    explained = max(
        max(high, 1 / low) for low, high in (bounds(each, BY_FAR_ERROR / len(control)) for each in control.values())
    )
    error = BY_FAR_ERROR / len(outcome.final)
    return tuple(
        case
        for case in outcome.slower
        if bounds(outcome.final[case].estimate, error)[0] > (1 + outcome.final[case].gate) * explained
    )
