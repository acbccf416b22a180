"""What a worker's results are checked against, in the process that asks it: nothing of this is within its reach.

The first call is checked whole, on data from a seed that was drawn for the sweep, against tolerances that are derived
for these data. In each block one timed call is checked again: one that the worker could not choose, on an input that no
call before had. That check asks whether the results are those of that input, so its limits are wider.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import random
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.counts import flops
from benchmarks.files import StoreError, open_to_read, remove
from benchmarks.measuring.inputs import Inputs, fresh_feature
from benchmarks.measuring.measure import CheckedCall, Wrong, check_results
from benchmarks.workload import Workload
from rnnimpl import reference
from rnnimpl.cells import CELLS
from rnnimpl.expectation import Expectation, is_per_sequence, name_arrays, relative
from rnnimpl.interface import NumpyArray

SPOT_FLOPS = 5e8
"""What the reference may cost for the checked call of a block: some hundredths of a second."""
WHOLE_FLOPS = 1e11
"""What it may cost in one block of a visit, where all results are checked: seconds, once for all implementations."""
SPOT_FACTOR = 4.0
"""A result of another input is wrong by some hundredths or tenths; one of this input by about its tolerance."""
SPOT_MOST = 0.05
"""The limit never grows beyond this by `SPOT_FACTOR`: in bfloat16, tolerances come near to it."""
KINKED_LIMIT = 0.02
"""The gradients of relu jump where rounding moves a unit over zero."""

HEADER_BYTES = 1 << 20
"""What the names and headers of all arrays take, by far."""

Ask = Callable[[dict[str, Any]], dict[str, Any]]
"""Sends a request to a worker and gives its reply. Raises WorkerLost."""


@dataclasses.dataclass(frozen=True, eq=False)
class Expected:
    """What the first call of a case should give: on the data of `seed`, of which the first `steps` are checked."""

    seed: int
    steps: int
    expectation: Expectation


@dataclasses.dataclass(frozen=True, eq=False)
class SpotCheck:
    """One checked call of a block: which it is, what of its results is compared, with what, and how near is enough.

    `rows` are the sequences compared, `steps` the first steps of y. Where these are all steps, the other results are
    compared too; `weights` says whether the gradients of weights are among them.
    """

    call: CheckedCall
    rows: tuple[int, ...]
    steps: int
    weights: bool
    values: Mapping[str, NumpyArray]
    limits: Mapping[str, float]

    def problem_in(self, path: Path) -> str | None:
        """The same of the file that a worker wrote; what is no such file is a problem too."""
        try:
            return self.problem(read_results(path, _bytes_of(self.values)))
        except Wrong as wrong:
            return str(wrong)

    def problem(self, results: Mapping[str, NumpyArray]) -> str | None:
        """Why the results are not those of the call's input, in a sentence; None where they are."""
        if results.keys() != self.values.keys():
            return f"a timed call gave {', '.join(sorted(results)) or 'nothing'}; expected {', '.join(self.values)}"
        for name, expected in self.values.items():
            actual = results[name]
            if actual.shape != expected.shape:
                return f"{name} of a timed call has shape {actual.shape}; expected {expected.shape}"
            finite = bool(np.isfinite(actual).all())
            error = relative(float(np.abs(actual - expected).max()), expected) if finite else float("inf")
            if not error <= self.limits[name]:
                return (
                    f"a timed call did not compute its input: {name} has error {error:.2g}; expected "
                    f"{self.limits[name]:.2g} or less, as the first call had"
                )
        return None


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
            expected.expectation, read_results(results, _bytes_of(expected.expectation.values))
        )
    except Wrong as wrong:
        return {"status": "wrong", "reason": str(wrong), "errors": wrong.errors}
    except ValueError as error:
        # Of another shape or name than a result has.
        return {"status": "failed", "reason": f"ValueError: {error}", "errors": {}}
    return {**reply, **ask({"do": "warm_up"})}


def read_results(path: Path, most_bytes: int) -> dict[str, NumpyArray]:
    """The arrays that a worker wrote, by name; the file is removed.

    Raises Wrong where it is no such file, or holds more than `most_bytes` and what a few arrays' headers take.
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
        # Where an implementation has put a folder, it stays, and the next results cannot be written.
        with contextlib.suppress(OSError):
            remove(path.parent, path.name)


def _check_sizes(archive: zipfile.ZipFile, most_bytes: int) -> None:
    """Raise Wrong where an archive unpacks to more than it may hold."""
    unpacked = sum(entry.file_size for entry in archive.infolist())
    if unpacked > most_bytes + HEADER_BYTES:
        raise Wrong(f"the results unpack to {unpacked} bytes; expected {most_bytes} at most")


def _bytes_of(values: Mapping[str, NumpyArray]) -> int:
    """What results of these shapes take in any dtype: float64 is the widest, which the reference has."""
    return sum(value.nbytes for value in values.values())


def make_spot_checks(workload: Workload, inputs: Inputs, expected: Expected, blocks: int) -> list[SpotCheck]:
    """A check for each of the blocks of a visit, drawn from the system's own source of chance."""
    drawn = random.SystemRandom()
    whole = drawn.randrange(blocks)
    return [_spot_check(workload, inputs, expected, drawn, is_whole=number == whole) for number in range(blocks)]


def _spot_check(
    workload: Workload, inputs: Inputs, expected: Expected, drawn: random.Random, *, is_whole: bool
) -> SpotCheck:
    call = CheckedCall(place=drawn.random(), feature=drawn.randrange(workload.I), seed=drawn.getrandbits(48))
    rows, steps, weights = _extent(workload, drawn, is_whole=is_whole)
    x = inputs.x[:steps, list(rows)].copy()
    x[:, :, call.feature] = fresh_feature(workload, call.seed)[:steps, list(rows)]
    values = _values(workload, inputs, x, rows, weights=weights)
    limits = {name: _limit(workload, name, expected.expectation.tolerances[name]) for name in values}
    return SpotCheck(call, rows, steps, weights, values, limits)


def _extent(workload: Workload, drawn: random.Random, *, is_whole: bool) -> tuple[tuple[int, ...], int, bool]:
    """Which rows and how many steps of a call are compared, and whether the gradients of weights are."""
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
    config = workload.config
    if len(x) < workload.T:
        return {"y": reference.forward(config, inputs.weights, x)[0]}
    if inputs.dy is None or inputs.dstate_n is None:
        return name_arrays(config, *reference.forward(config, inputs.weights, x))
    columns = list(rows)
    dstate_n = tuple(each[:, columns] for each in inputs.dstate_n)
    values = name_arrays(config, *reference.vjp(config, inputs.weights, x, None, inputs.dy[:, columns], dstate_n))
    return values if weights else {name: value for name, value in values.items() if is_per_sequence(name)}


def _limit(workload: Workload, name: str, tolerance: float) -> float:
    widened = max(tolerance, min(SPOT_FACTOR * tolerance, SPOT_MOST))
    is_kinked = CELLS[workload.cell].kinked and name.startswith("grad_")
    return max(widened, KINKED_LIMIT) if is_kinked else widened
