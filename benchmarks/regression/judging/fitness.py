"""Whether the machine is fit to judge on, by the control; and which slowdowns are certain where it is not."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

from benchmarks.regression.judging.stopping import Decision
from benchmarks.regression.judging.verdicts import (
    CONFIDENCE,
    LEAST_PAIRS,
    RatioEstimate,
    bounds,
    estimate_each,
    student_quantile,
)
from benchmarks.regression.processes.pairing import CONTROLS

CONTROL_ERROR = 0.01
CONTROL_SHIFT = 0.01
"""The machine is unfit when the control surely differs between the sides by more than this share."""
CONTROL_WIDTH = 0.05
"""The machine is unfit when the interval of the control's ratio reaches farther from it than this share."""
BY_FAR_ERROR = 0.01
"""The probability that any bound is on the wrong side of the truth, over all cases, and over the control's parts."""


def judge_control(ratios: Sequence[Mapping[str, float]]) -> dict[str, RatioEstimate]:
    """The ratio of each part of the control, as of a case, from the log ratios of all pairs."""
    return estimate_each({name: [each[name] for each in ratios] for name in CONTROLS}, CONTROL_ERROR)


def unfit(control: Mapping[str, RatioEstimate]) -> str:
    """Why the machine is unfit, as a clause; empty where it is fit."""
    for name, found in control.items():
        certain = min(found.p_slower, found.p_faster) < CONTROL_ERROR / 2 / len(control)
        if certain and not 1 / (1 + CONTROL_SHIFT) <= found.ratio <= 1 + CONTROL_SHIFT:
            return f"{name} came out {found.ratio:.3f} times as slow beside head, with the same code on both sides"
        if found.high / found.ratio > 1 + CONTROL_WIDTH:
            return f"{name} is known to {found.low:.3f}-{found.high:.3f} only: the machine is too noisy to judge on"
    return ""


def stays_unfit(ratios: Sequence[Mapping[str, float]], most_pairs: int) -> bool:
    """Whether the machine is unfit after any number of pairs up to `most_pairs`, whatever the further ones give.

    The sum of squares about the mean never falls as values are added. So the narrowest interval to be had is that of
    `most_pairs` pairs whose further values all lie at the mean of those that are there. Where that one is too wide,
    every one is; a shift, by contrast, may always be outweighed by later pairs.
    """
    quantile = student_quantile(most_pairs - 1, (1 + CONFIDENCE) / 2)
    for name in CONTROLS:
        values = [each[name] for each in ratios]
        mean = statistics.fmean(values)
        squares = sum((value - mean) ** 2 for value in values)
        if quantile * math.sqrt(squares / (most_pairs - 1) / most_pairs) > math.log1p(CONTROL_WIDTH):
            return True
    return False


def first_warning(ratios: Sequence[Mapping[str, float]]) -> str:
    """What pairs that are too few for an interval say against the machine, as a sentence; empty for nothing.

    The control is the same work on both sides, so that its log ratio in a single pair shows how far the machine sets
    two sides apart. `ratios` are the log ratios of the pairs so far, with those of base against itself.
    """
    for name in CONTROLS:
        largest = max((abs(each[name]) for each in ratios if name in each), default=0.0)
        if largest > math.log1p(CONTROL_WIDTH):
            return (
                f"so far the machine is unfit to judge on: {name} differed by {math.expm1(largest):.0%} between the "
                f"sides of {'the first pair' if len(ratios) == 1 else 'a pair'}, with the same code on both; further "
                "pairs may show that it is fit, and Ctrl-C ends the run"
            )
    return ""


def early_warning(ratios: Sequence[Mapping[str, float]], most_pairs: int) -> str:
    """What the pairs so far say against the machine, as a sentence; empty where they say nothing.

    It ends no run: the machine is judged by all pairs, and a slowdown that it does not explain counts on an unfit one.
    """
    reason = unfit(judge_control(ratios)) if len(ratios) >= LEAST_PAIRS else ""
    if not reason:
        return ""
    if stays_unfit(ratios, most_pairs):
        return (
            f"the machine is unfit to judge on, whatever further pairs give: {reason}; only a slowdown that it does "
            "not explain will count, and Ctrl-C ends the run"
        )
    return f"so far the machine is unfit to judge on: {reason}; further pairs may show that it is fit"


def slower_by_far(decision: Decision, control: Mapping[str, RatioEstimate]) -> tuple[str, ...]:
    """The confirmed slowdowns that an unfit machine does not explain.

    Equal code on an unfit machine may come out as slow as the control can be, in either direction, and no slower. So
    the lower bound of the case's ratio has to exceed 1 + the threshold, times the widest bound of the control. Each
    bound is on the wrong side of the truth with a probability of `BY_FAR_ERROR` at most, over all cases and over both
    parts of the control (Bonferroni). Only confirmed slowdowns are asked, so equal code raises no more false alarms
    than on a fit machine.
    """
    explained = max(
        max(high, 1 / low) for low, high in (bounds(each, BY_FAR_ERROR / len(control)) for each in control.values())
    )
    error = BY_FAR_ERROR / len(decision.final)
    return tuple(
        case
        for case in decision.slower
        if bounds(decision.final[case].estimate, error)[0] > (1 + decision.final[case].threshold) * explained
    )
