"""The plan of a launch of the recurrence, its threads, blocks and shares of the work, chosen by a model of cycles.

The choice is a pure function of sizes and GPU. The model has to order plans rightly, not to predict their times. Its
constants are those of a Hopper GPU as published and as measured by others; none is fitted to a measurement of this
kernel.
"""

from __future__ import annotations

import dataclasses
import itertools
import math

WEIGHTS_PER_THREAD = 128
"""The most registers of a thread, out of 255, that hold weights."""

SHARED_BYTES = 48 * 1024
"""The shared memory of a block that every GPU grants by default."""

MOST_SUMS = 16
"""The most partial sums of a thread, units_per_thread * rows_at_once."""
READY_CYCLES = 1500
"""Cycles from the end of a state's computation until other multiprocessors have it: twice through the L2 cache."""
STEPWISE_CYCLES = 20_000
"""Cycles to launch the two kernels of a step from Python."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Chip:
    """The properties of a GPU on which a plan depends."""

    multiprocessors: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class LaunchPlan:
    """The threads and blocks of a launch and their shares of the work.

    The fields up to `slices` are constants of the compiled kernel.
    """

    hidden: int
    threads: int
    lanes: int
    """Threads that share the weights of a unit."""
    units_per_thread: int
    """Hidden units whose weights a thread has a part of."""
    rows_at_once: int
    """Sequences that a thread multiplies with its weights before it goes to the next ones."""
    slices: int
    """Blocks that share the hidden units of a sequence; with one, no block waits for another."""
    rows: int
    """Sequences of a block."""
    row_blocks: int
    """Blocks over the batch."""
    directions: int
    """Directions in one launch: 1, or 2 of a bidirectional layer."""

    @property
    def chunks(self) -> int:
        """Groups of four weights that a thread has of each of its units."""
        return math.ceil(self.hidden / (4 * self.lanes))

    @property
    def weights_per_thread(self) -> int:
        """Registers of a thread that hold weights."""
        return self.units_per_thread * self.chunks * 4

    @property
    def units(self) -> int:
        """Hidden units of a block."""
        return self.threads // self.lanes * self.units_per_thread

    @property
    def blocks(self) -> int:
        """Blocks of one launch."""
        return self.slices * self.row_blocks * self.directions

    @property
    def shared_bytes(self) -> int:
        """Bytes of shared memory of a block: states of its sequences or of `rows_at_once` of them, and partial sums."""
        kept = math.ceil(self.rows / self.rows_at_once) * self.rows_at_once if self.slices == 1 else self.rows_at_once
        parts = max(1, self.lanes // 32)
        return 4 * (kept * self.lanes * self.chunks * 4 + parts * self.rows_at_once * self.units)

    def describe(self) -> str:
        """The plan as text: `one launch, 8 slices of 64 units by 16 blocks of 1 rows, 128 threads, ...`."""
        return (
            f"one launch, {self.slices} slices of {self.units} units by {self.row_blocks} blocks of {self.rows} rows, "
            f"{self.threads} threads, {self.weights_per_thread} weights a thread in registers"
        )

    def cycles(self, itemsize: int) -> float:
        """The cycles of a step by the model, for numbers of `itemsize` bytes."""
        warps = self.threads // 32
        lanes = min(self.lanes, 32)
        sums = self.units_per_thread * self.rows_at_once
        multiply = max(self.rows_at_once * self.weights_per_thread * max(1, warps / 4), 16 * self.chunks)
        load = warps * self.rows_at_once * self.chunks * max(1, lanes / 8)
        gather = 25 * math.log2(lanes) + sums * warps / 2
        finish = 80 * math.ceil(self.units * self.rows_at_once / self.threads) + 2 * max(1, self.lanes // 32)
        synchronize = 2 * (20 + warps)
        exchange = 0.0
        if self.slices > 1:
            row_bytes = self.rows_at_once * self.hidden * itemsize
            exchange = row_bytes / 64 + self.blocks * row_bytes / 2500
        each = max(multiply, load) + gather + finish + synchronize + exchange
        return math.ceil(self.rows / self.rows_at_once) * each + (READY_CYCLES if self.slices > 1 else 0)


def choose(*, hidden: int, batch: int, directions: int, itemsize: int, chip: Chip) -> LaunchPlan | None:
    """The plan with the fewest cycles by the model, or None where a product and a kernel in each step take fewer.

    A plan whose blocks share sequences has at most as many blocks as the GPU has multiprocessors, because each of them
    must be resident while it waits.
    """
    best = min(
        candidates(hidden, batch, directions, chip),
        key=lambda plan: plan.cycles(itemsize) * (directions / plan.directions),
        default=None,
    )
    if best is None or best.cycles(itemsize) / best.directions > stepwise_cycles(hidden, batch, itemsize, chip):
        return None
    return best


def stepwise_cycles(hidden: int, batch: int, itemsize: int, chip: Chip) -> float:
    """The cycles of a step of one direction by the model, as a product and a pointwise kernel."""
    rate = chip.multiprocessors * (128 if itemsize == 4 else 1024) * 0.7
    return max(STEPWISE_CYCLES, batch * hidden**2 / rate + 3000)


def candidates(hidden: int, batch: int, directions: int, chip: Chip) -> list[LaunchPlan]:
    """Every plan whose weights fit into registers and whose blocks can be resident where they wait for each other."""
    found = []
    lanes_of = {threads: [2**n for n in range(2, 9) if 2**n <= threads] for threads in (64, 128, 256)}
    for threads, lanes in ((threads, lanes) for threads, choices in lanes_of.items() for lanes in choices):
        for units_per_thread, rows_at_once in itertools.product((1, 2, 4, 8, 16), (1, 2, 4)):
            if units_per_thread * rows_at_once > MOST_SUMS:
                continue
            units = threads // lanes * units_per_thread
            slices = math.ceil(hidden / units)
            if units_per_thread * math.ceil(hidden / (4 * lanes)) * 4 > WEIGHTS_PER_THREAD:
                continue
            for together in {directions, 1}:
                most = chip.multiprocessors // (slices * together)
                if slices > 1 and most == 0:
                    continue
                rows = math.ceil(batch / max(1, most))
                plan = LaunchPlan(
                    hidden=hidden,
                    threads=threads,
                    lanes=lanes,
                    units_per_thread=units_per_thread,
                    rows_at_once=rows_at_once,
                    slices=slices,
                    rows=rows,
                    row_blocks=math.ceil(batch / rows),
                    directions=together,
                )
                if rows_at_once < 2 * rows and plan.shared_bytes <= SHARED_BYTES:
                    found.append(plan)
    return found
