"""The check of a worker's results in the process that asks it, out of the worker's reach.

The first call is checked whole, on data from a seed that was drawn for the sweep, within tolerances derived for these
data. In each block one timed call is checked, which the worker could not choose, on an input that no call had before.
That check asks whether the results belong to the input, so its limits are wider. Its errors are relative to the largest
value of all calls that are checked: the values of a small network are near zero in some calls, and their rounding comes
from sums and states that are not.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import random
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.counts import flops
from benchmarks.files import StoreError, open_to_read, remove
from benchmarks.measuring.inputs import FRESH_SCALE, Inputs, fresh_feature
from benchmarks.measuring.measure import CheckedCall, Wrong, check_results
from benchmarks.workload import Workload
from rnnimpl import reference
from rnnimpl.cells import CELLS
from rnnimpl.expectation import Expectation, is_per_sequence, name_arrays, relative_to
from rnnimpl.interface import NumpyArray

SPOT_FLOPS = 5e8
"""Operations of the reference for the checked call of a block: some hundredths of a second."""
WHOLE_FLOPS = 1e11
"""Operations of the reference in the one block of a visit where all results are checked: seconds, for all
implementations."""
SPOT_FACTOR = 4.0
"""Limit of a checked call, in tolerances. Results of another input are off by hundredths or tenths, far beyond it."""
SPOT_MOST = 0.05
"""The largest limit that `SPOT_FACTOR` may give: tolerances of bfloat16 come near to it."""
KINKED_LIMIT = 0.02
"""The least limit for gradients of relu, which jump where rounding moves a unit across zero."""

HEADER_BYTES = 1 << 20
"""Bytes that are more than enough for the names and headers of all arrays."""

Ask = Callable[[dict[str, Any]], dict[str, Any]]
"""Sends a request to a worker and returns its reply. Raises WorkerLost."""


@dataclasses.dataclass(frozen=True, eq=False)
class Expected:
    """The expected results of a case's first call, on the data of `seed`, for the first `steps` steps."""

    seed: int
    steps: int
    expectation: Expectation


@dataclasses.dataclass(frozen=True, eq=False)
class SpotCheck:
    """One checked call of a block: which call, which parts of its results, the expected values and the limits.

    `rows` are the sequences compared, `steps` the first steps of y. Where these are all steps, the other results are
    compared too; `weights` says whether the gradients of weights are among them.
    """

    call: CheckedCall
    rows: tuple[int, ...]
    steps: int
    weights: bool
    values: Mapping[str, NumpyArray]
    limits: Mapping[str, float]
    sizes: Mapping[str, float]
    """The largest absolute value of each result in the first call and in all that are checked."""

    def problem_in(self, path: Path) -> str | None:
        """Why the file that a worker wrote does not hold the call's results, in a sentence; None where it does."""
        try:
            return self.problem(read_results(path, bytes_of(self.values)))
        except Wrong as wrong:
            return str(wrong)

    def problem(self, results: Mapping[str, NumpyArray]) -> str | None:
        """Why the results are not those of the call's input, in a sentence; None where they are."""
        failing = "a timed call did not compute its input"
        return problem_in_results(results, self.values, limits=self.limits, sizes=self.sizes, failing=failing)


def prepare(ask: Ask, workload: Workload, expected: Expected, results: Path) -> dict[str, Any]:
    """Have a worker build a case, check its first call here, and have it warmed up.

    `results` is a file for the worker to write. The reply has what was measured, with `errors`; or, where the case
    cannot go on, `status` and `reason`. Raises WorkerLost.
    """
    request = {"do": "prepare", "workload": workload.id, "seed": expected.seed, "steps": expected.steps}
    reply = ask({**request, "results": str(results)})
    if "status" in reply:
        return reply
    try:
        reply["errors"] = check_results(
            expected.expectation, read_results(results, bytes_of(expected.expectation.values))
        )
    except Wrong as wrong:
        return {"status": "wrong", "reason": str(wrong), "errors": wrong.errors}
    except ValueError as error:
        # The file's arrays have other shapes or names than the results.
        return {"status": "failed", "reason": f"ValueError: {error}", "errors": {}}
    return {**reply, **ask({"do": "warm_up"})}


def read_results(path: Path, most_bytes: int) -> dict[str, NumpyArray]:
    """The arrays that a worker wrote, by name; the file is removed.

    Raises Wrong where the file is no such archive, or larger than `most_bytes` and the headers of some arrays.
    """
    try:
        with open_to_read(path.parent, path.name) as file:
            size = os.fstat(file.fileno()).st_size
            if size > most_bytes + HEADER_BYTES:
                raise Wrong(f"the results have {size} bytes; expected {most_bytes} at most")
            with zipfile.ZipFile(file) as archive:
                _check_sizes(archive, most_bytes)
            file.seek(0)
            with np.load(file, allow_pickle=False) as arrays:
                return {name: arrays[name] for name in arrays.files}
    except (OSError, StoreError, ValueError, KeyError, EOFError, zipfile.BadZipFile, NotImplementedError) as error:
        raise Wrong(f"the results could not be read: {type(error).__name__}: {error}") from error
    finally:
        # A folder that an implementation put here stays, and the next results cannot be written.
        with contextlib.suppress(OSError):
            remove(path.parent, path.name)


def _check_sizes(archive: zipfile.ZipFile, most_bytes: int) -> None:
    """Raise Wrong where an archive would unpack to more than `most_bytes`."""
    unpacked = sum(entry.file_size for entry in archive.infolist())
    if unpacked > most_bytes + HEADER_BYTES:
        raise Wrong(f"the results unpack to {unpacked} bytes; expected {most_bytes} at most")


