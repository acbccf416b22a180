"""Gradient descent: every implementation trains the same network on the same task."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import numpy as np
from rich.console import Console

import rnnimpl
from benchmarks.files import StoreError, explained, folder_for
from benchmarks.measuring.processes.ending import ended_in_order
from benchmarks.presentation.clock import doing
from benchmarks.presentation.plain_text import clean
from benchmarks.quoting import quoted
from benchmarks.training.containing import ends_the_program, exits_raised
from benchmarks.training.learning_curve import REFERENCE, Curve, Step, TrainResult, judge_curve, tolerance
from benchmarks.training.report import write_report
from benchmarks.training.task import Task
from benchmarks.training.tasks import find_task
from benchmarks.trial import Status
from rnnimpl.dtypes import Dtype
from rnnimpl.interface import NumpyArray, Rnn, Unavailable, Unsupported, Weights

DTYPES: tuple[Dtype, ...] = ("float32", "float64")
"""In 16 bits an update is often smaller than a weight's roundoff and lost; training there keeps float32 weights."""
MOST_STEPS = 1_000_000
SEED = 0

Advance = Callable[[int], None]
"""Adds a number of steps to the progress bar."""


def train(
    *,
    implementations: Sequence[str],
    cell: str = "tanh",
    device: str = "cpu",
    steps: int | None = None,
    dtype: str = "float32",
    out: Path | None = None,
) -> TrainResult:
    """Train each implementation on the cell's task, judge its curve, and write its losses, tables and plots.

    `implementations` are arguments of `rnnimpl.load`; `out` is the folder written to, by default a new
    results/train-TIME; `steps` are the task's if None. An implementation that cannot run or raises becomes a row with
    its reason, and the others go on. An implementation's CPU threads are set to 1: with so small a network, more would
    wait for each other.

    Raises ValueError for a name, a cell, a number of steps, a dtype or a device that cannot be used, TypeError when
    module:Class is no Rnn, and StoreError for a folder that cannot be written to or holds something.
    """
    task = find_task(cell)
    steps = task.steps if steps is None else steps
    checked_dtype = _check(implementations, device, steps, dtype, task)
    console = Console(stderr=True)
    with exits_raised(), doing(console, "loading"):
        found = {name: _load(name) for name in implementations}
    folder = out if out is not None else Path("results") / f"train-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    # A folder that cannot be written is an error before the training, not after it.
    with (
        ended_in_order(),
        folder_for("--out", folder),
        exits_raised(),
        _progress(console, (len(found) + len(DTYPES)) * steps) as (begin, advance),
    ):
        _check_empty(folder)
        begin("the plain loop")
        plain = {each: reference_losses(task, each, steps, advance) for each in DTYPES}
        allowed = tolerance(plain["float32"], plain["float64"], checked_dtype)
        curves = []
        for name, implementation in found.items():
            begin(name)
            curve = _learn(task, name, implementation, device, checked_dtype, steps, advance)
            if curve.status == "ok":
                status, reason = judge_curve(curve.losses, plain[checked_dtype], allowed, task)
                curve = dataclasses.replace(curve, status=status, reason=reason)
            curves.append(curve)
    result = TrainResult(
        task=task,
        curves=tuple(curves),
        reference=plain[checked_dtype],
        tolerance=allowed,
        device=device,
        dtype=checked_dtype,
        folder=folder,
    )
    with explained(folder, "write the training to"), doing(console, "writing the report"):
        write_report(result)
    return result


def descend(task: Task, implementation: type[Rnn[Any]], device: str, dtype: Dtype, seed: int = SEED) -> Iterator[Step]:
    """Train endlessly by plain stochastic gradient descent, with the gradients of `vjp` and nothing else.

    A network belongs to one set of weights, so each step builds one from its weights.
    """
    config = task.config(dtype)
    weights, read_out = task.start(dtype, seed)
    for x, target in task.batches(dtype, seed):
        started = time.perf_counter()
        rnn = implementation(config, weights, device)
        built = time.perf_counter()
        y, state_n, pullback = rnn.vjp(rnn.from_numpy(x))
        scored = read_out.score(rnn.to_numpy(y), target, task.scored_from)
        # The loss reads the outputs only, so the final state has no gradient of its own.
        dstate_n = tuple(rnn.from_numpy(np.zeros_like(rnn.to_numpy(each))) for each in state_n)
        grads = pullback(rnn.from_numpy(scored.dy), dstate_n)
        read_out = read_out.descended(scored, task.learning_rate)
        updated = {
            name: array - task.learning_rate * rnn.to_numpy(grads.weights[name])
            for name, array in weights.arrays.items()
        }
        weights = Weights(config, updated)
        yield Step(scored.loss, time.perf_counter() - started, built - started)


