"""One case in this process: build it, make its first call, warm it up, take samples, and keep results for checks.

Nothing here knows the expected results. A sweep checks results in the process that started this one, by `checking/`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.measuring.calls import arrays, gpu, memory
from benchmarks.measuring.calls.call import Call, Results
from benchmarks.measuring.calls.changing_input import ChangingInput
from benchmarks.measuring.calls.timing import CallSeconds, Clock, calls_per_sample, resolution, sample_block, warm_up
from benchmarks.measuring.inputs import SEED, envelope, fresh_feature, make_inputs
from benchmarks.workload import Workload
from rnnimpl.expectation import Expectation, is_per_sequence, name_results, state_n_names
from rnnimpl.interface import NumpyArray, Rnn

SAMPLES_PER_BLOCK = 8
BLOCK_SECONDS = 0.03
WARM_UP_LEAST_SECONDS = 0.05
WARM_UP_MOST_SECONDS = 1.0
REWARM_SECONDS = 0.05
"""A block begins with an untimed call where a call is shorter than this: another process has used the caches."""


class Wrong(Exception):
    """The implementation's results are outside their tolerance; `errors` is what `largest_errors` gives."""

    def __init__(self, reason: str, errors: Mapping[str, float | None] | None = None) -> None:
        super().__init__(reason)
        self.errors = errors or {}


def largest_errors(errors: Mapping[str, float]) -> dict[str, float | None]:
    """`error_output` and, where there are gradients, `error_gradient`, from the error of each result."""
    gradients = [error for name, error in errors.items() if name.startswith("grad_")]
    outputs = [error for name, error in errors.items() if not name.startswith("grad_")]
    return {"error_output": max(outputs), "error_gradient": max(gradients, default=None)}


def check_results(expectation: Expectation, results: Mapping[str, NumpyArray]) -> dict[str, float | None]:
    """The largest errors. Raises Wrong when a result is outside its tolerance: a wrong result is never timed."""
    errors = expectation.errors(results)
    outside = expectation.outside(errors)
    if outside:
        raise Wrong("; ".join(outside), largest_errors(errors))
    return largest_errors(errors)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prepared:
    """The result of building, checking and warming up a case, in seconds; errors are relative."""

    setup_seconds: float
    first_call_seconds: float
    warmup_seconds: float
    errors: Mapping[str, float | None]
    describe: Mapping[str, str]


@dataclasses.dataclass(frozen=True, kw_only=True)
class CheckedCall:
    """The call of a block that is checked: the first at `place` 0, the last below 1; and its input.

    Feature number `feature` of x has the values of `fresh_feature` with `seed`.
    """

    place: float
    feature: int
    seed: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Block:
    """A block of samples, by this process's clock.

    `began` and `ended` are readings of the clock. `untimed_seconds` between them went into preparing inputs and keeping
    results. The samples are of `calls` calls.
    """

    samples: Sequence[CallSeconds]
    calls: int
    began: float
    ended: float
    untimed_seconds: float


