"""The data that a case computes on: the same for every implementation, from the workload and a seed."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from benchmarks.measuring.conditions.floating_point import keeping_denormals
from benchmarks.workload import Workload
from rnnimpl.dtypes import round_to
from rnnimpl.interface import NumpyArray, Weights

SEED = 20_240
"""The seed where knowing the data is no advantage; a sweep draws one that implementations cannot know."""
SMALLEST = 1e-44
"""The last values of a decaying signal: a few times the smallest number of float32."""
DENORMAL_FROM = 1e-38
"""The largest denormal number of float32, about; a decaying signal is below it in the second half of its steps."""
FRESH_SCALE = 4.0
"""Standard deviation of a timed call's new feature; the others have 1. So every state differs between calls by far more
than rounding, in bfloat16 and at H 1024 too."""


@dataclasses.dataclass(frozen=True, eq=False)
class Inputs:
    """Weights, x (T, B, I) and, for training, the cotangents dy (T, B, D*H) and of each state (L*D, B, H).

    The state before the first step is zero.
    """

    weights: Weights
    x: NumpyArray
    dy: NumpyArray | None
    dstate_n: tuple[NumpyArray, ...] | None
    lengths: tuple[int, ...] | None = None
    """The steps of each sequence; None where all have T."""

    @property
    def dh_n(self) -> tuple[NumpyArray, ...] | None:
        """`dstate_n` under the name that `benchmarks/suite` uses: its files measure old revisions too."""
        return self.dstate_n

    def prefix(self, steps: int) -> Inputs:
        """The data of the first `steps` time steps."""
        lengths = None if self.lengths is None else tuple(min(length, steps) for length in self.lengths)
        dy = None if self.dy is None else self.dy[:steps]
        return dataclasses.replace(self, x=self.x[:steps], dy=dy, lengths=lengths)


def make_inputs(workload: Workload, seed: int = SEED) -> Inputs:
    """Weights as `torch.nn` draws them; x and the cotangents from the standard normal distribution."""
    config = workload.config
    generator = np.random.default_rng(seed)
    T, B, D, H = workload.T, workload.B, config.num_directions, workload.H

    def normal(*shape: int) -> NumpyArray:
        return round_to(generator.standard_normal(shape, dtype=np.float32), config.dtype)

    x = normal(T, B, workload.I)
    scale = envelope(workload)
    x = x if scale is None else scaled(x, scale)
    training = workload.mode == "training"
    return Inputs(
        weights=Weights.init(config, seed),
        x=x,
        dy=normal(T, B, D * H) if training else None,
        dstate_n=tuple(normal(*shape) for shape in config.state_shapes(B)) if training else None,
        lengths=workload.sequence_lengths,
    )


def fresh_feature(workload: Workload, seed: int) -> NumpyArray:
    """New values of one feature of x at all steps of all sequences, (T, B), for a checked call."""
    drawn = np.random.default_rng(seed).standard_normal((workload.T, workload.B), dtype=np.float32)
    values = round_to(FRESH_SCALE * drawn, workload.dtype)
    scale = envelope(workload)
    return values if scale is None else scaled(values, scale[:, :, 0])


def envelope(workload: Workload) -> NumpyArray | None:
    """The factors (T, 1, 1) of a decaying signal, in float32; None of a normal one.

    They fall from 1 to `DENORMAL_FROM` over half of the steps, and from there to `SMALLEST`: without biases the states
    follow, as a filter's do when its signal has ended.
    """
    if workload.signal == "normal":
        return None
    exponents = np.interp(
        np.linspace(0, 1, workload.T), (0, 0.5, 1), (0, math.log10(DENORMAL_FROM), math.log10(SMALLEST))
    )
    with keeping_denormals():
        factors: NumpyArray = np.power(10.0, exponents).astype(np.float32)
    return factors[:, None, None]


def scaled(values: NumpyArray, scale: NumpyArray) -> NumpyArray:
    """float32 values times factors of `envelope`, denormal ones included."""
    with keeping_denormals():
        return values * scale