def _check(implementations: Sequence[str], device: str, steps: int, dtype: str, task: Task) -> Dtype:
    """Raise ValueError for arguments that cannot be used; return the dtype as its type."""
    # First: without a name given, those that run on the device are meant, and on none none does.
    if device.partition(":")[0] not in ("cpu", "cuda"):
        raise ValueError(f"device is {quoted(device)}; expected cpu, cuda or cuda:N")
    if not implementations:
        raise ValueError(f"implementations is empty; expected one or more of {', '.join(rnnimpl.names())}")
    twice = sorted({name for name in implementations if list(implementations).count(name) > 1})
    if twice:
        raise ValueError(f"implementations has {', '.join(twice)} more than once; name each once")
    if not 1 <= steps <= MOST_STEPS:
        raise ValueError(
            f"steps is {quoted(steps)}; expected 1 or more, {task.steps_to_learn} or more to see it learn, and at most "
            f"{MOST_STEPS}"
        )
    for known in DTYPES:
        if dtype == known:
            return known
    why = ": plain gradient descent loses small updates in it" if dtype in get_args(Dtype) else ""
    raise ValueError(f"dtype is {quoted(dtype)}{why}; expected one of {', '.join(DTYPES)}")


def _check_empty(folder: Path) -> None:
    present = sorted(path.name for path in folder.iterdir())
    if present:
        raise StoreError(
            f"--out is {folder}, which holds {', '.join(present[:5])}; expected a new folder: nothing was changed"
        )


def _load(name: str) -> type[Rnn[Any]] | Unavailable:
    """The class, or why there is none on this machine. Raises what `rnnimpl.load` raises for a wrong name."""
    try:
        return rnnimpl.load(name)
    except Unavailable as error:
        return error


def _learn(
    task: Task,
    name: str,
    implementation: type[Rnn[Any]] | Unavailable,
    device: str,
    dtype: Dtype,
    steps: int,
    advance: Advance,
) -> Curve:
    """Train one implementation for `steps` steps, or until it fails; an exception becomes its status."""
    done: list[Step] = []
    describe: dict[str, str] = {}
    status: Status = "ok"
    reason: str | None = None
    try:
        if isinstance(implementation, Unavailable):
            raise implementation
        implementation.configure_process(threads=1, precision="ieee")
        weights, _ = task.start(dtype, SEED)
        describe = implementation(weights.config, weights, device).describe()
        for step in itertools.islice(descend(task, implementation, device, dtype), steps):
            done.append(step)
            advance(1)
            if not np.isfinite(step.loss):
                break
    except Unavailable as error:
        status, reason = "unavailable", str(error)
    except Unsupported as error:
        status, reason = "unsupported", str(error)
    except BaseException as error:  # whatever an implementation raises is the reason in its row
        if ends_the_program(error):
            raise
        status, reason = "failed", f"{type(error).__name__} at step {len(done) + 1}: {error}"
    advance(steps - len(done))
    return Curve(implementation=name, status=status, reason=reason, steps=tuple(done), describe=describe)


def reference_losses(task: Task, dtype: Dtype, steps: int, advance: Advance) -> NumpyArray:
    """The plain loop's losses. Without them there is no verdict, so its exceptions are not caught."""
    losses = []
    for step in itertools.islice(descend(task, rnnimpl.load(REFERENCE), "cpu", dtype), steps):
        losses.append(step.loss)
        advance(1)
    return np.array(losses)


@contextlib.contextmanager
def _progress(console: Console, total: int) -> Iterator[tuple[Callable[[str], None], Advance]]:
    """A bar of steps with the time so far and the time left, on a terminal only.

    The block is handed a function that says who trains, and one that adds steps.
    """
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TextColumn("steps,"),
        TimeElapsedColumn(),
        TextColumn("so far,"),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("", total=total)
        yield (
            lambda name: progress.update(bar, description=clean(name, 40)),
            lambda steps: progress.advance(bar, steps),
        )
