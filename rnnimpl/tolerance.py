"""The tolerance of a result: the error of a plain loop in the same dtype on the same data, times a small factor.

The error of an array is normwise and relative, max|actual - reference| / max|reference|. A relative error of each
element would demand more digits of a sum that cancels than its terms have (Higham 2002, "Accuracy and Stability of
Numerical Algorithms", section 1.2). The tolerance of each array on each workload is

    factor * (error of the plain loop in that dtype on this data) + floor * (unit roundoff) [+ kinks]

so it takes long sequences, large layers and cancellation into account. `ALLOWANCES` has factor and floor of each dtype.

The tolerance does not depend on the BLAS that NumPy was built with. A library may sum in lanes and blocks, as OpenBLAS
does, or add one product after another, as a textbook's loop and the kernels of Eigen and oneDNN do. The second error is
several times the first over a thousand terms, and both are right. So the error of the plain loop is the larger of its
own and that of running sums, which are rounded after each of their terms; samples of the result estimate the second.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from rnnimpl.arithmetic import Arithmetic
from rnnimpl.cells import CELLS
from rnnimpl.dtypes import Precision, unit_roundoff
from rnnimpl.expectation import Expectation
from rnnimpl.interface import Lengths, NumpyArray, RnnConfig, State, Weights
from rnnimpl.kinks import find_kinks
from rnnimpl.plain_loop import Problem, compute, largest_error
from rnnimpl.running_sums import running_errors


class Allowance(NamedTuple):
    """The allowed error: `factor` times the plain loop's error plus `floor` times the unit roundoff."""

    factor: float
    floor: float


ALLOWANCES: Mapping[str, Allowance] = MappingProxyType(
    {
        "float16": Allowance(3, 8),
        "bfloat16": Allowance(2, 4),
        "tf32": Allowance(4, 8),
        "float32": Allowance(2, 8),
        "float64": Allowance(4, 8),
    }
)
"""The allowance of each dtype, after flash-attention's tests: "at most twice the plain implementation's own error".

The floor serves results in which the plain loop happens to have nearly no error. The factor is at least the largest
that a result of this project's own implementations needs, given the floor: `rnnimpl.conformance.factors` measures it
over all cells, and docs/conformance.md has the figures.

tf32 is not measured. NVIDIA's tensor cores may truncate operands where the plain loop rounds them, which doubles the
error; its factor is twice that of float32.
"""

MOST_PERTURBATIONS = 8
PERTURBED_ELEMENTS = 256
"""The plain loop runs again on perturbed data, PERTURBED_ELEMENTS // (size of the smallest result) times, and at most
MOST_PERTURBATIONS times."""


class Derived(NamedTuple):
    """The parts of tolerances by name of result: the reference's values, the plain loop's errors, and kinks."""

    values: Mapping[str, NumpyArray]
    plain_errors: Mapping[str, float]
    kinks: Mapping[str, float]
    name: str
    """The arithmetic: a dtype, or tf32."""

    def tolerances(self) -> dict[str, float]:
        """The tolerance of each result."""
        return {
            name: _allowed(error, self.name) + self.kinks.get(name, 0.0) for name, error in self.plain_errors.items()
        }

    def factor_needed(self, name: str, error: float) -> float:
        """The smallest factor of the plain loop's error that allows a result this error, given floor and kinks."""
        left = error - self.kinks.get(name, 0.0) - ALLOWANCES[self.name].floor * unit_roundoff(self.name)
        return max(left, 0.0) / self.plain_errors[name] if left > 0 else 0.0


def _allowed(plain_error: float, name: str) -> float:
    return ALLOWANCES[name].factor * plain_error + ALLOWANCES[name].floor * unit_roundoff(name)


def expect(
    config: RnnConfig,
    weights: Weights,
    x: NumpyArray,
    state: State[NumpyArray] | None,
    dy: NumpyArray | None = None,
    dstate_n: State[NumpyArray] | None = None,
    precision: Precision = "ieee",
    lengths: Lengths = None,
) -> Expectation:
    """The expected results on x (T, B, I) and a state, zeros if None, with gradients if dy and dstate_n are given.

    dy is (T, B, D*H), the state and dstate_n are tuples of arrays (L*D, B, H), and `lengths` is as in `Rnn.forward`. It
    takes a pass in float64, a pass of the plain loop and one with running sums of its first sequence; for few elements
    some more of the last two, and for relu with ambiguous units a few backward passes. Raises ValueError when a result
    overflows the dtype, since there is nothing to compare with.
    """
    derived = derive(config, weights, x, state, dy, dstate_n, precision, lengths)
    tolerances = derived.tolerances()
    overflown = [name for name, tolerance in tolerances.items() if not np.isfinite(tolerance)]
    if overflown:
        raise ValueError(f"{', '.join(overflown)} overflow {derived.name} on this data; there is nothing to expect")
    return Expectation(derived.values, tolerances)


def derive(
    config: RnnConfig,
    weights: Weights,
    x: NumpyArray,
    state: State[NumpyArray] | None,
    dy: NumpyArray | None = None,
    dstate_n: State[NumpyArray] | None = None,
    precision: Precision = "ieee",
    lengths: Lengths = None,
) -> Derived:
    """The parts from which `expect` makes its tolerances, on the same arguments."""
    narrow = Arithmetic.of(config.dtype, precision)
    # No wider type is quick on every machine; float64's errors are those of float32 times a constant.
    plain = Arithmetic("float32") if narrow.name == "float64" else narrow
    scale = unit_roundoff(narrow.name) / unit_roundoff(plain.name)

    problem = Problem(weights, x, state, dy, dstate_n, lengths)
    exact = compute(problem, Arithmetic("float64"), None)
    values, runs = exact.values, exact.runs
    kinked = CELLS[config.cell].kinked
    active = {key: layer_run.saved(0) for key, layer_run in runs.items()} if kinked else None
    errors = dict.fromkeys(exact.arrays(), 0.0)
    # The largest of a few errors may be small by chance; the largest of many is not.
    perturbations = min(MOST_PERTURBATIONS, PERTURBED_ELEMENTS // min(value.size for value in values.values()))
    for number in range(1 + perturbations):
        # An overflow is an error that is not finite, which `expect` raises for.
        with np.errstate(over="ignore", invalid="ignore"):
            plain_problem = problem if number == 0 else problem.perturbed(unit_roundoff(plain.name), seed=number)
            # With the reference's active units, so that the error is that of rounding alone.
            computed = compute(plain_problem, plain, active)
            arrays = computed.arrays()
            plain_errors = {key: largest_error(arrays[key], array) for key, array in exact.arrays().items()}
            if number == 0 and plain.name == "float32":
                plain_errors |= running_errors(problem, exact, computed, active, plain_errors)
        errors = {key: max(error, plain_errors[key] * scale) for key, error in errors.items()}
    kinks: Mapping[str, float] = {}
    if active is not None and dy is not None and dstate_n is not None:
        delta = {
            key: _allowed(errors[key], narrow.name) * float(np.abs(layer_run.saved(1)).max())
            for key, layer_run in runs.items()
        }
        kinks = find_kinks(config, runs, dy, dstate_n, delta)
    return Derived(values, {name: errors[name] for name in values}, kinks, narrow.name)
