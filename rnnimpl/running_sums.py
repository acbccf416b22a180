"""The errors of running sums, estimated on samples of the results.

A running sum adds the terms of a matrix product one after another and is rounded after each, as in a textbook's loop.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from rnnimpl.arithmetic import Arithmetic
from rnnimpl.expectation import is_per_sequence, relative
from rnnimpl.interface import NumpyArray, layer_weight_names
from rnnimpl.plain_loop import Computed, Problem, Units, compute
from rnnimpl.reference import LayerKey

SAMPLED_ROWS = 8
"""The number of rows of a weight's gradient that are computed with running sums."""
PARTIAL_SUMS = 16
"""The number of partial sums from which these rows are chosen."""
LEAST_SAMPLE = 256
"""The least number of elements of a sample whose root mean squares are compared."""


def running_errors(
    problem: Problem,
    exact: Computed,
    plain: Computed,
    active: Mapping[LayerKey, Units] | None,
    plain_errors: Mapping[str | LayerKey, float],
) -> dict[str | LayerKey, float]:
    """The errors of running sums, for all results and pre-activations but the gradients of biases.

    `exact` are the float64 results of the problem, `plain` those of the plain loop, and `plain_errors` its errors by
    the same names. `active` has masks (T, B, H) by layer of the units that count as active, in a kinked cell such as
    relu; None: those that the computation itself finds.

    Running sums are slow, so samples estimate their errors: the first sequence, and for a weight's gradient, a sum over
    all sequences, the rows with the largest partial sums. The error is the largest of three: that of the plain loop,
    that of the sample, and that of the plain loop times the ratio of both root mean squares on the sample. The third is
    left out for a sample of few elements.
    """
    running = Arithmetic("float32", running_sums=True)
    first_active = None if active is None else {key: units[:, :1] for key, units in active.items()}
    first = compute(problem.first_sequence(), running, first_active)
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
        if sample.size >= LEAST_SAMPLE:
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


def _rms(array: NumpyArray) -> float:
    return float(np.sqrt(np.mean(np.square(array, dtype=np.float64))))
