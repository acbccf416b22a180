"""The form of a learning task, and the read-out that makes predictions of a network's outputs.

The network's outputs y (T, B, H) are read by a linear map shared by all implementations, in NumPy, with its gradients
by hand, so that only the network differs:

    prediction = y @ w.T + b             loss = mean (prediction - target)**2 over steps scored_from ... T-1
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from rnnimpl.dtypes import Dtype
from rnnimpl.interface import CellName, NumpyArray, RnnConfig, Weights


class Batch(NamedTuple):
    """Sequences to learn from: x (T, B, I) and the value to predict at each step, target (T, B, 1)."""

    x: NumpyArray
    target: NumpyArray


class Scored(NamedTuple):
    """The loss of the read-out of y, and its gradients dy (T, B, H), dw (1, H), db (1,)."""

    loss: float
    dy: NumpyArray
    dw: NumpyArray
    db: NumpyArray


@dataclasses.dataclass(frozen=True, eq=False)
class ReadOut:
    """The linear map from states to predictions: w (1, H), b (1,)."""

    w: NumpyArray
    b: NumpyArray

    def score(self, y: NumpyArray, target: NumpyArray, scored_from: int) -> Scored:
        """y (T, B, H), target (T, B, 1) -> the mean squared error from step `scored_from` on, and its gradients."""
        states = y[scored_from:]
        residual = states @ self.w.T + self.b - target[scored_from:]  # (T - scored_from, B, 1)
        # Summed in float64 for every dtype, so that the loss shows the errors of the network, not its own.
        loss = float(np.mean(np.square(residual, dtype=np.float64)))
        d_prediction = residual * (2 / residual.size)
        dy = np.zeros_like(y)
        dy[scored_from:] = d_prediction * self.w
        dw = d_prediction.reshape(1, -1) @ states.reshape(-1, y.shape[2])
        return Scored(loss, dy, dw, d_prediction.sum(axis=(0, 1)))

    def descended(self, scored: Scored, learning_rate: float) -> ReadOut:
        """The read-out after one step of gradient descent."""
        return ReadOut(self.w - learning_rate * scored.dw, self.b - learning_rate * scored.db)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """The task of a network of one cell: the sequences, the sizes, the descent, and the loss to reach."""

    cell: CellName
    summary: str
    """What is predicted, as a report's sentence begins."""
    I: int
    T: int
    B: int
    H: int
    scored_from: int
    """Earlier steps are not scored."""
    draw: Callable[[np.random.Generator], Batch]
    """draw(generator): a batch of the task's sizes in float64."""
    learning_rate: float
    """Well below the rate from which on the descent amplifies rounding errors in the steps that are compared."""
    steps: int
    """Steps of a training when nobody says how many."""
    steps_to_learn: int
    """A training of fewer steps is not asked to reach the target."""
    target_loss: float
    """A network has learned when its loss is below this."""
    target_meaning: str
    """The meaning of a loss of `target_loss`, as a clause."""
    known_losses: Mapping[str, float]
    """Expected losses of predictors to compare with, by what each does."""

    def config(self, dtype: Dtype) -> RnnConfig:
        """The network that learns: one layer with biases."""
        return RnnConfig(input_size=self.I, hidden_size=self.H, cell=self.cell, dtype=dtype)

    def start(self, dtype: Dtype, seed: int) -> tuple[Weights, ReadOut]:
        """The weights at the start, drawn as `nn.RNN`, `nn.LSTM`, `nn.GRU` and `nn.Linear` draw theirs.

        They are drawn in float32, also for float64, so that both dtypes start at the same point.
        """
        bound = self.H**-0.5
        w = np.random.default_rng((seed, 1)).uniform(-bound, bound, (1, self.H)).astype(np.float32)
        drawn = Weights.init(self.config("float32"), seed).arrays
        weights = Weights(self.config(dtype), {name: array.astype(dtype) for name, array in drawn.items()})
        return weights, ReadOut(w.astype(dtype), np.zeros(1, dtype))

    def batches(self, dtype: Dtype, seed: int) -> Iterator[Batch]:
        """Endless new sequences, the same for every implementation and, as float32 holds them, for every dtype.

        None is repeated, so the loss on a batch before the step taken on it is a loss on unseen data.
        """
        generator = np.random.default_rng((seed, 2))
        while True:
            yield Batch(*(array.astype(np.float32).astype(dtype) for array in self.draw(generator)))
