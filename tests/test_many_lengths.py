"""A process that meets many lengths: what is timed, and the check of one of the calls."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from benchmarks.measuring.checking.expectations import Expectations
from benchmarks.measuring.checking.lengths_checking import LengthsCheck
from benchmarks.measuring.modes.many_lengths import LENGTHS, LengthsSubject
from benchmarks.workload import Workload
from rnnimpl import load
from rnnimpl.impls.numpy_loop import NumpyLoop
from rnnimpl.interface import NumpyArray, Rnn, State

WORKLOAD = Workload(mode="many-lengths", T=40, B=2, I=3, H=4, cell="gru")
EXPECTATIONS = Expectations(seed=1)


def checks(workload: Workload = WORKLOAD, blocks: int = 6) -> list[LengthsCheck]:
    """The checks of a visit."""
    found = EXPECTATIONS.checks(workload, blocks)
    return [check for check in found if isinstance(check, LengthsCheck)]


def problem(implementation: type[Rnn[Any]]) -> str | None:
    """What a visit in this process finds wrong; None where it finds nothing."""
    subject = LengthsSubject(implementation, WORKLOAD, clock=time.perf_counter, seed=1)
    for check in checks():
        block = subject.lengths(check.request)
        assert len(block.seconds) == len(block.repeated_seconds) == len(check.request.lengths)
        assert sum(block.seconds) + sum(block.repeated_seconds) + block.untimed_seconds == pytest.approx(
            block.ended - block.began
        )
        found = check.problem(subject.of_length())
        if found is not None:
            return found
    return None


class LastLength(NumpyLoop):
    """Gives zeros for a length other than that of the call before."""

    devices = ("cpu",)
    known = 0

    def forward(self, x: NumpyArray, state: State[NumpyArray] | None = None) -> tuple[NumpyArray, State[NumpyArray]]:
        y, state_n = super().forward(x, state)
        if len(x) != self.known:
            y = np.zeros_like(y)
        self.known = len(x)
        return y, state_n


class WorkInFromNumpy(NumpyLoop):
    """Computes when the array is made, which is not timed."""

    devices = ("cpu",)
    made: Any = None

    def from_numpy(self, array: NumpyArray) -> NumpyArray:
        copied = super().from_numpy(array)
        self.made = super().forward(copied, None)
        return copied

    def forward(self, x: NumpyArray, state: State[NumpyArray] | None = None) -> tuple[NumpyArray, State[NumpyArray]]:
        return self.made  # type: ignore[no-any-return]


def test_lengths_are_different_and_below_the_longest() -> None:
    """A visit has a hundred lengths, or as many as there are, each once."""
    lengths = [length for check in checks() for length in check.request.lengths]
    assert sorted(lengths) == list(range(1, WORKLOAD.T))
    many = checks(Workload(mode="many-lengths", T=400, B=1, I=3, H=4))
    assert len({length for check in many for length in check.request.lengths}) == LENGTHS


@pytest.mark.parametrize("name", ["numpy_loop", "nn_rnn", "fused_cpu"])
def test_honest_calls_pass(name: str) -> None:
    """Calls that compute their input pass at each length."""
    assert problem(load(name)) is None


@pytest.mark.parametrize("cheat", [LastLength, WorkInFromNumpy])
def test_a_call_at_a_length_without_the_work_is_wrong(cheat: type[Rnn[Any]]) -> None:
    """One of the first calls of each block is compared."""
    found = problem(cheat)
    assert found is not None
    assert "did not compute its input" in found
