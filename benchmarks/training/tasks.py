"""The task that each cell learns: one for plain cells and one for gated cells."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from benchmarks.quoting import quoted
from benchmarks.training import adding, oscillators
from benchmarks.training.task import Task

TASKS: Mapping[str, Task] = MappingProxyType(
    {
        task.cell: task
        for task in (
            oscillators.task("tanh", learning_rate=0.05),
            oscillators.task("relu", learning_rate=0.02),
            adding.task("lstm", learning_rate=0.3),
            adding.task("gru", learning_rate=0.2),
        )
    }
)
"""{cell: its task}."""


def find_task(cell: str) -> Task:
    """The cell's task. Raises ValueError for a cell that has none."""
    if cell not in TASKS:
        raise ValueError(f"cell is {quoted(cell)}; expected one that has a learning task: {', '.join(TASKS)}")
    return TASKS[cell]
