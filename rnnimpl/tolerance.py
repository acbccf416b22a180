"""How wrong a result may be: as wrong as a plain loop in the same dtype is on the same data, times a small factor.

The error of an array is normwise and relative, max|actual - reference| / max|reference|: a relative error of
each element would ask of a sum that cancels to nearly nothing more digits than its terms have (Higham 2002,
"Accuracy and Stability of Numerical Algorithms", section 1.2). The tolerance of each array of each workload is

    factor * (error of the plain loop in that dtype on this data) + floor * (unit roundoff) [+ kinks]

so it knows about long sequences, large layers and cancellation without being told. `LIMITS` holds factor and
floor for each dtype, and where they come from.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from rnnimpl.dtypes import Precision, unit_roundoff
from rnnimpl.interface import Array, Grads, NumpyArray, Rnn, RnnConfig, Weights
from rnnimpl.reference import Arithmetic, Cell, CellRun, backward, run


class Limit(NamedTuple):
    """`factor` times the plain loop's error, plus `floor` times the unit roundoff, is allowed."""

    factor: float
    floor: float


LIMITS: Mapping[str, Limit] = MappingProxyType(
    {
        "float16": Limit(2, 4),
        "bfloat16": Limit(2, 4),
        "tf32": Limit(4, 4),
        "float32": Limit(4, 8),
        "float64": Limit(4, 8),
    }
)


@dataclasses.dataclass(frozen=True, eq=False)
class Expectation:
    """What an implementation should give on some data: values in float64 and tolerances, by name of result.

    The names are `y`, `h_n` and, where gradients are expected, `grad_x`, `grad_h0` and `grad_` with the name of
    a weight: `grad_weight_ih_l0`.
    """

    values: Mapping[str, NumpyArray]
    tolerances: Mapping[str, float]

    def error(self, name: str, actual: NumpyArray) -> float:
        """max|actual - expected| / max|expected|; absolute where all that is expected is zero.

        NaN or infinity in `actual` is an infinite error. Raises ValueError when the shape is not the expected.
        """
        expected = self.values[name]
        if actual.shape != expected.shape:
            raise ValueError(f"{name} has shape {actual.shape}; expected {expected.shape}")
        if not np.isfinite(actual).all():
            return float("inf")
        return _relative(float(np.abs(actual - expected).max()), expected)

    def errors(self, actual: Mapping[str, NumpyArray]) -> dict[str, float]:
        """The error of every result. Raises ValueError when a result is missing or one is not expected."""
        missing, unknown = self.values.keys() - actual.keys(), actual.keys() - self.values.keys()
        if missing or unknown:
            raise ValueError(
                f"the results are {', '.join(actual)}; missing {sorted(missing) or 'none'}, "
                f"not expected {sorted(unknown) or 'none'}"
            )
        return {name: self.error(name, actual[name]) for name in self.values}

    def outside(self, errors: Mapping[str, float]) -> list[str]:
        """A sentence for each result whose error is not within its tolerance, in the order of the results."""
        return [
            f"{name} {self.values[name].shape} has error {error:.2g}; expected {self.tolerances[name]:.2g} or less"
            for name, error in errors.items()
            if not error <= self.tolerances[name]
        ]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to an .npz file, without pickle."""
        arrays: dict[str, Any] = {f"value {name}": value for name, value in self.values.items()}
        arrays |= {f"tolerance {name}": np.float64(value) for name, value in self.tolerances.items()}
        with open(path, "wb") as file:  # noqa: PTH123  # also takes a str
            np.savez(file, **arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Expectation:
        """Read what `save` wrote."""
        values: dict[str, NumpyArray] = {}
        tolerances: dict[str, float] = {}
        with np.load(path, allow_pickle=False) as arrays:
            for key in arrays:
                kind, _, name = key.partition(" ")
                if kind == "value":
                    values[name] = arrays[key]
                else:
                    tolerances[name] = float(arrays[key])
        return cls(values, tolerances)


def name_results(rnn: Rnn[Array], y: Array, h_n: Array, grads: Grads[Array] | None = None) -> dict[str, NumpyArray]:
    """The results of `forward` or `vjp` and its pullback as NumPy arrays by the names of an `Expectation`."""
    named = {"y": y, "h_n": h_n}
    if grads is not None:
        named |= _name_grads(grads)
    return {name: rnn.to_numpy(array) for name, array in named.items()}


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

    Costs one pass in float64 and one of the plain loop, and for relu with ambiguous units two backward passes.
    Raises ValueError when the data overflow the dtype, because then there is nothing to compare with.
    """
    narrow = Arithmetic.of(config.dtype, precision)
    limit = LIMITS[narrow.name]
    # Nothing wider than float64 is quick everywhere; its errors are those of float32, smaller by a constant.
    plain = Arithmetic("float32") if narrow.name == "float64" else narrow
    scale = unit_roundoff(narrow.name) / unit_roundoff(plain.name)
    floor = limit.floor * unit_roundoff(narrow.name)

    def allowed(plain_error: float) -> float:
        return limit.factor * plain_error * scale + floor

    y, h_n, runs = run(config, weights, x, h0)
    plain_y, plain_h_n, plain_runs = run(config, weights, x, h0, plain)
    values = {"y": y, "h_n": h_n}
    plain_values = {"y": plain_y, "h_n": plain_h_n}
    kinks: dict[str, float] = {}
    if dy is not None and dh_n is not None:
        active = {cell: cell_run.a > 0 for cell, cell_run in runs.items()}
        values |= _name_grads(backward(config, runs, dy, dh_n))
        # On the reference's side of every kink, so that this is the error of rounding and of nothing else.
        plain_values |= _name_grads(backward(config, plain_runs, dy, dh_n, plain, active))
        if config.nonlinearity == "relu":
            delta = {
                cell: allowed(_error(plain_runs[cell].a, cell_run.a)) * float(np.abs(cell_run.a).max())
                for cell, cell_run in runs.items()
            }
            kinks = _kinks(config, runs, dy, dh_n, delta)
    tolerances = {
        name: allowed(_error(plain_values[name], value)) + kinks.get(name, 0.0) for name, value in values.items()
    }
    overflown = [name for name, tolerance in tolerances.items() if not np.isfinite(tolerance)]
    if overflown:
        raise ValueError(f"{', '.join(overflown)} overflow {plain.name} on this data; there is nothing to expect")
    return Expectation(values, tolerances)


