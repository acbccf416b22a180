"""Implementations with one fault each in copies of an instance."""

from __future__ import annotations

import threading

import numpy as np

from rnnimpl import RnnConfig, Weights
from rnnimpl.interface import NumpyArray
from tests.broken.base import (
    NumpyState,
    Sound,
    caught_by,
)


@caught_by("check_copies")
class FreesWhatItsCopyHas(Sound):
    """Spoils its weights when it is freed, as if they were native memory whose address a copy holds."""

    def __del__(self) -> None:
        for layer in getattr(self, "layers", {}).values():
            layer.w_hh_transposed[:] = np.nan


@caught_by("check_copies")
class PickledWithoutItsWeights(Sound):
    """Draws new weights when it is unpickled."""

    def __reduce__(self) -> tuple[type[Sound], tuple[RnnConfig, Weights]]:
        return type(self), (self.config, Weights.init(self.config, 99))


@caught_by("check_copies")
class CopyFailsInside(Sound):
    """Holds a lock, which cannot be copied, and raises no error of its own."""

    def __init__(self, config: RnnConfig, weights: Weights, device: str = "cpu") -> None:
        super().__init__(config, weights, device)
        self.lock = threading.Lock()


@caught_by("check_copies")
class CopyIsTheSame(Sound):
    """Returns itself as its copy."""

    def __copy__(self) -> CopyIsTheSame:
        return self


@caught_by("check_copies")
class CopyScalesTheOriginal(Sound):
    """Shares memory with its copies, so that a call of one changes the results of the other."""

    def __init__(self, config: RnnConfig, weights: Weights, device: str = "cpu") -> None:
        super().__init__(config, weights, device)
        self.last_caller = [id(self)]

    def forward(self, x: NumpyArray, state: NumpyState | None = None) -> tuple[NumpyArray, NumpyState]:
        y, state_n = super().forward(x, state)
        before, self.last_caller[0] = self.last_caller[0], id(self)
        return y * (before == id(self)), state_n