class Subject:
    """One case under measurement. Raises what the implementation raises, and Wrong for what is no result."""

    def __init__(self, implementation: type[Rnn[Any]], workload: Workload, *, clock: Clock, seed: int = SEED) -> None:
        self.workload = workload
        self.clock = clock
        self.inputs = make_inputs(workload, seed)
        self.memory = memory.start(workload.device)
        start = clock()
        self.rnn: Rnn[Any] = implementation(workload.config, self.inputs.weights, workload.device)
        self.rnn.synchronize()
        self.setup_seconds = clock() - start
        self.call = Call.of(self.rnn, self.inputs.x, self.inputs.dy, self.inputs.dstate_n, self.inputs.lengths)
        self.input = ChangingInput(self.rnn, self.inputs.x, self.call.x, envelope(workload))
        self.rnn.synchronize()
        self.calls = 1
        self.call_seconds = 0.0
        self.is_converted = self.input.is_own
        """Whether arrays are converted within the timed region, since only the implementation can read them."""
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._kept: dict[str, NumpyArray] | None = None

    # `benchmarks/suite` uses these names, on old revisions too.
    @property
    def x(self) -> Any:
        """x of the call, on the device."""
        return self.call.x

    @property
    def dy(self) -> Any | None:
        """The cotangent of y in training, on the device."""
        return self.call.dy

    @property
    def dh_n(self) -> Any:
        """The cotangents of the final state in training, on the device."""
        return self.call.dstate_n

    def prepare(
        self, expectation: Expectation, checked_steps: int, warm_up_seconds: float = WARM_UP_MOST_SECONDS
    ) -> Prepared:
        """Make the first call, check its results here, and warm up, for `warm_up_seconds` at most.

        For a process that knows the expected results. Raises Wrong when a result is outside its tolerance.
        """
        first_call_seconds, results = self.first_call(checked_steps)
        errors = check_results(expectation, results)
        del results
        return Prepared(
            setup_seconds=self.setup_seconds,
            first_call_seconds=first_call_seconds,
            warmup_seconds=self.warm_up(warm_up_seconds),
            errors=errors,
            describe=self.rnn.describe(),
        )

    def first_call(self, checked_steps: int) -> tuple[float, dict[str, NumpyArray]]:
        """Make the first call and return its seconds and its results by name.

        With fewer steps to check than T, the results are those of a second call on the first steps alone. In one
        direction, y is that of the first call, which must begin the same way.
        """
        start = self.clock()
        called = self.call.make()
        seconds = self.clock() - start
        results = self._read(called)
        self._shapes = {name: array.shape for name, array in results.items()}
        if checked_steps < self.workload.T:
            results = self._check_prefix(results, checked_steps)
        return seconds, results

    def warm_up(self, most_seconds: float = WARM_UP_MOST_SECONDS) -> float:
        """Call until calls are steady, settle how many calls make a sample, and return the seconds."""
        warmed = warm_up(self.changed_call, self.clock, least=WARM_UP_LEAST_SECONDS, most=most_seconds)
        self.calls = calls_per_sample(
            warmed.call,
            clock_resolution=resolution(self.clock),
            block_seconds=BLOCK_SECONDS,
            samples=SAMPLES_PER_BLOCK,
        )
        self.call_seconds = warmed.call
        return warmed.elapsed

    def block(self, checked: CheckedCall) -> Block:
        """Take one block of samples, and keep the results of one of its calls for `results`."""
        clock = self.clock
        began = clock()
        fresh = fresh_feature(self.workload, checked.seed)
        self._kept = None
        if self.call_seconds < REWARM_SECONDS:
            self.changed_call()
        expected_calls = max(1, min(SAMPLES_PER_BLOCK * self.calls, int(BLOCK_SECONDS / max(self.call_seconds, 1e-9))))
        position = int(checked.place * expected_calls)
        made = 0
        untimed_seconds = clock() - began

        def timed() -> CallSeconds:
            nonlocal made, untimed_seconds
            made += 1
            if made - 1 != position:
                return self.changed_call()
            start = clock()
            self.input.change_to(checked.feature, fresh)
            self.call.x = self.input.array
            call = self._timed_and_kept()
            untimed_seconds += clock() - start - call.total
            return call

        samples = sample_block(
            timed,
            clock,
            calls=self.calls,
            block_seconds=BLOCK_SECONDS,
            samples=SAMPLES_PER_BLOCK,
            least_calls=position + 1,
        )
        return Block(samples=samples, calls=made, began=began, ended=clock(), untimed_seconds=untimed_seconds)

    def results(self, rows: Sequence[int], steps: int, weights: bool) -> dict[str, NumpyArray]:
        """Results of the checked call of the last block by name: y of some sequences in the first steps.

        With all steps, the other results of these sequences too, and with `weights` the gradients of weights.
        """
        assert self._kept is not None
        kept, self._kept = self._kept, None
        other = [name for name, shape in self._shapes.items() if name not in kept or kept[name].shape != shape]
        if other:
            raise Wrong(f"{', '.join(other)} of a timed call had another shape than of the first call")
        of_rows = {name: array[:, list(rows)] for name, array in kept.items() if is_per_sequence(name)}
        if steps < self.workload.T:
            return {"y": of_rows["y"][:steps]}
        return of_rows | ({name: array for name, array in kept.items() if name not in of_rows} if weights else {})

    def finish(self) -> dict[str, Any]:
        """Quantities known only at the end: peak memory, and on a GPU the times of a call's kernels.

        Raises Wrong when results change while another call is made.
        """
        found: dict[str, Any] = {"peak_bytes": memory.peak(self.memory)}
        if not self.is_converted:
            self._check_that_results_stay()
        if self.workload.device == "cuda":
            found |= gpu.profile_call(self.timed_call)
        return found

    def changed_call(self) -> CallSeconds:
        """One call on an input that no call had before."""
        self.input.change()
        self.call.x = self.input.array
        return self.timed_call()

    def timed_call(self) -> CallSeconds:
        """One call, from its input on the device to its results there."""
        return self._timed_with_conversion()[0] if self.is_converted else self.call.timed(self.clock)

    def _timed_and_kept(self) -> CallSeconds:
        """One timed call, keeping its results as they are when the clock stops. Raises Wrong where they are not ready.

        Freeing the results' memory is part of a call, so it is timed here too.
        """
        if self.is_converted:
            call, self._kept = self._timed_with_conversion()
            return call
        call, called = self.call.timed_and_kept(self.clock)
        # Asked before reading, which would wait for them.
        unfinished = [name for name, array in called.named().items() if not arrays.is_finished(array)]
        if unfinished:
            raise Wrong(f"{', '.join(unfinished)} were still being computed when synchronize had returned")
        self._kept = self._read(called)
        dropping = self.clock()
        del called
        dropped_seconds = self.clock() - dropping
        return CallSeconds(call.total + dropped_seconds, call.backward + (dropped_seconds if self.call.trains else 0.0))

    def _timed_with_conversion(self) -> tuple[CallSeconds, dict[str, NumpyArray]]:
        """One call from NumPy's x to NumPy's results, for arrays whose values are known only after conversion."""
        start = self.clock()
        self.input.convert()
        self.call.x = self.input.array
        converted_seconds = self.clock() - start
        call, called = self.call.timed_and_kept(self.clock)
        reading = self.clock()
        results = name_results(self.rnn, called.y, called.state_n, called.grads)
        read_seconds = self.clock() - reading
        backward = call.backward + read_seconds if self.call.trains else 0.0
        return CallSeconds(converted_seconds + call.total + read_seconds, backward), results

    def _read(self, called: Results) -> dict[str, NumpyArray]:
        """Copies of the results as NumPy arrays by name. Raises Wrong for an array of another type than the input."""
        names = state_n_names(self.rnn.config)
        if not isinstance(called.state_n, tuple) or len(called.state_n) != len(names):
            form = f"({', '.join(names)}{',' if len(names) == 1 else ''})"
            raise Wrong(f"the final state is a {type(called.state_n).__name__}; expected a tuple {form}")
        named = called.named()
        expected = type(self.call.x)
        other = [f"{name} is a {type(array).__name__}" for name, array in named.items() if type(array) is not expected]
        if other:
            raise Wrong(f"{', '.join(other)}; expected a {expected.__name__}, as from_numpy gives")
        if self.is_converted:
            return name_results(self.rnn, called.y, called.state_n, called.grads)
        try:
            return {name: arrays.read(array, self.workload.dtype) for name, array in named.items()}
        except TypeError as error:
            raise Wrong(str(error)) from error

    def _check_that_results_stay(self) -> None:
        """Raise Wrong where a call wrote into the results of the call before, which would save it memory."""
        called = self.call.make()
        before = self._read(called)
        self.changed_call()
        after = self._read(called)
        changed = [name for name, array in before.items() if not np.array_equal(array, after[name], equal_nan=True)]
        if changed:
            raise Wrong(f"{', '.join(changed)} of one call changed while another was made; results must stay")

    def _check_prefix(self, results: dict[str, NumpyArray], steps: int) -> dict[str, NumpyArray]:
        """Results of a call on the first steps alone; in one direction y is that of the long call, which must agree."""
        inputs = self.inputs.prefix(steps)
        short = self._read(Call.of(self.rnn, inputs.x, inputs.dy, inputs.dstate_n, inputs.lengths).make())
        if not self.workload.bidirectional:
            short["y"] = results["y"][:steps]
        return short