def bytes_of(values: Mapping[str, NumpyArray]) -> int:
    """Bytes of results of these shapes in float64, the widest dtype."""
    return sum(value.nbytes for value in values.values())


def output_bytes(workload: Workload, steps: int) -> int:
    """Bytes of y of so many steps and of the final state in float64, the widest dtype."""
    config = workload.config
    row = config.num_directions * config.hidden_size
    return 8 * workload.B * (steps * row + len(config.state_names) * config.num_stacked * config.hidden_size)


def make_spot_checks(workload: Workload, inputs: Inputs, expected: Expected, blocks: int) -> list[SpotCheck]:
    """A check for each block of a visit, drawn from the system's random source."""
    drawn = random.SystemRandom()
    whole = drawn.randrange(blocks)
    checks = [_spot_check(workload, inputs, expected, drawn, is_whole=number == whole) for number in range(blocks)]
    largest = sizes_of(expected.expectation.values)
    for check in checks:
        largest |= {name: max(largest[name], size) for name, size in check.sizes.items()}
    return [dataclasses.replace(check, sizes=largest) for check in checks]


def _spot_check(
    workload: Workload, inputs: Inputs, expected: Expected, drawn: random.Random, *, is_whole: bool
) -> SpotCheck:
    call = CheckedCall(place=drawn.random(), feature=drawn.randrange(workload.I), seed=drawn.getrandbits(48))
    rows, steps, weights = _extent(workload, drawn, is_whole=is_whole)
    x = inputs.x[:steps, list(rows)].copy()
    x[:, :, call.feature] = fresh_feature(workload, call.seed)[:steps, list(rows)]
    values = _values(workload, inputs, x, rows, weights=weights)
    # One of I features has FRESH_SCALE times the standard deviation of the others.
    growth = math.sqrt(1 + (FRESH_SCALE**2 - 1) / workload.I)
    limits = limits_of(workload, expected.expectation.tolerances, growth)
    sizes = sizes_of(values)
    return SpotCheck(call=call, rows=rows, steps=steps, weights=weights, values=values, limits=limits, sizes=sizes)


def _extent(workload: Workload, drawn: random.Random, *, is_whole: bool) -> tuple[tuple[int, ...], int, bool]:
    """The rows and steps of a call to compare, and whether the gradients of weights are compared."""
    T, B, cost = workload.T, workload.B, flops(workload)
    if cost <= (WHOLE_FLOPS if is_whole else SPOT_FLOPS):
        return tuple(range(B)), T, workload.mode == "training"
    count = max(1, int(B * SPOT_FLOPS / cost))
    rows = tuple(sorted(drawn.sample(range(B), count)))
    cost_of_rows = cost * count / B
    if is_whole or workload.bidirectional or cost_of_rows <= SPOT_FLOPS:
        return rows, T, False
    return rows, max(1, int(T * SPOT_FLOPS / cost_of_rows)), False


def _values(
    workload: Workload, inputs: Inputs, x: NumpyArray, rows: Sequence[int], *, weights: bool
) -> dict[str, NumpyArray]:
    config, columns = workload.config, list(rows)
    of_steps = inputs.prefix(len(x)).lengths
    lengths = None if of_steps is None else tuple(of_steps[row] for row in rows)
    if len(x) < workload.T:
        return {"y": reference.forward(config, inputs.weights, x, None, lengths)[0]}
    if inputs.dy is None or inputs.dstate_n is None:
        return name_arrays(config, *reference.forward(config, inputs.weights, x, None, lengths))
    dstate_n = tuple(each[:, columns] for each in inputs.dstate_n)
    dy = inputs.dy[:, columns]
    values = name_arrays(config, *reference.vjp(config, inputs.weights, x, None, dy, dstate_n, lengths))
    return values if weights else {name: value for name, value in values.items() if is_per_sequence(name)}


def sizes_of(values: Mapping[str, NumpyArray]) -> dict[str, float]:
    """The largest absolute value of each array."""
    return {name: float(np.abs(value).max()) for name, value in values.items()}


def problem_in_results(
    results: Mapping[str, NumpyArray],
    expected: Mapping[str, NumpyArray],
    *,
    limits: Mapping[str, float],
    sizes: Mapping[str, float],
    failing: str,
) -> str | None:
    """Why results of a timed call are not what is expected, in a sentence that begins with `failing`, or None.

    `limits` are of errors relative to the largest expected value, or to `sizes` where it is larger.
    """
    if results.keys() != expected.keys():
        return f"a timed call gave {', '.join(sorted(results)) or 'nothing'}; expected {', '.join(expected)}"
    for name, value in expected.items():
        if results[name].shape != value.shape:
            return f"{name} of a timed call has shape {results[name].shape}; expected {value.shape}"
    for name, size in sizes_of(expected).items():
        finite = bool(np.isfinite(results[name]).all())
        difference = float(np.abs(results[name] - expected[name]).max()) if finite else math.inf
        error = relative_to(difference, max(size, sizes[name]))
        if not error <= limits[name]:
            return f"{failing}: {name} has error {error:.2g}; expected {limits[name]:.2g} or less"
    return None


def limits_of(workload: Workload, tolerances: Mapping[str, float], growth: float = 1.0) -> dict[str, float]:
    """The limits of the errors of a timed call's results, from the tolerances of another call's.

    `growth` is how much larger the timed call's x is; the errors of sums grow with it.
    """
    return {name: _limit_of(workload, name, each, growth) for name, each in tolerances.items()}


def _limit_of(workload: Workload, name: str, tolerance: float, growth: float) -> float:
    widened = max(tolerance, min(SPOT_FACTOR * growth * tolerance, SPOT_MOST))
    is_kinked = CELLS[workload.cell].kinked and name.startswith("grad_")
    return max(widened, KINKED_LIMIT) if is_kinked else widened
