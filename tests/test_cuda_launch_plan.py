"""The launch plan of `fused_cuda` fits the GPU, covers the network, and is left out where large products are faster."""

from __future__ import annotations

import itertools
import math

import pytest

from rnnimpl.cuda.launch_plan import SHARED_BYTES, WEIGHTS_PER_THREAD, Chip, LaunchPlan, choose

CHIP = Chip(multiprocessors=132)
SMALL = Chip(multiprocessors=20)


def chosen(hidden: int, batch: int, *, directions: int = 1, itemsize: int = 4, chip: Chip = CHIP) -> LaunchPlan | None:
    return choose(hidden=hidden, batch=batch, directions=directions, itemsize=itemsize, chip=chip)


@pytest.mark.parametrize("chip", [CHIP, SMALL])
@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("itemsize", [2, 4])
def test_every_plan_covers_the_network_and_fits_the_chip(chip: Chip, directions: int, itemsize: int) -> None:
    """All units and sequences are in a block; at most as many blocks wait for others as there are multiprocessors."""
    for hidden, batch in itertools.product((1, 7, 64, 100, 255, 256, 513, 1024, 1760), (1, 3, 16, 33, 128, 1000)):
        plan = chosen(hidden, batch, directions=directions, itemsize=itemsize, chip=chip)
        if plan is None:
            continue
        assert plan.slices * plan.units >= hidden > (plan.slices - 1) * plan.units
        assert plan.row_blocks * plan.rows >= batch > (plan.row_blocks - 1) * plan.rows
        assert plan.lanes * plan.chunks * 4 >= hidden
        assert plan.weights_per_thread <= WEIGHTS_PER_THREAD
        assert plan.shared_bytes <= SHARED_BYTES
        assert directions % plan.directions == 0
        assert plan.slices == 1 or plan.blocks <= chip.multiprocessors


@pytest.mark.parametrize("hidden", [1, 7, 64, 128])
def test_small_networks_need_no_other_block(hidden: int) -> None:
    """One block has all units of a sequence, so that no step waits for another block."""
    plan = chosen(hidden, 16)
    assert plan is not None
    assert (plan.slices, plan.rows) == (1, 1)


def test_weights_that_no_block_holds_are_shared_out() -> None:
    plan = chosen(1024, 16)
    assert plan is not None
    assert plan.slices >= math.ceil(1024 * 1024 / (256 * WEIGHTS_PER_THREAD))


def test_more_weights_than_registers_go_step_by_step() -> None:
    """132 multiprocessors hold the weights of 2048 units and of no more."""
    assert chosen(2048, 1) is not None
    assert chosen(2049, 1) is None
    assert chosen(1024, 1, chip=SMALL) is None


def test_large_batches_go_step_by_step() -> None:
    """A library's product for a large batch is near the hardware's peak."""
    assert chosen(1024, 16) is not None
    assert chosen(1024, 2048) is None


def test_directions_run_side_by_side_where_both_fit() -> None:
    together, apart = chosen(512, 4, directions=2), chosen(2048, 1, directions=2)
    assert together is not None
    assert apart is not None
    assert (together.directions, apart.directions) == (2, 1)


def test_more_work_never_takes_fewer_cycles() -> None:
    """The cycles of the model grow with the hidden size and with the batch."""
    for hidden, batch in itertools.product((64, 256, 1024), (1, 16, 64)):
        here = chosen(hidden, batch)
        wider, larger = chosen(hidden * 2, batch), chosen(hidden, batch * 4)
        assert here is not None
        for more in (wider, larger):
            assert more is None or more.cycles(4) >= here.cycles(4)
