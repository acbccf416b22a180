"""Networks and data of the sizes at which kernels switch algorithms, where one size may be right and the next wrong.

Kernels work in vectors, tiles and blocks of 16, 64, 100 or 128, and have special paths for one step, one sequence, one
feature and one unit. `PLAIN` is a covering set, because all sizes with all others would be 28,561 networks: every axis
has each of `EDGES` and a `LARGE` size, any two axes have all pairs of the `KINDS` of sizes, and with each kind of H, I
is less than H, equal and more. `GATED` has fewer, for each cell with several gates, whose weights have G*H rows. `ROWS`
are products of T*B rows on either side of 65,536, where an index of 16 bits ends.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from rnnimpl.cells import CELLS
from rnnimpl.conformance.examples import Example
from rnnimpl.interface import CELL_NAMES, CellName, RnnConfig

EDGES = (1, 15, 16, 17, 63, 64, 65, 99, 100, 101, 127, 128, 129)
"""One, the sizes of blocks, and their neighbours."""
LARGE = 256
"""A size that fills the largest blocks of rows and columns."""
KINDS: Mapping[str, Callable[[int], bool]] = MappingProxyType(
    {
        "one": lambda size: size == 1,
        "whole blocks of 16": lambda size: size % 16 == 0,
        "one more than whole blocks": lambda size: size > 1 and size % 16 == 1,
        "one less than whole blocks": lambda size: size % 16 == 15,
        "above 64": lambda size: size > 64,
        "100 or more": lambda size: size >= 100,
    }
)

SEED = 5
"""A seed with which the only unit of the smallest networks depends on x, h and biases alike, and is not saturated."""


class Sizes(NamedTuple):
    """The lengths of the axes of one example."""

    T: int
    B: int
    I: int
    H: int


PLAIN = tuple(
    Sizes(*sizes)
    for sizes in (
        # One on every axis, on all but one, and on one alone.
        (1, 1, 1, 1),
        (129, 1, 1, 1),
        (1, 129, 1, 1),
        (1, 1, 129, 1),
        (1, 1, 1, 129),
        (65, 1, 65, 65),
        (65, 65, 1, 65),
        (65, 65, 65, 1),
        (1, 65, 65, 65),
        # Every axis in whole blocks, and in one more or one less.
        (16, 16, 16, 16),
        (15, 15, 15, 15),
        (17, 17, 17, 17),
        (64, 64, 64, 64),
        (63, 63, 63, 63),
        # The edges of larger blocks, each with others.
        (16, 128, 100, 64),
        (15, 127, 16, 128),
        (17, 100, 127, 99),
        (63, 99, 17, 100),
        (64, 101, 99, 101),
        (99, 17, 128, 128),
        (100, 16, 101, 127),
        (101, 15, 64, 129),
        (127, 2, 63, 16),
        (128, 3, 129, 63),
        (128, 128, 8, 16),
        (112, 113, 15, 17),
        # One sequence and one step, as in streaming.
        (100, 1, 64, 128),
        (17, 1, 128, 64),
        (1, 128, 128, 128),
        (1, 1, 256, 256),
        # One axis is large.
        (600, 2, 3, 5),
        (3, 300, 5, 20),
        (5, 3, 1030, 6),
        (4, 5, 260, 520),
        (3, 130, 260, 260),
        # The pairs of kinds that do not occur above.
        (127, 112, 127, 17),
        (1, 127, 113, 15),
        (112, 33, 15, 1),
        (65, 1, 128, 112),
        (15, 16, 1, 1),
        (48, 15, 1, 1),
        (1, 16, 17, 16),
        (16, 1, 15, 129),
        (1, 1, 48, 15),
        (17, 15, 1, 15),
        (15, 1, 128, 1),
        (1, 17, 95, 15),
        (17, 16, 1, 16),
        (15, 33, 1, 1),
    )
)
"""T, B, I, H of networks of one layer in one direction, tanh, with bias, in float32."""

OTHERS: tuple[tuple[Sizes, Mapping[str, Any]], ...] = (
    (Sizes(T=65, B=17, I=17, H=64), {"bidirectional": True}),
    (Sizes(T=15, B=128, I=65, H=33), {"bidirectional": True}),
    (Sizes(T=17, B=101, I=64, H=33), {"num_layers": 2}),
    (Sizes(T=66, B=3, I=15, H=128), {"num_layers": 2}),
    (Sizes(T=33, B=64, I=15, H=65), {"num_layers": 2, "bidirectional": True}),
    (Sizes(T=65, B=101, I=16, H=16), {"num_layers": 2, "bidirectional": True}),
    (Sizes(T=66, B=100, I=48, H=32), {"cell": "relu"}),
    (Sizes(T=16, B=16, I=129, H=129), {"cell": "relu"}),
    (Sizes(T=17, B=128, I=128, H=128), {"bias": False}),
    (Sizes(T=128, B=1, I=100, H=65), {"bias": False}),
    (Sizes(T=65, B=17, I=64, H=64), {"dtype": "float64"}),
    (Sizes(T=17, B=100, I=65, H=129), {"dtype": "float64", "bidirectional": True}),
    (Sizes(T=1, B=1, I=128, H=128), {"dtype": "float64"}),
    (Sizes(T=65, B=17, I=64, H=64), {"dtype": "float16"}),
    (Sizes(T=17, B=100, I=65, H=65), {"dtype": "float16", "bidirectional": True}),
    (Sizes(T=1, B=1, I=128, H=128), {"dtype": "float16"}),
    (Sizes(T=65, B=17, I=64, H=64), {"dtype": "bfloat16"}),
    (Sizes(T=17, B=100, I=65, H=65), {"dtype": "bfloat16", "bidirectional": True}),
    (Sizes(T=1, B=1, I=128, H=128), {"dtype": "bfloat16"}),
)
"""Other structures and dtypes, at sizes on either side of blocks."""


GATED = tuple(
    Sizes(*sizes)
    for sizes in (
        (1, 1, 1, 1),
        (17, 1, 64, 64),
        (1, 17, 65, 63),
        (65, 3, 1, 16),
        (129, 5, 3, 1),
        (16, 16, 16, 16),
        (15, 65, 17, 15),
        (33, 128, 15, 17),
        (16, 95, 63, 65),
        # On either side of the sizes at which libraries choose other kernels or distribute work differently.
        (5, 3, 33, 127),
        (6, 4, 128, 128),
        (3, 5, 16, 129),
        (4, 3, 300, 255),
        (3, 4, 64, 256),
        (3, 2, 129, 257),
        (2, 1, 256, 256),
    )
)
"""T, B, I, H of LSTM and GRU networks of one layer in one direction, with bias, in float32."""

GATED_OTHERS: tuple[tuple[Sizes, Mapping[str, Any]], ...] = (
    (Sizes(T=33, B=17, I=15, H=65), {"num_layers": 2, "bidirectional": True}),
    (Sizes(T=17, B=64, I=65, H=33), {"bias": False}),
    (Sizes(T=17, B=33, I=65, H=129), {"dtype": "float64", "bidirectional": True}),
    (Sizes(T=17, B=33, I=64, H=64), {"dtype": "float16"}),
    (Sizes(T=17, B=33, I=65, H=65), {"dtype": "bfloat16"}),
)
"""Other structures and dtypes of LSTM and GRU."""

GATED_CELLS: tuple[CellName, ...] = tuple(cell for cell in CELL_NAMES if CELLS[cell].num_gates > 1)

ROWS = (Sizes(T=255, B=257, I=3, H=5), Sizes(T=256, B=256, I=3, H=5), Sizes(T=257, B=256, I=5, H=3))
"""T*B is one less than 65,536, 65,536, and more."""


def every_size() -> tuple[Example, ...]:
    """The examples of `PLAIN` and `OTHERS`, and of `GATED` and `GATED_OTHERS` for each cell with gates."""
    gated = (
        *((sizes, {}) for sizes in GATED),
        *GATED_OTHERS,
    )
    return (
        *(sized(sizes) for sizes in PLAIN),
        *(sized(sizes, **fields) for sizes, fields in OTHERS),
        *(sized(sizes, cell=cell, **fields) for cell in GATED_CELLS for sizes, fields in gated),
    )


def many_rows() -> tuple[Example, ...]:
    """The examples of `ROWS`, for each cell."""
    return tuple(sized(sizes, cell=cell) for cell in CELL_NAMES for sizes in ROWS)


def sized(sizes: Sizes, **fields: Any) -> Example:
    """An example of these sizes: one layer in one direction, tanh, with bias, float32, unless `fields` differ."""
    # Weights are at most 1/sqrt(H), and a sum has I terms.
    scale = 0.5 * min(1.0, math.sqrt(sizes.H / sizes.I))
    config = RnnConfig(input_size=sizes.I, hidden_size=sizes.H, **fields)
    return Example(config, T=sizes.T, B=sizes.B, seed=SEED, scale=scale)
