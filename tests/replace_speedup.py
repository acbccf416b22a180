"""How much faster the example models are after `rnnimpl.torch.replace`: `python -m tests.replace_speedup`.

Each model of `tests.example_models` is trained and called with `torch.nn` and with the kernels, in turns, block by
block, in one process; a ratio is the median over neighbouring blocks, with its 95 % interval. Both are first trained
from one seed, and a model whose losses do not agree is not timed.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import torch

from benchmarks.files import write
from benchmarks.machine import commit, describe_machine, usable_cores
from benchmarks.presentation.csv_text import rows_csv
from benchmarks.presentation.plain_text import error, interval, seconds, share, table, times
from benchmarks.statistics import estimate_ratio
from tests.model_training import EXAMPLES, Example, losses, made, training_step

DTYPE = torch.float32
COMPARED_STEPS = 20
MOST_DIFFERENCE = 1e-3
"""Of two losses, relatively, above which they are not those of one training: rounding grows in these steps."""
BLOCK_SECONDS = 0.06
LEAST_CALLS = 3
WARM_UP_SECONDS = 0.5
TIMED = ("training", "inference", "packing")
COLUMNS = ("model", "threads", "losses_differ_by", "timed", "block", "first_seconds", "second_seconds")
Call = Callable[[], object]


@dataclasses.dataclass(frozen=True)
class Turns:
    """The median seconds of a call in each block, of two that took turns."""

    first: list[float]
    second: list[float]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Speedup:
    """A model on a number of threads: seconds of both packages in each block, and how far their losses come apart.

    `packing` has a forward and backward pass with weights that have changed since the last, and with others.
    """

    model: str
    threads: int
    difference: float
    training: Turns
    inference: Turns
    packing: Turns


def take_turns(first: Call, second: Call, rounds: int, clock: Callable[[], float] = time.perf_counter) -> Turns:
    """Time blocks of both, one after the other, each of which is first in every second round."""
    turns = Turns([], [])
    for call in (first, second):
        _block(call, clock, WARM_UP_SECONDS)
    for number in range(rounds):
        found = {}
        for call in (first, second) if number % 2 else (second, first):
            found[call] = _block(call, clock, BLOCK_SECONDS)
        turns.first.append(found[first])
        turns.second.append(found[second])
    return turns


def _block(call: Call, clock: Callable[[], float], at_least: float) -> float:
    """The median seconds of the calls of a block."""
    begin = clock()
    calls: list[float] = []
    while len(calls) < LEAST_CALLS or clock() - begin < at_least:
        before = clock()
        call()
        calls.append(clock() - before)
    return statistics.median(calls)


def measure(name: str, threads: int, rounds: int) -> Speedup:
    """Compare and time one model. Raises ValueError where the losses of the two trainings do not agree."""
    example = EXAMPLES[name]
    torch.set_num_threads(threads)
    expected, found = (
        losses(example, DTYPE, COMPARED_STEPS, small=False, replaced=replaced) for replaced in (False, True)
    )
    difference = max(abs(a - b) / abs(a) for a, b in zip(expected, found, strict=True))
    if not difference <= MOST_DIFFERENCE:
        raise ValueError(f"{name}: losses differ by {difference:.1e} of their value; they are not timed")
    models = [made(example, DTYPE, small=False, replaced=replaced) for replaced in (False, True)]
    batch = example.batch(models[0], *example.size, DTYPE)
    theirs, ours = models
    training = take_turns(_training(example, theirs, batch), _training(example, ours, batch), rounds)
    packing = take_turns(
        _passes(example, ours, batch, change=True), _passes(example, ours, batch, change=False), rounds
    )
    inference = take_turns(_inference(example, theirs, batch), _inference(example, ours, batch), rounds)
    return Speedup(
        model=name, threads=threads, difference=difference, training=training, inference=inference, packing=packing
    )


def _training(example: Example, model: torch.nn.Module, batch: tuple[torch.Tensor, ...]) -> Call:
    step = training_step(example, model)
    return lambda: step(*batch)


def _inference(example: Example, model: torch.nn.Module, batch: tuple[torch.Tensor, ...]) -> Call:
    model.eval()

    def call() -> None:
        with torch.inference_mode():
            example.scores(model, *batch[:-1])

    return call


def _passes(example: Example, model: torch.nn.Module, batch: tuple[torch.Tensor, ...], *, change: bool) -> Call:
    """Forward and backward; with `change`, after each weight of the recurrent modules has a new version."""
    weights = [
        weight for module in model.modules() if isinstance(module, torch.nn.RNNBase) for weight in module.parameters()
    ]

    def call() -> None:
        # Both write to as much memory.
        for weight in weights if change else [weight.grad for weight in weights if weight.grad is not None]:
            weight.detach().mul_(1)
        example.loss(example.scores(model, *batch[:-1]), batch[-1]).backward()  # type: ignore[no-untyped-call]

    return call


def markdown(speedups: Iterable[Speedup]) -> str:
    """A row for each model and number of threads."""
    header = (
        *("model", "threads", "training step, torch.nn", "replaced", "times as fast (95 %)"),
        *("inference, torch.nn", "replaced", "times as fast (95 %)", "packing, of a step", "losses differ by"),
    )
    rows = []
    for each in speedups:
        row = [each.model, str(each.threads)]
        for turns in (each.training, each.inference):
            ratio = estimate_ratio(turns.first, turns.second)
            row += [seconds(statistics.median(turns.first)), seconds(statistics.median(turns.second))]
            row.append(f"{times(ratio.median)} ({interval(ratio.low, ratio.high)})")
        extra = estimate_ratio(each.packing.first, each.packing.second).median - 1
        packing = extra * statistics.median(each.packing.second)
        row += [share(max(0.0, packing) / statistics.median(each.training.second)), error(each.difference)]
        rows.append(row)
    return table(header, rows)


def heading() -> str:
    """Where and with what it was measured."""
    cpu = describe_machine()["cpu"]
    source = commit()
    revision = "no revision" if source is None else source["revision"][:9] + (" and changes" if source["dirty"] else "")
    kind = f"{cpu['model']} (family {cpu['family']}, model {cpu['model_number']})"
    return f"{kind}, {cpu['usable_cores']} cores; PyTorch {torch.__version__}, float32; commit {revision}"


def blocks_csv(speedups: Iterable[Speedup]) -> str:
    """Every block's median seconds, of the first and of the second; `read_blocks` reads it."""
    rows = [
        (each.model, each.threads, each.difference, what, block, first, second)
        for each in speedups
        for what, turns in ((what, getattr(each, what)) for what in TIMED)
        for block, (first, second) in enumerate(zip(turns.first, turns.second, strict=True))
    ]
    return rows_csv(COLUMNS, rows)


