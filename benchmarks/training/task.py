"""The learning task: predict the next value of superimposed sines in noise, and the read-out that predicts.

"Multiple superimposed oscillators" are a usual task for recurrent networks, with just these frequencies, in
Schmidhuber, Wierstra and Gomez 2005 ("Evolino", IJCAI) and in work on echo state networks since:

    s[t] = sin(0.2 t) + sin(0.311 t) + sin(0.42 t) + sin(0.51 t)

Deviations from theirs: every sequence draws its own phases, s is scaled to a variance of 1, noise is added to
every value, and the network predicts one step ahead of what it is given in place of running on by itself.

One value of s does not tell where its sines are, nor whether they rise or fall: what comes next can only be
known from several values, kept in the state. A tanh network learns it with plain gradient descent in seconds.

The network's outputs y (T, B, H) are read by a linear map shared by all implementations, in NumPy, with its
gradients by hand, so that the network is all that differs:

    prediction = y @ w.T + b             loss = mean (prediction - target)**2 over steps WASHOUT ... T-1
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from rnnimpl.dtypes import Dtype
from rnnimpl.interface import NumpyArray, RnnConfig, Weights

FREQUENCIES = (0.2, 0.311, 0.42, 0.51)
"""Radians a step."""
NOISE = 0.05
"""Standard deviation of the noise on every value; that of the sines is 1."""
T, B, H = 40, 32, 32
WASHOUT = 10
"""Steps that are not scored: the state, zero at first, must have seen some of the sequence."""
LEARNING_RATE = 0.05
"""A quarter of the rate from which on the descent amplifies rounding errors, though it still converges."""

LOSS_OF_THE_MEAN = 1 + NOISE**2
"""Expected loss of predicting 0: the variance of the values."""
LOSS_OF_THE_LAST_VALUE = 2 * (1 - float(np.mean(np.cos(FREQUENCIES)))) + 2 * NOISE**2
"""Expected loss of predicting that nothing changes: E (s[t+1] - s[t])**2, and the noise of both values."""
LOSS_OF_THE_NOISE = NOISE**2
"""What no predictor gets below, in expectation: the noise of the value to come."""
TARGET_LOSS = LOSS_OF_THE_LAST_VALUE / 4
"""A network has learned when its loss is below this: a quarter of repeating the last value, and less than a
twentieth of predicting the mean. The best linear function of the last value alone is hardly better than
repeating it (0.141 to 0.146), so that whatever gets here uses its memory."""


class Batch(NamedTuple):
    """Sequences to learn from: x (T, B, 1) and, at each step, the value that comes next, target (T, B, 1)."""

    x: NumpyArray
    target: NumpyArray


class Scored(NamedTuple):
    """What the read-out makes of y: the loss, and its gradients dy (T, B, H), dw (1, H), db (1,)."""

    loss: float
    dy: NumpyArray
    dw: NumpyArray
    db: NumpyArray


@dataclasses.dataclass(frozen=True, eq=False)
class ReadOut:
    """The linear map from states to predictions: w (1, H), b (1,)."""

    w: NumpyArray
    b: NumpyArray

    def score(self, y: NumpyArray, target: NumpyArray) -> Scored:
        """y (T, B, H), target (T, B, 1) -> the mean squared error after the washout, and its gradients."""
        states = y[WASHOUT:]
        residual = states @ self.w.T + self.b - target[WASHOUT:]  # (T - WASHOUT, B, 1)
        # Summed in float64 for every dtype: the loss is to show the errors of the network, not its own.
        loss = float(np.mean(np.square(residual, dtype=np.float64)))
        d_prediction = residual * (2 / residual.size)
        dy = np.zeros_like(y)
        dy[WASHOUT:] = d_prediction * self.w
        dw = d_prediction.reshape(1, -1) @ states.reshape(-1, y.shape[2])
        return Scored(loss, dy, dw, d_prediction.sum(axis=(0, 1)))

    def descended(self, scored: Scored) -> ReadOut:
        """The read-out after one step of gradient descent."""
        return ReadOut(self.w - LEARNING_RATE * scored.dw, self.b - LEARNING_RATE * scored.db)


def config(dtype: Dtype) -> RnnConfig:
    """The network that learns: one tanh layer with biases, one feature in, H hidden units."""
    return RnnConfig(input_size=1, hidden_size=H, dtype=dtype)


def start(dtype: Dtype, seed: int) -> tuple[Weights, ReadOut]:
    """The weights that training starts from, drawn as `nn.RNN` and `nn.Linear` draw theirs.

    They are drawn in float32, also for float64, so that both dtypes start at the same point.
    """
    bound = H**-0.5
    w = np.random.default_rng((seed, 1)).uniform(-bound, bound, (1, H)).astype(np.float32)
    weights = Weights.from_state_dict(config(dtype), Weights.init(config("float32"), seed).arrays)
    return weights, ReadOut(w.astype(dtype), np.zeros(1, dtype))


def batches(dtype: Dtype, seed: int) -> Iterator[Batch]:
    """New sequences without end, the same for every implementation and, as float32 holds them, for every dtype.

    None comes twice, so the loss on a batch before the step taken on it is a loss on data not seen before.
    """
    generator = np.random.default_rng((seed, 2))
    angles = np.outer(FREQUENCIES, np.arange(T + 1))  # (sines, T + 1)
    scale = (2 / len(FREQUENCIES)) ** 0.5
    while True:
        phases = generator.uniform(0, 2 * np.pi, (len(FREQUENCIES), B))
        values = scale * np.sin(angles[:, :, None] + phases[:, None, :]).sum(axis=0)  # (T + 1, B)
        values += NOISE * generator.standard_normal(values.shape)
        rounded = values.astype(np.float32).astype(dtype)[:, :, None]
        yield Batch(rounded[:-1], rounded[1:])
