"""Measure the factors for `rnnimpl.tolerance.ALLOWANCES`: `python -m rnnimpl.conformance.factors [NAME ...]`.

Given the floor of a dtype, the factor is the smallest multiple of the plain loop's error that allows an
implementation's worst result, by dtype and cell. The results include all gradients where an implementation trains.
docs/conformance.md has measured figures.
"""

from __future__ import annotations

import contextlib
import itertools
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from rnnimpl.conformance.compare import build, infer, train
from rnnimpl.conformance.examples import Example
from rnnimpl.dtypes import DTYPES, Dtype
from rnnimpl.expectation import relative
from rnnimpl.interface import CELL_NAMES, CellName, Rnn, RnnConfig, Unavailable, Unsupported
from rnnimpl.registry import default_names, listing, load
from rnnimpl.tolerance import Derived, derive

SMALL = ((1, 1, 1, 1), (3, 2, 5, 4), (13, 5, 11, 17))
"""T, B, I, H of networks of 1 and 3 layers, in one direction and in both, with two draws of weights and data."""
LARGE = ((128, 1, 64, 64), (64, 16, 128, 128), (512, 2, 32, 32), (200, 8, 16, 128))
"""T, B, I, H of networks of one layer in one direction."""


class Needed(NamedTuple):
    """The factor that a result needs, the name of the result, and the ID of its example."""

    factor: float
    result: str
    example: str


def examples(cell: CellName, dtype: Dtype) -> Iterator[Example]:
    """The small and the large networks of a cell in a dtype."""
    small = itertools.product(SMALL, (1, 3), (False, True), (0, 1))
    large = itertools.product(LARGE, (1,), (False,), (0,))
    for (T, B, I, H), num_layers, bidirectional, seed in (*small, *large):
        config = RnnConfig(
            input_size=I, hidden_size=H, num_layers=num_layers, cell=cell, bidirectional=bidirectional, dtype=dtype
        )
        yield Example(config, T, B, seed)


def worst(implementation: type[Rnn[Any]], example: Example, derived: Derived) -> Needed:
    """The result that needs the largest factor. Raises Unsupported where the implementation has none."""
    rnn = build(implementation, example, "cpu")
    data = example.data()
    try:
        results = train(rnn, data)
    except Unsupported:
        results = infer(rnn, data.x, data.state)
    return max(
        Needed(
            derived.factor_needed(name, relative(float(abs(array - derived.values[name]).max()), derived.values[name])),
            name,
            example.id,
        )
        for name, array in results.items()
    )


def measure(dtype: Dtype, cell: CellName, implementations: Mapping[str, type[Rnn[Any]]]) -> dict[str, Needed]:
    """The worst result of each implementation that has the cell and the dtype, by name."""
    found: dict[str, Needed] = {}
    for example in examples(cell, dtype):
        derived = derive(example.config, example.weights(), *example.data())
        for name, implementation in implementations.items():
            if cell in implementation.cells:
                with contextlib.suppress(Unsupported, Unavailable):
                    needed = worst(implementation, example, derived)
                    found[name] = max(found.get(name, needed), needed)
    return found


def main(names: Sequence[str]) -> None:
    """Print a line for each dtype and cell: the worst result, and the factor that each implementation needs."""
    chosen = names or [name for name in default_names() if listing(name).unavailable.get("cpu", "") is None]
    implementations = {name: load(name) for name in chosen}
    for dtype, cell in itertools.product(DTYPES, CELL_NAMES):
        found = measure(dtype, cell, implementations)
        if found:
            worst_of_all = max(found.values())
            factors = ", ".join(f"{name} {needed.factor:.2f}" for name, needed in found.items())
            print(f"{dtype} {cell}: {worst_of_all.result} of {worst_of_all.example}; {factors}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
