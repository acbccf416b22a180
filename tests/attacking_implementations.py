"""Implementations that attack the process that measures them: its checks, its data or its clocks."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from rnnimpl.impls.numpy_loop import NumpyLoop
from rnnimpl.interface import NumpyArray, State
from tests.cheating_implementations import Results, SameArray


class ReplacedChecker(SameArray):
    """Replaces the functions that check results."""

    devices = ("cpu",)

    def forward(self, x: NumpyArray, state: State[NumpyArray] | None = None) -> Results:
        from benchmarks.measuring import measure
        from benchmarks.measuring.checking import call_checking
        from rnnimpl.expectation import Expectation

        Expectation.outside = lambda *_: []  # type: ignore[method-assign]  # that is the fault
        call_checking.SpotCheck.problem = lambda *_: None  # type: ignore[method-assign]  # the same
        measure.check_results = lambda *_: {}
        return super().forward(x, state)


class FindsExpectation(NumpyLoop):
    """Searches the process for expected results, and returns them."""

    devices = ("cpu",)

    def forward(self, x: NumpyArray, state: State[NumpyArray] | None = None) -> Results:
        import gc

        from rnnimpl.expectation import Expectation

        for found in gc.get_objects():
            if isinstance(found, Expectation):
                return found.values["y"].astype(x.dtype), (found.values["h_n"].astype(x.dtype),)
        T, B, _ = x.shape
        H = self.config.hidden_size
        return np.zeros((T, B, H), x.dtype), (np.zeros((1, B, H), x.dtype),)


class RecognisesInputs(NumpyLoop):
    """Recognises data that are drawn with the suite's usual seed."""

    devices = ("cpu",)

    def forward(self, x: NumpyArray, state: State[NumpyArray] | None = None) -> Results:
        from benchmarks.measuring.inputs import make_inputs
        from benchmarks.workload import Workload

        T, B, I = x.shape
        usual = make_inputs(Workload(mode="inference", T=T, B=B, I=I, H=self.config.hidden_size))
        if np.array_equal(x, usual.x):
            raise AssertionError("recognised: its results could have been computed before")
        return super().forward(x, state)


class SlowClock(NumpyLoop):
    """Slows the clock of its caller to a tenth."""

    devices = ("cpu",)

    def forward(self, x: NumpyArray, state: State[NumpyArray] | None = None) -> Results:
        frame = sys._getframe(1)
        while frame is not None:
            subject: Any = frame.f_locals.get("self")
            if type(subject).__name__ == "Subject" and not hasattr(subject, "slowed"):
                subject.slowed = True
                subject.clock = _slowed(subject.clock)
            frame = frame.f_back  # type: ignore[assignment]  # None ends the loop
        return super().forward(x, state)


def _slowed(clock: Callable[[], float]) -> Callable[[], float]:
    begun = clock()
    return lambda: begun + (clock() - begun) / 10


class SlowModuleClock(NumpyLoop):
    """Replaces `time.perf_counter` by a slow clock before anything is measured."""

    devices = ("cpu",)

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        import time

        true = time.perf_counter
        time.perf_counter = lambda: true() / 10
