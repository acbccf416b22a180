"""One case in this process: build it, check it, warm it up, take its samples."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from benchmarks.measuring import gpu, memory
from benchmarks.measuring.inputs import make_inputs
from benchmarks.measuring.timing import CallSeconds, Clock, calls_per_sample, resolution, sample_block, warm_up
from benchmarks.workload import Workload
from rnnimpl.expectation import Expectation, name_results
from rnnimpl.interface import Grads, NumpyArray, Rnn

SAMPLES_PER_BLOCK = 8
BLOCK_SECONDS = 0.03
WARM_UP_LEAST_SECONDS = 0.05
WARM_UP_MOST_SECONDS = 1.0
REWARM_SECONDS = 0.05
"""A block begins with an untimed call when a call is shorter than this: another process had the caches."""


class Wrong(Exception):
    """The implementation's results are outside their tolerance; `errors` is what `largest_errors` gives."""

    def __init__(self, reason: str, errors: Mapping[str, float | None]) -> None:
        super().__init__(reason)
        self.errors = errors


def largest_errors(errors: Mapping[str, float]) -> dict[str, float | None]:
    """`error_output` and, where there are gradients, `error_gradient`, from the error of each result."""
    gradients = [error for name, error in errors.items() if name.startswith("grad_")]
    return {"error_output": max(errors["y"], errors["h_n"]), "error_gradient": max(gradients, default=None)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prepared:
    """What building, checking and warming up a case gave; errors are relative, seconds are seconds."""

    setup_seconds: float
    first_call_seconds: float
    check_seconds: float
    warmup_seconds: float
    call_seconds: float
    calls_per_sample: int
    errors: Mapping[str, float | None]
    describe: Mapping[str, str]


class Subject:
    """One case under measurement. Raises what the implementation raises."""

    def __init__(self, implementation: type[Rnn[Any]], workload: Workload, *, clock: Clock) -> None:
        self.workload = workload
        self.clock = clock
        self.memory = memory.start(workload.device)
        self.inputs = make_inputs(workload)
        start = clock()
        self.rnn: Rnn[Any] = implementation(workload.config, self.inputs.weights, workload.device)
        self.rnn.synchronize()
        self.setup_seconds = clock() - start
        arrays = (self.inputs.x, self.inputs.dy, self.inputs.dh_n)
        self.x, self.dy, self.dh_n = (None if each is None else self.rnn.from_numpy(each) for each in arrays)
        self.rnn.synchronize()
        self.calls = 1

    def prepare(
        self, expectation: Expectation, checked_steps: int, warm_up_seconds: float = WARM_UP_MOST_SECONDS
    ) -> Prepared:
        """Make the first call, check results against what is expected, and warm up, for `warm_up_seconds` at most.

        Raises Wrong when a result is outside its tolerance: nothing wrong is ever timed.
        """
        start = self.clock()
        called = self._call(self.x, self.dy, self.dh_n)
        first_call_seconds = self.clock() - start

        start = self.clock()
        results = self._to_numpy(called)
        if checked_steps < self.workload.T:
            results = self._check_prefix(results, checked_steps)
        errors = expectation.errors(results)
        outside = expectation.outside(errors)
        if outside:
            raise Wrong("; ".join(outside), largest_errors(errors))
        del called, results
        check_seconds = self.clock() - start

        warmed = warm_up(self._timed, self.clock, least=WARM_UP_LEAST_SECONDS, most=warm_up_seconds)
        self.calls = calls_per_sample(
            warmed.call,
            clock_resolution=resolution(self.clock),
            block_seconds=BLOCK_SECONDS,
            samples=SAMPLES_PER_BLOCK,
        )
        self.call_seconds = warmed.call
        return Prepared(
            setup_seconds=self.setup_seconds,
            first_call_seconds=first_call_seconds,
            check_seconds=check_seconds,
            warmup_seconds=warmed.elapsed,
            call_seconds=warmed.call,
            calls_per_sample=self.calls,
            errors=largest_errors(errors),
            describe=self.rnn.describe(),
        )

    def block(self) -> list[CallSeconds]:
        """Take one block of samples."""
        if self.call_seconds < REWARM_SECONDS:
            self._timed()
        return sample_block(
            self._timed,
            self.clock,
            calls=self.calls,
            block_seconds=BLOCK_SECONDS,
            samples=SAMPLES_PER_BLOCK,
        )

    def finish(self) -> dict[str, Any]:
        """What is known only at the end: peak memory, and on a GPU where the time of a call went."""
        found: dict[str, Any] = {"peak_bytes": memory.peak(self.memory)}
        if self.workload.device == "cuda":
            found |= gpu.profile_call(self._timed)
        return found

    def _timed(self) -> CallSeconds:
        """One call, from its input on the device until its results are ready there."""
        clock = self.clock
        start = clock()
        if self.workload.mode == "inference":
            self.rnn.forward(self.x)
            self.rnn.synchronize()
            return CallSeconds(clock() - start, 0.0)
        _, _, pullback = self.rnn.vjp(self.x)
        self.rnn.synchronize()
        middle = clock()
        pullback(self.dy, self.dh_n)
        self.rnn.synchronize()
        end = clock()
        return CallSeconds(end - start, end - middle)

    def _call(self, x: Any, dy: Any, dh_n: Any) -> tuple[Any, Any, Grads[Any] | None]:
        """Y, h_n and, in training, the gradients of one call, ready on the device."""
        if self.workload.mode == "inference":
            y, h_n = self.rnn.forward(x)
            grads = None
        else:
            y, h_n, pullback = self.rnn.vjp(x)
            grads = pullback(dy, dh_n)
        self.rnn.synchronize()
        return y, h_n, grads

    def _to_numpy(self, called: tuple[Any, Any, Grads[Any] | None]) -> dict[str, NumpyArray]:
        y, h_n, grads = called
        return name_results(self.rnn, y, h_n, grads)

    def _check_prefix(self, results: dict[str, NumpyArray], steps: int) -> dict[str, NumpyArray]:
        """Results of a call on the first steps alone; in one direction the long call must begin the same way."""
        inputs = self.inputs.prefix(steps)
        arrays = (inputs.x, inputs.dy, inputs.dh_n)
        short = self._to_numpy(self._call(*(None if each is None else self.rnn.from_numpy(each) for each in arrays)))
        if not self.workload.bidirectional:
            short["y"] = results["y"][:steps]
        return short
