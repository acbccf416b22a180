"""Weights go to engines gate by gate in the order that each wants."""

from __future__ import annotations

import numpy as np
import pytest

from rnnimpl.cells import CELLS
from rnnimpl.gates import TORCH_ORDER, reorder


def test_the_order_that_is_given_is_that_of_the_cells() -> None:
    """Implementations do not read the cells' definitions, so it is written twice."""
    assert {name: tuple(order) for name, order in TORCH_ORDER.items()} == {
        name: cell.gates for name, cell in CELLS.items()
    }


@pytest.mark.parametrize("order", ["iofg", "figo", "ifgo"])
def test_blocks_of_rows_are_reordered(order: str) -> None:
    """Of a matrix as of a bias; rows within a block stay as they are."""
    H = 3
    bias = np.array([f"{gate}{row}" for gate in "ifgo" for row in range(H)])
    wanted = [f"{gate}{row}" for gate in order for row in range(H)]
    assert reorder(bias, "lstm", order).tolist() == wanted
    assert reorder(np.stack([bias, bias], axis=1), "lstm", order)[:, 1].tolist() == wanted
