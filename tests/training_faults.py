"""Implementations whose gradients are wrong, or that fail or end the program while they train; and the curve of one."""

from __future__ import annotations

import os
import signal

import numpy as np

from benchmarks.training.learning_curve import Curve, TrainResult
from rnnimpl import Grads, RnnConfig, Unavailable, Weights
from rnnimpl.impls.numpy_loop import NumpyLoop
from rnnimpl.interface import NumpyArray, Pullback, State

Vjp = tuple[NumpyArray, State[NumpyArray], Pullback[NumpyArray]]


class SlightlyWrong(NumpyLoop):
    """The gradient of one weight is too large by one part in ten thousand."""

    devices = ("cpu",)
    cells = ("tanh",)

    def vjp(self, x: NumpyArray, state: State[NumpyArray] | None = None) -> Vjp:
        y, state_n, right = super().vjp(x, state)

        def pullback(dy: NumpyArray, dstate_n: State[NumpyArray]) -> Grads[NumpyArray]:
            grads = right(dy, dstate_n)
            weights = dict(grads.weights)
            weights["weight_hh_l0"] = weights["weight_hh_l0"] * np.float32(1.0001)
            return Grads(grads.x, grads.state, weights)

        return y, state_n, pullback


class Overflows(NumpyLoop):
    """The outputs of this implementation are not numbers."""

    devices = ("cpu",)

    def vjp(self, x: NumpyArray, state: State[NumpyArray] | None = None) -> Vjp:
        y, state_n, pullback = super().vjp(x, state)
        return np.full_like(y, np.nan), state_n, pullback


class FailsAtTheThirdStep(NumpyLoop):
    """An implementation that raises when it is built for the fourth time: once to be described, then once a step."""

    devices = ("cpu",)
    built = 0

    def __init__(self, config: RnnConfig, weights: Weights, device: str = "cpu") -> None:
        super().__init__(config, weights, device)
        type(self).built += 1
        if self.built == 4:
            raise ArithmeticError("lost the thread")


class LeavesBySystemExit(NumpyLoop):
    """An implementation whose backward pass ends the program, as the argument parser of a script does."""

    devices = ("cpu",)

    def vjp(self, x: NumpyArray, state: State[NumpyArray] | None = None) -> Vjp:
        raise SystemExit(0)


class LeavesAtOnce(NumpyLoop):
    """An implementation whose backward pass ends the process."""

    devices = ("cpu",)

    def vjp(self, x: NumpyArray, state: State[NumpyArray] | None = None) -> Vjp:
        os._exit(0)


class LeavesByKeyboardInterrupt(NumpyLoop):
    """An implementation whose backward pass raises KeyboardInterrupt itself."""

    devices = ("cpu",)

    def vjp(self, x: NumpyArray, state: State[NumpyArray] | None = None) -> Vjp:
        raise KeyboardInterrupt


class IsInterrupted(NumpyLoop):
    """An implementation in whose backward pass the user presses Ctrl-C."""

    devices = ("cpu",)

    def vjp(self, x: NumpyArray, state: State[NumpyArray] | None = None) -> Vjp:
        signal.raise_signal(signal.SIGINT)
        return super().vjp(x, state)


class NeedsWhatIsNotThere(NumpyLoop):
    """An implementation with a requirement that is not installed."""

    devices = ("cpu",)
    requires = ("a-package-that-nobody-has>=1",)


class NeedsAnotherMachine(NumpyLoop):
    """An implementation that can be loaded and not built."""

    devices = ("cpu",)

    def __init__(self, config: RnnConfig, weights: Weights, device: str = "cpu") -> None:
        super().__init__(config, weights, device)
        raise Unavailable("this machine has no abacus")


def named(result: TrainResult, name: str) -> Curve:
    """The curve of an implementation."""
    (curve,) = (curve for curve in result.curves if curve.implementation == name)
    return curve
