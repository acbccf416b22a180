"""How wrong a result may be: as wrong as a plain loop in the same dtype is on the same data, times a small factor.

The error of an array is normwise and relative, max|actual - reference| / max|reference|: a relative error of
each element would ask of a sum that cancels to nearly nothing more digits than its terms have (Higham 2002,
"Accuracy and Stability of Numerical Algorithms", section 1.2). The tolerance of each array of each workload is

    factor * (error of the plain loop in that dtype on this data) + floor * (unit roundoff) [+ kinks]

so it knows about long sequences, large layers and cancellation without being told. `LIMITS` holds factor and
floor for each dtype, and where they come from.

What is allowed must not hang on which BLAS NumPy was built with. A library may sum in lanes and blocks, as OpenBLAS
does, or add up one product after another, as the textbook's loop and the kernels of Eigen and oneDNN do, which is
several times as wrong over a thousand terms; both are right. So the error of the plain loop is the larger of its own
and that of running sums, rounded after each of their terms, as samples of the result tell it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from rnnimpl.dtypes import Precision, round_to, unit_roundoff
from rnnimpl.expectation import Expectation, name_grads, relative
from rnnimpl.interface import NumpyArray, RnnConfig, Weights, cell_weight_names
from rnnimpl.reference import Arithmetic, Cell, CellRun, backward, run


class Limit(NamedTuple):
    """`factor` times the plain loop's error, plus `floor` times the unit roundoff, is allowed."""

    factor: float
    floor: float


LIMITS: Mapping[str, Limit] = MappingProxyType(
    {
        "float16": Limit(3, 8),
        "bfloat16": Limit(2, 4),
        "tf32": Limit(4, 8),
        "float32": Limit(2, 8),
        "float64": Limit(4, 8),
    }
)
"""What each dtype is allowed, from a measurement; "at most twice the plain one's own error" (flash-attention's tests)
is where it starts.

All six implementations on a CPU, in training, tanh and relu: 24 structures of T x B x I x H from 1x1x1x1 to 13x5x11x17
and 2 of 128x1x64x64, 64x16x128x128, 512x2x32x32 and 200x8x16x128, two seeds each. The floor is for results of which
the plain loop happens to make next to none of the error; given the floor, the factor that the worst result needed:

    float16    2.2     1x1x1x1, three layers, two directions: sums of few and unlike terms
    bfloat16   0.9
    float32    1.1     512 steps, nn.RNN and the loops alike
    float64    2.5     512 steps; the float32 loop stands in for it, with twice the lanes to sum in, so shorter sums

At large sizes, with fused_cpu, numpy_loop, jax_scan and openvino_rnn, tanh, from 64x1x1024x1024 to 50x64x1760x1760 in
inference and from 64x16x64x64 to 64x64x1024x1024 in training, float32 needed 1.6 (openvino_rnn at H 1760). Without the
error of running sums it would have been 3.8, and jax_scan right or wrong according to NumPy's BLAS.

tf32 was not measured: NVIDIA's tensor cores may cut operands where we round them, which doubles the error, hence
twice float32's factor.
"""


PER_SEQUENCE = ("y", "h_n", "grad_x", "grad_h0")
"""The results that have the batch as their second axis."""
SAMPLED_ROWS = 8
"""The rows of a weight's gradient that are summed one term after another."""
PARTIAL_SUMS = 16
"""How often a sum is looked at on its way, to choose these rows."""

MOST_NUDGES = 8
NUDGED_ELEMENTS = 256
"""The plain loop runs again on nudged data, up to MOST_NUDGES times, while its smallest result has few elements."""

FEW_UNITS = 20_000
MOST_GROUPS = 8
"""In networks with at most FEW_UNITS states in all, ambiguous relu units are switched in MOST_GROUPS groups."""

Units: TypeAlias = npt.NDArray[np.bool_]
"""Which units of a cell (T, B, H)."""


