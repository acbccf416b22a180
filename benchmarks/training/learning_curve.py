"""Learning curves, and the verdict on one.

The curves of two implementations may differ by rounding only. By how much follows from a measurement: the error of
computing in a dtype is, to first order, a factor times its unit roundoff u, and the factor belongs to the task. It is
measured on a plain loop as the largest relative difference between its curves in float32 and float64 over the first
`FIRST_STEPS` steps, divided by u of float32. A curve may differ from the plain loop's by `SAFETY` times this factor,
times u of its own dtype.

The factor does not grow with the steps: a descent that converges reduces the distance of neighbouring weights at every
step, and so the effect of earlier rounding.
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
"""The plain loop that the others are compared with."""
FIRST_STEPS = 100
SAFETY = 5
"""Factor over the plain loop's own error; `docs/learning.md` has the errors that implementations had."""
FINAL_STEPS = 20
"""Steps whose mean is the final loss, as each step has a batch of its own."""


class Step(NamedTuple):
    """One step of training: the loss before the update, the seconds it took, and those of building the network."""

    loss: float
    seconds: float
    setup_seconds: float


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Curve:
    """One implementation's training: its status with a reason, every step, and the path that ran."""

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
    """A curve an implementation, the plain loop's losses, and the tolerance of their difference."""

    task: Task
    curves: tuple[Curve, ...]
    reference: NumpyArray
    tolerance: float
    device: str
    dtype: Dtype
    folder: Path

    @property
    def passed(self) -> bool:
        """Whether at least one trained as expected, and none that could run did not."""
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
    """The deviation from the reference's loss over that loss, at each step that both have."""
    both = min(losses.size, reference.size)
    return np.asarray(np.abs(losses[:both] - reference[:both]) / reference[:both])


def tolerance(plain_float32: NumpyArray, plain_float64: NumpyArray, dtype: Dtype) -> float:
    """The largest relative deviation that a curve in `dtype` may have, from the plain loop's curves in both dtypes."""
    own_error = float(relative_deviation(plain_float32, plain_float64)[:FIRST_STEPS].max())
    # A loss is itself rounded, so the tolerance is at least a roundoff.
    factor = max(own_error / unit_roundoff("float32"), 1.0)
    return SAFETY * factor * unit_roundoff(dtype)


def judge_curve(losses: NumpyArray, reference: NumpyArray, allowed: float, task: Task) -> tuple[Status, str | None]:
    """The status of a curve, with a reason: first steps as the reference's up to rounding, a final loss on target."""
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
