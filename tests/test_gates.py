"""Weights are reordered by gates as each engine needs them."""

from __future__ import annotations

import numpy as np
import pytest

from rnnimpl.cells import CELLS
from rnnimpl.gates import TORCH_ORDER, reorder


def test_the_orders_are_those_of_the_cells() -> None:
    """`gates.py` has the order of the cells' definitions, which implementations may not read."""
    for cell, order in TORCH_ORDER.items():
        assert tuple(order) == CELLS[cell].gates


@pytest.mark.parametrize("order", ["iofg", "figo", "ifgo"])
def test_blocks_of_rows_are_reordered(order: str) -> None:
    """Blocks of a matrix and of a bias are reordered; rows within a block keep their order."""
    H = 3
    bias = np.array([f"{gate}{row}" for gate in "ifgo" for row in range(H)])
    wanted = [f"{gate}{row}" for gate in order for row in range(H)]
    assert reorder(bias, "lstm", order).tolist() == wanted
    assert reorder(np.stack([bias, bias], axis=1), "lstm", order)[:, 1].tolist() == wanted
