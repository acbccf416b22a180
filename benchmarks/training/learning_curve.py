"""Learning curves, and when one is right.

The curves of two implementations may differ by what rounding makes of them, and by no more. How much that is
follows from a measurement, not from a choice: the error of computing in a dtype is, to first order, a factor
times its unit roundoff u, and the factor belongs to the task. It is measured on a plain loop as the largest
relative difference between its curves in float32 and float64 over the first `FIRST_STEPS` steps, divided by u
of float32. A curve may then be `SAFETY` times this factor, times u of its own dtype, away from the plain loop's.

The factor does not grow with the steps: a descent that converges brings neighbouring weights nearer to each
other at every step, so that each step's rounding adds to what is left of the earlier ones.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.training.task import Task
from benchmarks.trial import NothingMeasured, Status
from rnnimpl.dtypes import Dtype, unit_roundoff
from rnnimpl.interface import NumpyArray

REFERENCE = "numpy_loop"
"""The plain loop that the others are held to."""
FIRST_STEPS = 100
SAFETY = 5
"""Over six seeds, five implementations and both dtypes gave 0.4 to 1.9 times the plain loop's own error."""
FINAL_STEPS = 20
"""The final loss is a mean over so many steps, as each step has a batch of its own."""


class Step(NamedTuple):
    """One step of training: the loss before the update, the seconds it took, and those of building the network."""

    loss: float
    seconds: float
    setup_seconds: float


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Curve:
    """One implementation's training: a status, why it is not ok, every step taken, and which path ran."""

    implementation: str
    status: Status
    reason: str | None = None
    steps: tuple[Step, ...] = ()
    describe: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def losses(self) -> NumpyArray:
        """The loss on each step's batch, before the update: (steps,). Steps are counted from 1 when shown."""
        return np.array([step.loss for step in self.steps])


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class TrainResult:
    """A curve an implementation, the plain loop's losses, and how far from them is near enough."""

    task: Task
    curves: tuple[Curve, ...]
    reference: NumpyArray
    tolerance: float
    device: str
    dtype: Dtype
    folder: Path

    @property
    def passed(self) -> bool:
        """Whether one or more trained as they should, and none that could run did not."""
        statuses = {curve.status for curve in self.curves}
        return "ok" in statuses and statuses <= {"ok", "unavailable", "unsupported"}

    def check_trained(self) -> None:
        """Raise NothingMeasured, with the reasons, where no implementation could be trained at all."""
        if all(curve.status in ("unavailable", "unsupported") for curve in self.curves):
            reasons = (f"{curve.implementation} is {curve.status}: {curve.reason}" for curve in self.curves)
            raise NothingMeasured(f"nothing was trained: {'; '.join(reasons)}")


def final_loss(losses: NumpyArray) -> float:
    """Mean over the last steps; NaN without any."""
    return float(losses[-FINAL_STEPS:].mean()) if losses.size else float("nan")


def relative_deviation(losses: NumpyArray, reference: NumpyArray) -> NumpyArray:
    """|loss - reference| / reference at each step that both have."""
    both = min(losses.size, reference.size)
    return np.asarray(np.abs(losses[:both] - reference[:both]) / reference[:both])


def tolerance(plain_float32: NumpyArray, plain_float64: NumpyArray, dtype: Dtype) -> float:
    """How far a curve in `dtype` may be from the plain loop's, relatively, given the plain loop's in both dtypes."""
    own_error = float(relative_deviation(plain_float32, plain_float64)[:FIRST_STEPS].max())
    # A loss is itself a rounded number, so nothing can be held to less than a roundoff.
    factor = max(own_error / unit_roundoff("float32"), 1.0)
    return SAFETY * factor * unit_roundoff(dtype)


def judge(losses: NumpyArray, reference: NumpyArray, allowed: float, task: Task) -> tuple[Status, str | None]:
    """Whether a curve is the reference's up to rounding over the first steps, and ends where it should."""
    if not np.isfinite(losses).all():
        step = int(np.argmin(np.isfinite(losses)))
        return "wrong", f"the loss at step {step + 1} is {losses[step]}"
    deviation = relative_deviation(losses, reference)[:FIRST_STEPS]
    if deviation.max() > allowed:
        step = int(np.argmax(deviation > allowed))
        return "wrong", (
            f"the loss at step {step + 1} is {losses[step]:.9g}, {deviation[step]:.1e} away from {REFERENCE}'s "
            f"{reference[step]:.9g}; rounding explains {allowed:.1e}"
        )
    if losses.size >= task.steps_to_learn and final_loss(losses) >= task.target_loss:
        return "wrong", f"the final loss is {final_loss(losses):.4f}; expected less than {task.target_loss:.4f}"
    return "ok", None