def _kinks(
    config: RnnConfig, runs: Mapping[Cell, CellRun], dy: NumpyArray, dh_n: NumpyArray, delta: Mapping[Cell, float]
) -> dict[str, float]:
    """How far the gradients may differ because relu's slope jumps where rounding may move a unit over zero.

    A unit with |a| <= delta, the error allowed in its pre-activation, may be on in one right implementation and
    off in another. The gradients with all such units on and with all off say how much hangs on them; none are
    ambiguous in most float32 data, and then nothing is allowed.
    """
    ambiguous = {cell: np.abs(cell_run.a) <= delta[cell] for cell, cell_run in runs.items()}
    if not any(units.any() for units in ambiguous.values()):
        return {}
    on: dict[Cell, npt.NDArray[np.bool_]] = {cell: (runs[cell].a > 0) | units for cell, units in ambiguous.items()}
    off: dict[Cell, npt.NDArray[np.bool_]] = {cell: (runs[cell].a > 0) & ~units for cell, units in ambiguous.items()}
    grads_on = _name_grads(backward(config, runs, dy, dh_n, active=on))
    grads_off = _name_grads(backward(config, runs, dy, dh_n, active=off))
    return {name: _error(grads_on[name], grads_off[name]) for name in grads_on}


def _name_grads(grads: Grads[Array]) -> dict[str, Array]:
    return {"grad_x": grads.x, "grad_h0": grads.h0} | {f"grad_{name}": g for name, g in grads.weights.items()}


def _error(actual: NumpyArray, expected: NumpyArray) -> float:
    return _relative(float(np.abs(actual - expected).max()), expected)


def _relative(difference: float, expected: NumpyArray) -> float:
    size = float(np.abs(expected).max())
    return difference / size if size > 0 else difference
