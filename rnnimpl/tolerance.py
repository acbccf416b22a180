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

import dataclasses
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from rnnimpl.arithmetic import Arithmetic
from rnnimpl.cells import CELLS
from rnnimpl.dtypes import Precision, round_to, unit_roundoff
from rnnimpl.expectation import Expectation, is_per_sequence, name_arrays, name_grads, relative
from rnnimpl.interface import Grads, NumpyArray, RnnConfig, State, Weights, layer_weight_names
from rnnimpl.reference import LayerKey, LayerRun, Sums, backward, run


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

SAMPLED_ROWS = 8
"""The number of rows of a weight's gradient that are computed with running sums."""
PARTIAL_SUMS = 16
"""The number of partial sums from which these rows are chosen."""

MOST_PERTURBATIONS = 8
PERTURBED_ELEMENTS = 256
"""The plain loop runs again on perturbed data, PERTURBED_ELEMENTS // (size of the smallest result) times, and at most
MOST_PERTURBATIONS times."""

FEW_UNITS = 20_000
MOST_GROUPS = 8
"""In a network with at most FEW_UNITS units over all steps, ambiguous relu units are switched in MOST_GROUPS groups."""

Units: TypeAlias = npt.NDArray[np.bool_]
"""A mask of a layer's units (T, B, H)."""


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
) -> Expectation:
    """The expected results on x (T, B, I) and a state, zeros if None, with gradients if dy and dstate_n are given.

    dy is (T, B, D*H), the state and dstate_n are tuples of arrays (L*D, B, H). It takes a pass in float64, a pass of
    the plain loop and one with running sums of its first sequence; for few elements some more of the last two, and for
    relu with ambiguous units a few backward passes. Raises ValueError when a result overflows the dtype, since there is
    nothing to compare with.
    """
    derived = derive(config, weights, x, state, dy, dstate_n, precision)
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
) -> Derived:
    """The parts from which `expect` makes its tolerances, on the same arguments."""
    narrow = Arithmetic.of(config.dtype, precision)
    # No wider type is quick on every machine; float64's errors are those of float32 times a constant.
    plain = Arithmetic("float32") if narrow.name == "float64" else narrow
    scale = unit_roundoff(narrow.name) / unit_roundoff(plain.name)

    data = _Data(weights, x, state, dy, dstate_n)
    exact = _compute(data, Arithmetic("float64"), None)
    values, runs = exact.values, exact.runs
    kinked = CELLS[config.cell].kinked
    active = {key: layer_run.saved(0) for key, layer_run in runs.items()} if kinked else None
    errors = dict.fromkeys(exact.arrays(), 0.0)
    # The largest of a few errors may be small by chance; the largest of many is not.
    perturbations = min(MOST_PERTURBATIONS, PERTURBED_ELEMENTS // min(value.size for value in values.values()))
    for number in range(1 + perturbations):
        # An overflow is an error that is not finite, which `expect` raises for.
        with np.errstate(over="ignore", invalid="ignore"):
            plain_data = data if number == 0 else data.perturbed(unit_roundoff(plain.name), seed=number)
            # With the reference's active units, so that the error is that of rounding alone.
            computed = _compute(plain_data, plain, active)
            arrays = computed.arrays()
            plain_errors = {key: _error(arrays[key], array) for key, array in exact.arrays().items()}
            if number == 0 and plain.name == "float32":
                plain_errors |= _running_errors(data, exact, computed, active, plain_errors)
        errors = {key: max(error, plain_errors[key] * scale) for key, error in errors.items()}
    kinks: Mapping[str, float] = {}
    if active is not None and dy is not None and dstate_n is not None:
        delta = {
            key: _allowed(errors[key], narrow.name) * float(np.abs(layer_run.saved(1)).max())
            for key, layer_run in runs.items()
        }
        kinks = _kinks(config, runs, dy, dstate_n, delta)
    return Derived(values, {name: errors[name] for name in values}, kinks, narrow.name)


@dataclasses.dataclass(frozen=True, eq=False)
class _Data:
    """The weights, inputs and cotangents of a computation."""

    weights: Weights
    x: NumpyArray
    state: State[NumpyArray] | None
    dy: NumpyArray | None
    dstate_n: State[NumpyArray] | None

    def perturbed(self, size: float, seed: int) -> _Data:
        """A copy with every number changed by at most `size`, relatively."""
        generator = np.random.default_rng(seed)

        def perturb(array: NumpyArray) -> NumpyArray:
            factors = 1 + size * generator.uniform(-1, 1, array.shape)
            return round_to(array.astype(np.float64) * factors, self.weights.config.dtype)

        weights = Weights(self.weights.config, {name: perturb(array) for name, array in self.weights.arrays.items()})
        return self._map(perturb, weights)

    def first_sequence(self) -> _Data:
        """The part of the first sequence, a batch of one."""
        return self._map(lambda array: array[:, :1], self.weights)

    def _map(self, change: Callable[[NumpyArray], NumpyArray], weights: Weights) -> _Data:
        state, dstate_n = (
            None if arrays is None else tuple(map(change, arrays)) for arrays in (self.state, self.dstate_n)
        )
        return _Data(weights, change(self.x), state, None if self.dy is None else change(self.dy), dstate_n)


class _Computed(NamedTuple):
    """The results by name, with gradients where cotangents are given; the layers' runs; the gradients of their sums."""

    values: Mapping[str, NumpyArray]
    runs: Mapping[LayerKey, LayerRun]
    sums: Mapping[LayerKey, Sums]
    kinked: bool

    def arrays(self) -> dict[str | LayerKey, NumpyArray]:
        """All arrays that have an error: the results by name, and for a kinked cell the pre-activations by layer."""
        arrays: dict[str | LayerKey, NumpyArray] = {}
        if self.kinked:
            arrays |= {key: layer_run.saved(1) for key, layer_run in self.runs.items()}
        for name, value in self.values.items():
            arrays[name] = value
        return arrays


def _compute(data: _Data, arithmetic: Arithmetic, active: Mapping[LayerKey, Units] | None) -> _Computed:
    config = data.weights.config
    y, state_n, runs = run(config, data.weights, data.x, data.state, arithmetic)
    grads: Grads[NumpyArray] | None = None
    sums: Mapping[LayerKey, Sums] = {}
    if data.dy is not None and data.dstate_n is not None:
        grads, sums = backward(config, runs, data.dy, data.dstate_n, arithmetic, active)
    return _Computed(name_arrays(config, y, state_n, grads), runs, sums, CELLS[config.cell].kinked)


def _running_errors(
    data: _Data,
    exact: _Computed,
    plain: _Computed,
    active: Mapping[LayerKey, Units] | None,
    plain_errors: Mapping[str | LayerKey, float],
) -> dict[str | LayerKey, float]:
    """The errors of running sums, for all results and pre-activations but the gradients of biases.

    Running sums are slow, so samples estimate their errors: the first sequence, and for a weight's gradient, a sum over
    all sequences, the rows with the largest partial sums. The error is the largest of three: that of the plain loop,
    that of the sample, and that of the plain loop times the ratio of both root mean squares on the sample. The third is
    left out for a sample of few elements.
    """
    running = Arithmetic("float32", running_sums=True)
    first_active = None if active is None else {key: units[:, :1] for key, units in active.items()}
    first = _compute(data.first_sequence(), running, first_active)
    part: Any = np.s_[:, :1]
    samples = {
        key: (array, plain.arrays()[key][part], exact.arrays()[key][part])
        for key, array in first.arrays().items()
        if not isinstance(key, str) or is_per_sequence(key)
    }
    for layer, sums in plain.sums.items():
        layer_run = plain.runs[layer]
        names = layer_weight_names(*layer)
        pairs = ((names.w_ih, sums[0], layer_run.x), (names.w_hh, sums[1], layer_run.h_before))
        for weight, da, z in pairs:
            name = f"grad_{weight}"
            part = _rows_with_largest_sums(da, z)
            samples[name] = (
                running.sum_of_products(da[:, :, part], z),
                plain.values[name][part],
                exact.values[name][part],
            )
    errors: dict[str | LayerKey, float] = {}
    for key, (sample, plain_sample, exact_sample) in samples.items():
        # The error of the plain loop is that of all sequences; a sample may have a smaller one by chance.
        errors[key] = max(plain_errors[key], relative(float(np.abs(sample - exact_sample).max()), exact.arrays()[key]))
        if sample.size >= PERTURBED_ELEMENTS:
            # The plain loop may have no error: after one step from zeros the gradient of w_hh is zero.
            plain_rms = _rms(plain_sample - exact_sample)
            ratio = _rms(sample - exact_sample) / plain_rms if plain_rms > 0 else 1.0
            errors[key] = max(errors[key], plain_errors[key] * max(1.0, ratio))
    return errors


def _rows_with_largest_sums(da: NumpyArray, z: NumpyArray) -> npt.NDArray[np.intp]:
    """The SAMPLED_ROWS rows of the sum over t of da[t].T @ z[t] that have the largest partial sums.

    The rounding error of an addition is in proportion to the sum.
    """
    partial = np.zeros((da.shape[2], z.shape[2]), da.dtype)
    squares = np.zeros_like(partial)
    arithmetic = Arithmetic("float32")
    for steps in np.array_split(np.arange(len(da)), min(len(da), PARTIAL_SUMS)):
        partial += arithmetic.sum_of_products(da[steps], z[steps])
        squares += partial * partial
    return np.argsort(squares.max(axis=1))[-SAMPLED_ROWS:]


def _kinks(
    config: RnnConfig,
    runs: Mapping[LayerKey, LayerRun],
    dy: NumpyArray,
    dstate_n: State[NumpyArray],
    delta: Mapping[LayerKey, float],
) -> dict[str, float]:
    """The relative differences of gradients that a jump of relu's slope allows, by name; empty without ambiguous units.

    A unit with |a| <= delta, the error allowed in its pre-activation, is ambiguous: it may be active in one right
    implementation and not in another. The difference is that between the reference and the gradients with all ambiguous
    units active, and with none of them. In a network with few units, groups of ambiguous units are switched in turn, so
    that the effect of one does not cancel that of another.
    """
    usual: dict[LayerKey, Units] = {key: layer_run.saved(0) for key, layer_run in runs.items()}
    ambiguous = {key: np.abs(layer_run.saved(1)) <= delta[key] for key, layer_run in runs.items()}
    count = sum(int(units.sum()) for units in ambiguous.values())
    if not count:
        return {}
    switched: list[dict[LayerKey, Units]]
    if sum(units.size for units in usual.values()) > FEW_UNITS:
        switched = [
            {key: usual[key] | ambiguous[key] for key in runs},
            {key: usual[key] & ~ambiguous[key] for key in runs},
        ]
    else:
        generator = np.random.default_rng(0)
        group = {key: generator.integers(MOST_GROUPS, size=units.shape) for key, units in usual.items()}
        switched = [
            {key: usual[key] ^ (ambiguous[key] & (group[key] == number)) for key in runs}
            for number in range(MOST_GROUPS)
        ]
    reference = name_grads(config, backward(config, runs, dy, dstate_n, active=usual)[0])
    changed = {name: np.zeros_like(value) for name, value in reference.items()}
    for active in switched:
        for name, value in name_grads(config, backward(config, runs, dy, dstate_n, active=active)[0]).items():
            changed[name] += np.abs(value - reference[name])
    return {name: relative(float(change.max()), reference[name]) for name, change in changed.items()}


def _error(actual: NumpyArray, expected: NumpyArray) -> float:
    """The error of an array as `Expectation.error` has it; NaN where it is not finite."""
    return relative(float(np.abs(actual - expected).max()), expected)


def _rms(array: NumpyArray) -> float:
    return float(np.sqrt(np.mean(np.square(array, dtype=np.float64))))
