"""A task for plain cells: predict the next value of superimposed sines in noise.

"Multiple superimposed oscillators" are a usual task for recurrent networks, with these frequencies, in Schmidhuber,
Wierstra and Gomez 2005 ("Evolino", IJCAI) and in work on echo state networks since:

    s[t] = sin(0.2 t) + sin(0.311 t) + sin(0.42 t) + sin(0.51 t)

Deviations from theirs: every sequence draws its own phases, s is scaled to a variance of 1, noise is added to every
value, and the network predicts one step ahead of its input in place of running freely.

One value of s does not determine the sines, nor whether they rise or fall. The next value follows only from several
values, kept in the state. A plain network learns it with plain gradient descent in seconds.
"""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from benchmarks.training.task import Batch, Task
from rnnimpl.interface import CellName

FREQUENCIES = (0.2, 0.311, 0.42, 0.51)
"""Radians a step."""
NOISE = 0.05
"""Standard deviation of the noise on every value; that of the sines is 1."""
T, B = 40, 32

LOSS_OF_THE_MEAN = 1 + NOISE**2
"""Expected loss of predicting 0: the variance of the values."""
LOSS_OF_THE_LAST_VALUE = 2 * (1 - float(np.mean(np.cos(FREQUENCIES)))) + 2 * NOISE**2
"""Expected loss of predicting that nothing changes: E (s[t+1] - s[t])**2, and the noise of both values."""
LOSS_OF_THE_NOISE = NOISE**2
"""The least expected loss of any predictor: the noise of the next value."""
TARGET_LOSS = LOSS_OF_THE_LAST_VALUE / 4
"""Less than a twentieth of predicting the mean. The best linear function of the last value alone is hardly better than
repeating it (0.141 to 0.146), so a lower loss needs the memory of the network."""


def draw(generator: np.random.Generator) -> Batch:
    """x (T, B, 1) and the value after each, target (T, B, 1)."""
    angles = np.outer(FREQUENCIES, np.arange(T + 1))  # (sines, T + 1)
    phases = generator.uniform(0, 2 * np.pi, (len(FREQUENCIES), B))
    scale = (2 / len(FREQUENCIES)) ** 0.5
    values = scale * np.sin(angles[:, :, None] + phases[:, None, :]).sum(axis=0)  # (T + 1, B)
    values += NOISE * generator.standard_normal(values.shape)
    return Batch(values[:-1, :, None], values[1:, :, None])


def task(cell: CellName, learning_rate: float) -> Task:
    """The task with a network of 32 units."""
    return Task(
        cell=cell,
        summary="The next value of superimposed sines in noise",
        I=1,
        T=T,
        B=B,
        H=32,
        # The state, zero at first, must have seen some of the sequence.
        scored_from=10,
        draw=draw,
        learning_rate=learning_rate,
        steps=300,
        steps_to_learn=200,
        target_loss=TARGET_LOSS,
        target_meaning="a quarter of what repeating the last value costs",
        known_losses=MappingProxyType(
            {
                "predicting the mean": LOSS_OF_THE_MEAN,
                "repeating the last value": LOSS_OF_THE_LAST_VALUE,
                "nothing but the noise": LOSS_OF_THE_NOISE,
            }
        ),
    )
