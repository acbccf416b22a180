"""The check of a call at one of many lengths, in the asking process."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Mapping

import numpy as np

from benchmarks.measuring.checking.call_checking import limits_of, output_bytes
from benchmarks.measuring.modes.many_lengths import LENGTHS, LengthsRequest, length_inputs
from benchmarks.workload import Workload
from rnnimpl.interface import NumpyArray, Weights
from rnnimpl.tolerance import expect


@dataclasses.dataclass(frozen=True, eq=False)
class LengthsCheck:
    """Lengths to call at in one block, and the check of the first call at one of them."""

    workload: Workload
    weights: Weights
    request: LengthsRequest

    def problem(self, results: Mapping[str, NumpyArray]) -> str | None:
        """Why the results are not those of the kept call, in a sentence; None where they are."""
        x, _ = length_inputs(self.workload, self.request, self.request.kept)
        expectation = expect(self.workload.config, self.weights, x, None, None, None)
        try:
            errors = expectation.errors(results)
        except ValueError as error:
            return str(error)
        limits = limits_of(self.workload, expectation.tolerances)
        wrong = [f"{name} has error {error:.2g}" for name, error in errors.items() if not error <= limits[name]]
        return f"the call at T {len(x)} did not compute its input: {', '.join(wrong)}" if wrong else None

    @property
    def result_bytes(self) -> int:
        """Bytes of the results in float64, at most."""
        return output_bytes(self.workload, max(self.request.lengths))


def make_lengths_checks(workload: Workload, weights: Weights, blocks: int) -> list[LengthsCheck]:
    """A check for each block of a visit: `LENGTHS` different lengths below T in random order, or as many as there are.

    They are drawn from the system's random source.
    """
    drawn = random.SystemRandom()
    lengths = drawn.sample(range(1, workload.T), min(LENGTHS, workload.T - 1))
    parts = np.array_split(np.array(lengths), blocks)
    return [
        LengthsCheck(
            workload,
            weights,
            LengthsRequest(lengths=part.tolist(), seed=drawn.getrandbits(48), kept=drawn.randrange(len(part))),
        )
        for part in parts
    ]
