"""The expected results of a network on some data, the error of actual results, and the names of results."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from rnnimpl.interface import Array, Grads, NumpyArray, Rnn, RnnConfig, State

DENORMAL_DIFFERENCE = 1024 * float(np.finfo(np.float32).tiny)
"""The largest difference that makes no error: a sum of a thousand products below the smallest normal float32.

Some libraries take such products for zero, and others compute them."""


@dataclasses.dataclass(frozen=True, eq=False)
class Expectation:
    """The expected results on some data: values in float64 and tolerances of their errors, by name of result.

    The names are `y`, `h_n` and, of an LSTM, `c_n`; where gradients are expected, `grad_x`, `grad_h0`, `grad_c0` and
    `grad_` with the name of a weight: `grad_weight_ih_l0`.
    """

    values: Mapping[str, NumpyArray]
    tolerances: Mapping[str, float]

    def error(self, name: str, actual: NumpyArray) -> float:
        """max|actual - expected| / max|expected|; max|actual - expected| where every expected value is zero.

        It is 0 for differences up to `DENORMAL_DIFFERENCE`, and infinite where `actual` has NaN or infinity. Raises
        ValueError for an array of another shape.
        """
        expected = self.values[name]
        if actual.shape != expected.shape:
            raise ValueError(f"{name} has shape {actual.shape}; expected {expected.shape}")
        if not np.isfinite(actual).all():
            return float("inf")
        return relative(float(np.abs(actual - expected).max()), expected)

    def errors(self, actual: Mapping[str, NumpyArray]) -> dict[str, float]:
        """The error of every result by name. Raises ValueError for a result that is missing or not expected."""
        missing, unknown = self.values.keys() - actual.keys(), actual.keys() - self.values.keys()
        if missing or unknown:
            raise ValueError(
                f"the results are {', '.join(actual)}; missing {sorted(missing) or 'none'}, "
                f"not expected {sorted(unknown) or 'none'}"
            )
        return {name: self.error(name, actual[name]) for name in self.values}

    def outside(self, errors: Mapping[str, float]) -> list[str]:
        """A sentence for each result whose error exceeds its tolerance, in the order of the results."""
        return [
            f"{name} {self.values[name].shape} has error {error:.2g}; expected {self.tolerances[name]:.2g} or less"
            for name, error in errors.items()
            if not error <= self.tolerances[name]
        ]


def name_results(
    rnn: Rnn[Array], y: Array, state_n: State[Array], grads: Grads[Array] | None = None
) -> dict[str, NumpyArray]:
    """The results of `forward` or `vjp` and its pullback as NumPy arrays by the names of an `Expectation`."""
    named = name_arrays(rnn.config, y, state_n, grads)
    return {name: rnn.to_numpy(array) for name, array in named.items()}


def name_arrays(
    config: RnnConfig, y: Array, state_n: State[Array], grads: Grads[Array] | None = None
) -> dict[str, Array]:
    """The results by the names of an `Expectation`, in the framework's arrays.

    Raises ValueError for a state with another number of arrays than the cell has.
    """
    named = {"y": y} | dict(zip(state_n_names(config), state_n, strict=True))
    return named if grads is None else named | name_grads(config, grads)


def state_n_names(config: RnnConfig) -> tuple[str, ...]:
    """The names of the final state's arrays: `h_n` and, of an LSTM, `c_n`."""
    return tuple(f"{name}_n" for name in config.state_names)


def name_grads(config: RnnConfig, grads: Grads[Array]) -> dict[str, Array]:
    """The gradients by the names of an `Expectation`."""
    of_state = zip((f"grad_{name}0" for name in config.state_names), grads.state, strict=True)
    return {"grad_x": grads.x} | dict(of_state) | {f"grad_{name}": g for name, g in grads.weights.items()}


def is_per_sequence(name: str) -> bool:
    """Whether the second axis of a result is the batch, as of all but the gradients of weights."""
    return not name.startswith(("grad_weight", "grad_bias"))


def relative(difference: float, expected: NumpyArray) -> float:
    """A difference divided by max|expected|; the difference itself where every expected value is zero.

    A difference of denormal numbers is none (`DENORMAL_DIFFERENCE`).
    """
    return relative_to(difference, float(np.abs(expected).max()))


def relative_to(difference: float, size: float) -> float:
    """A difference divided by the size of values, as `relative` has it."""
    if difference <= DENORMAL_DIFFERENCE:
        return 0.0
    return difference / size if size > 0 else difference
