"""Implementations that take arguments which they should refuse, or make copies that are none: one fault each."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from rnnimpl import Grads, RnnConfig, Weights
from rnnimpl.interface import NumpyArray
from tests.broken_implementations import Pullback, Sound, caught_by


class _Dtypes(Sound):
    """Sound, but for the dtypes of the arguments named in `unchecked`."""

    unchecked: frozenset[str] = frozenset()

    def check_dtypes(self, expected: Any, **arrays: Any) -> None:
        super().check_dtypes(expected, **{name: a for name, a in arrays.items() if name not in self.unchecked})


@caught_by("check_wrong_dtype_in_forward")
class ComputesWhereXIs(_Dtypes):
    """Computes in the dtype of x, whatever the config says: whole numbers for integers."""

    unchecked = frozenset({"x"})


@caught_by("check_wrong_dtype_in_forward")
class ConvertsTheState(_Dtypes):
    """Converts h0 in silence."""

    unchecked = frozenset({"h0"})


@caught_by("check_wrong_dtype_in_forward")
class SaysNoDtype(Sound):
    """Refuses another dtype and does not say which it has."""

    def check_dtypes(self, expected: Any, **arrays: Any) -> None:
        try:
            super().check_dtypes(expected, **arrays)
        except TypeError as error:
            raise TypeError(f"expected {expected}") from error


@caught_by("check_wrong_dtype_in_vjp")
class DtypesNotCheckedInTraining(_Dtypes):
    """Looks at dtypes in `forward` alone."""

    unchecked = frozenset({"x", "h0"})

    def forward(self, x: NumpyArray, h0: NumpyArray | None = None) -> tuple[NumpyArray, NumpyArray]:
        Sound.check_dtypes(self, self.config.carrier, x=x, h0=h0)
        return super().forward(x, h0)


@caught_by("check_wrong_dtype_in_pullback")
class ConvertsTheCotangent(_Dtypes):
    """Takes a dy of any dtype, as PyTorch's autograd does."""

    unchecked = frozenset({"dy"})


@caught_by("check_wrong_shapes_in_pullback")
class BroadcastsTheCotangent(Sound):
    """Takes one step's, or one sequence's, cotangent for all."""

    def vjp(self, x: NumpyArray, h0: NumpyArray | None = None) -> tuple[NumpyArray, NumpyArray, Pullback]:
        y, h_n, pullback = super().vjp(x, h0)

        def broadcasting(dy: NumpyArray, dh_n: NumpyArray) -> Grads[NumpyArray]:
            return pullback(np.broadcast_to(dy, y.shape), np.broadcast_to(dh_n, h_n.shape))

        return y, h_n, broadcasting


@caught_by("check_copies")
class FreesWhatItsCopyHas(Sound):
    """Spoils its weights when it goes, as who frees native memory of which a copy has the address, too."""

    def __del__(self) -> None:
        for cell in getattr(self, "cells", {}).values():
            cell.w_hh[:] = np.nan


@caught_by("check_copies")
class PickledWithoutItsWeights(Sound):
    """Draws new weights when it is unpickled."""

    def __reduce__(self) -> tuple[type[Sound], tuple[RnnConfig, Weights]]:
        return type(self), (self.config, Weights.init(self.config, 99))


@caught_by("check_copies")
class CopyFailsInside(Sound):
    """Holds something that cannot be copied, and leaves it to that to say so."""

    def __init__(self, config: RnnConfig, weights: Weights, device: str = "cpu") -> None:
        super().__init__(config, weights, device)
        self.lock = threading.Lock()


@caught_by("check_copies")
class CopyIsTheSame(Sound):
    """Gives itself for a copy."""

    def __copy__(self) -> CopyIsTheSame:
        return self


@caught_by("check_copies")
class CopyScalesTheOriginal(Sound):
    """Works in memory that its copies share: what one was called with last changes the results of the other."""

    def __init__(self, config: RnnConfig, weights: Weights, device: str = "cpu") -> None:
        super().__init__(config, weights, device)
        self.last_caller = [id(self)]

    def forward(self, x: NumpyArray, h0: NumpyArray | None = None) -> tuple[NumpyArray, NumpyArray]:
        y, h_n = super().forward(x, h0)
        before, self.last_caller[0] = self.last_caller[0], id(self)
        return y * (before == id(self)), h_n