def expect(
    config: RnnConfig,
    weights: Weights,
    x: NumpyArray,
    h0: NumpyArray | None,
    dy: NumpyArray | None = None,
    dh_n: NumpyArray | None = None,
    precision: Precision = "ieee",
) -> Expectation:
    """What to expect on this data; with dy (T, B, D*H) and dh_n (L*D, B, H), of the gradients too.

    Costs one pass in float64, one of the plain loop and one with running sums of its first sequence, some more of the
    last two for small H, and for relu with ambiguous units a few backward passes.
    Raises ValueError when the data overflow the dtype, because then there is nothing to compare with.
    """
    narrow = Arithmetic.of(config.dtype, precision)
    # Nothing wider than float64 is quick everywhere; its errors are those of float32, smaller by a constant.
    plain = Arithmetic("float32") if narrow.name == "float64" else narrow
    scale = unit_roundoff(narrow.name) / unit_roundoff(plain.name)
    limit = LIMITS[narrow.name]

    def allowed(plain_error: float) -> float:
        return limit.factor * plain_error * scale + limit.floor * unit_roundoff(narrow.name)

    data = _Data(weights, x, h0, dy, dh_n)
    exact = _compute(data, Arithmetic("float64"), None)
    values, runs = exact.values, exact.runs
    active = {cell: cell_run.a > 0 for cell, cell_run in runs.items()} if config.nonlinearity == "relu" else None
    errors = dict.fromkeys(exact.arrays(), 0.0)
    # The maximum over a few numbers may be small by luck; the maximum over many is not.
    nudges = min(MOST_NUDGES, NUDGED_ELEMENTS // min(value.size for value in values.values()))
    for number in range(1 + nudges):
        # What overflows is said below.
        with np.errstate(over="ignore", invalid="ignore"):
            plain_data = data if number == 0 else data.nudged(unit_roundoff(plain.name), seed=number)
            # On the reference's side of every kink, so that this is the error of rounding and of nothing else.
            computed = _compute(plain_data, plain, active)
            arrays = computed.arrays()
            plain_errors = {key: _error(arrays[key], array) for key, array in exact.arrays().items()}
            if number == 0 and plain.name == "float32":
                plain_errors |= _running_errors(data, exact, computed, active, plain_errors)
        errors = {key: max(error, plain_errors[key]) for key, error in errors.items()}
    tolerances = {name: allowed(errors[name]) for name in values}
    if active is not None and dy is not None and dh_n is not None:
        delta = {cell: allowed(errors[cell]) * float(np.abs(runs[cell].a).max()) for cell in runs}
        for name, kink in _kinks(config, runs, dy, dh_n, delta).items():
            tolerances[name] += kink
    overflown = [name for name, tolerance in tolerances.items() if not np.isfinite(tolerance)]
    if overflown:
        raise ValueError(f"{', '.join(overflown)} overflow {plain.name} on this data; there is nothing to expect")
    return Expectation(values, tolerances)


@dataclasses.dataclass(frozen=True, eq=False)
class _Data:
    """Weights, inputs and cotangents of one computation."""

    weights: Weights
    x: NumpyArray
    h0: NumpyArray | None
    dy: NumpyArray | None
    dh_n: NumpyArray | None

    def nudged(self, size: float, seed: int) -> _Data:
        """The same with every number changed by a relative `size` at most."""
        generator = np.random.default_rng(seed)

        def nudge(array: NumpyArray) -> NumpyArray:
            factors = 1 + size * generator.uniform(-1, 1, array.shape)
            return round_to(array.astype(np.float64) * factors, self.weights.config.dtype)

        weights = Weights(self.weights.config, {name: nudge(array) for name, array in self.weights.arrays.items()})
        h0, dy, dh_n = (None if array is None else nudge(array) for array in (self.h0, self.dy, self.dh_n))
        return _Data(weights, nudge(self.x), h0, dy, dh_n)

    def first_sequence(self) -> _Data:
        """The same with a batch of one."""
        x, h0, dy, dh_n = (None if array is None else array[:, :1] for array in (self.x, self.h0, self.dy, self.dh_n))
        assert x is not None
        return _Data(self.weights, x, h0, dy, dh_n)


class _Computed(NamedTuple):
    """The results by name, with gradients where there are cotangents; the runs of the cells, and the gradients of a."""

    values: Mapping[str, NumpyArray]
    runs: Mapping[Cell, CellRun]
    da: Mapping[Cell, NumpyArray]

    def arrays(self) -> dict[str | Cell, NumpyArray]:
        """All that has an error: the results by name, and the pre-activations by cell."""
        arrays: dict[str | Cell, NumpyArray] = {cell: cell_run.a for cell, cell_run in self.runs.items()}
        for name, value in self.values.items():
            arrays[name] = value
        return arrays


def _compute(data: _Data, arithmetic: Arithmetic, active: Mapping[Cell, Units] | None) -> _Computed:
    config = data.weights.config
    y, h_n, runs = run(config, data.weights, data.x, data.h0, arithmetic)
    values = {"y": y, "h_n": h_n}
    da: Mapping[Cell, NumpyArray] = {}
    if data.dy is not None and data.dh_n is not None:
        grads, da = backward(config, runs, data.dy, data.dh_n, arithmetic, active)
        values |= name_grads(grads)
    return _Computed(values, runs, da)


def _running_errors(
    data: _Data,
    exact: _Computed,
    plain: _Computed,
    active: Mapping[Cell, Units] | None,
    plain_errors: Mapping[str | Cell, float],
) -> dict[str | Cell, float]:
    """The errors that running sums make, of all results and pre-activations but the biases' gradients.

    Told from samples, for running sums are slow: the first sequence, and of the weights' gradients, which are sums over
    all sequences, the rows in which such sums wander farthest. The error is the plain loop's own, the sample's, or the
    plain loop's as many times as running sums make the sample's root mean square larger, whichever is largest. Where a
    sample has few elements it is one of the first two.
    """
    running = Arithmetic("float32", running_sums=True)
    first_active = None if active is None else {cell: units[:, :1] for cell, units in active.items()}
    first = _compute(data.first_sequence(), running, first_active)
    part: Any = np.s_[:, :1]
    samples = {
        key: (array, plain.arrays()[key][part], exact.arrays()[key][part])
        for key, array in first.arrays().items()
        if key in PER_SEQUENCE or key in first.runs
    }
    for cell, da in plain.da.items():
        cell_run = plain.runs[cell]
        for weight, z in zip(cell_weight_names(*cell), (cell_run.x, cell_run.h_before), strict=False):
            name = f"grad_{weight}"
            part = _rows_that_wander(da, z)
            samples[name] = (
                running.sum_of_products(da[:, :, part], z),
                plain.values[name][part],
                exact.values[name][part],
            )
    errors: dict[str | Cell, float] = {}
    for key, (sample, plain_sample, exact_sample) in samples.items():
        # The plain loop's own is that of all sequences, of which a sample may have the luckiest.
        errors[key] = max(plain_errors[key], relative(float(np.abs(sample - exact_sample).max()), exact.arrays()[key]))
        if sample.size >= NUDGED_ELEMENTS:
            ratio = _rms(sample - exact_sample) / _rms(plain_sample - exact_sample)
            errors[key] = max(errors[key], plain_errors[key] * max(1.0, ratio))
    return errors


def _rows_that_wander(da: NumpyArray, z: NumpyArray) -> npt.NDArray[np.intp]:
    """The SAMPLED_ROWS rows of the sum over t of da[t].T @ z[t] with the largest partial sums on the way.

    What an addition to a sum loses is in proportion to the sum.
    """
    partial = np.zeros((da.shape[2], z.shape[2]), da.dtype)
    squares = np.zeros_like(partial)
    arithmetic = Arithmetic("float32")
    for steps in np.array_split(np.arange(len(da)), min(len(da), PARTIAL_SUMS)):
        partial += arithmetic.sum_of_products(da[steps], z[steps])
        squares += partial * partial
    return np.argsort(squares.max(axis=1))[-SAMPLED_ROWS:]


def _kinks(
    config: RnnConfig, runs: Mapping[Cell, CellRun], dy: NumpyArray, dh_n: NumpyArray, delta: Mapping[Cell, float]
) -> dict[str, float]:
    """How far the gradients may differ because relu's slope jumps where rounding may move a unit over zero.

    A unit with |a| <= delta, the error allowed in its pre-activation, may be on in one right implementation and
    off in another. The gradients with all such units on and with all of them off, each against the reference,
    say how much hangs on them. Where a network has few units, several groups of ambiguous units are switched in
    turn, so that what hangs on one does not hide what hangs on another. None are ambiguous in most small float32
    data; then nothing is allowed.
    """
    usual = {cell: cell_run.a > 0 for cell, cell_run in runs.items()}
    ambiguous = {cell: np.abs(cell_run.a) <= delta[cell] for cell, cell_run in runs.items()}
    count = sum(int(units.sum()) for units in ambiguous.values())
    if not count:
        return {}
    switched: list[dict[Cell, Units]]
    if sum(units.size for units in usual.values()) > FEW_UNITS:
        switched = [
            {cell: usual[cell] | ambiguous[cell] for cell in runs},
            {cell: usual[cell] & ~ambiguous[cell] for cell in runs},
        ]
    else:
        generator = np.random.default_rng(0)
        group = {cell: generator.integers(MOST_GROUPS, size=units.shape) for cell, units in usual.items()}
        switched = [
            {cell: usual[cell] ^ (ambiguous[cell] & (group[cell] == number)) for cell in runs}
            for number in range(MOST_GROUPS)
        ]
    reference = name_grads(backward(config, runs, dy, dh_n, active=usual)[0])
    changed = {name: np.zeros_like(value) for name, value in reference.items()}
    for active in switched:
        for name, value in name_grads(backward(config, runs, dy, dh_n, active=active)[0]).items():
            changed[name] += np.abs(value - reference[name])
    return {name: relative(float(change.max()), reference[name]) for name, change in changed.items()}


def _error(actual: NumpyArray, expected: NumpyArray) -> float:
    return relative(float(np.abs(actual - expected).max()), expected)


def _rms(array: NumpyArray) -> float:
    return float(np.sqrt(np.mean(np.square(array, dtype=np.float64))))