def read_blocks(path: Path) -> list[Speedup]:
    """What `blocks_csv` wrote."""
    turns: dict[tuple[str, int, float], dict[str, Turns]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            model = row["model"], int(row["threads"]), float(row["losses_differ_by"])
            of_model = turns.setdefault(model, {what: Turns([], []) for what in TIMED})
            of_model[row["timed"]].first.append(float(row["first_seconds"]))
            of_model[row["timed"]].second.append(float(row["second_seconds"]))
    return [
        Speedup(model=model, threads=threads, difference=difference, **of_model)
        for (model, threads, difference), of_model in turns.items()
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, and with --out keep it with every block."""
    parser = argparse.ArgumentParser(prog="python -m tests.replace_speedup", description=__doc__)
    parser.add_argument("--model", action="append", choices=EXAMPLES, help="may be repeated (default: all)")
    parser.add_argument("--threads", type=int, action="append", help="may be repeated (default: 1, and all cores)")
    parser.add_argument("--rounds", type=int, default=16, help="blocks of each side (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="a folder for table.md and blocks.csv")
    given = parser.parse_args(arguments)
    if given.rounds < 1 or min(given.threads or [1]) < 1:
        parser.error("--rounds and --threads take whole numbers of 1 or more")
    speedups = []
    for threads in given.threads or sorted({1, usable_cores()}):
        for name in given.model or EXAMPLES:
            speedups.append(measure(name, threads, given.rounds))
            print(f"{name}, {threads} thread{'s' * (threads > 1)}: measured", file=sys.stderr, flush=True)
    text = f"{heading()}\n\n{markdown(speedups)}\n"
    print(text, end="")
    if given.out is not None:
        given.out.mkdir(parents=True, exist_ok=True)
        write(given.out, "table.md", text, replace=False)
        write(given.out, "blocks.csv", blocks_csv(speedups), replace=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
