"""A task for gated cells: the adding problem of Hochreiter and Schmidhuber 1997 ("Long Short-Term Memory", 5.4).

Each step has a value, drawn evenly from -1 to 1, and a mark, which is 1 at two steps and else 0. At the last step the
network predicts the sum of the two marked values. So it must keep one value over the steps between, add the other, and
ignore the unmarked ones, for which it needs a gate.

Deviations from theirs: sequences have eight steps in place of a hundred and more, so that plain gradient descent learns
it in seconds; the first mark is in the first half and the second in the second; the first and last step have no mark of
their own; the sum is not scaled.
"""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from benchmarks.training.task import Batch, Task
from rnnimpl.interface import CellName

T, B = 8, 64

LOSS_OF_THE_MEAN = 2 / 3
"""Expected loss of predicting 0: the variance of the sum of two values, each of a variance of 1/3."""
LOSS_OF_ONE_VALUE = 1 / 3
"""Expected loss of whatever keeps one of the two values and knows nothing of the other."""
TARGET_LOSS = LOSS_OF_ONE_VALUE / 2
"""Half of what one value leaves: whatever gets here uses both."""


def draw(generator: np.random.Generator) -> Batch:
    """x (T, B, 2): value and mark. The target (T, B, 1) is the sum at the last step, and 0 at the others."""
    values = generator.uniform(-1, 1, (T, B))
    marks = np.zeros((T, B))
    for beginning, end in ((0, T // 2), (T // 2, T)):
        marks[generator.integers(beginning, end, B), np.arange(B)] = 1
    target = np.zeros((T, B, 1))
    target[-1, :, 0] = (values * marks).sum(axis=0)
    return Batch(np.stack([values, marks], axis=-1), target)


def task(cell: CellName, learning_rate: float) -> Task:
    """The task with a network of 16 units."""
    return Task(
        cell=cell,
        summary="The sum of the two marked values in a sequence",
        I=2,
        T=T,
        B=B,
        H=16,
        scored_from=T - 1,
        draw=draw,
        learning_rate=learning_rate,
        steps=600,
        steps_to_learn=500,
        target_loss=TARGET_LOSS,
        target_meaning="half of what remains when one of the two values is known",
        known_losses=MappingProxyType(
            {"predicting the mean": LOSS_OF_THE_MEAN, "knowing one of the two values": LOSS_OF_ONE_VALUE}
        ),
    )
