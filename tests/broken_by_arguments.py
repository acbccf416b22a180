"""Implementations that take arguments which they should refuse, or make copies that are none: one fault each."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from rnnimpl import Grads, RnnConfig, Weights
from rnnimpl.interface import NumpyArray
from tests.broken_implementations import NumpyState, Pullback, Sound, caught_by, only


class _Dtypes(Sound):
    """Sound, but for the dtypes of the arguments named in `unchecked`."""

    unchecked: frozenset[str] = frozenset()

    def _check_dtype_of(self, name: str, array: Any, expected: Any) -> None:
        if name not in self.unchecked:
            super()._check_dtype_of(name, array, expected)


@caught_by("check_wrong_dtype_in_forward")
class ComputesWhereXIs(_Dtypes):
    """Computes in the dtype of x, whatever the config says: whole numbers for integers."""

    unchecked = frozenset({"x"})


@caught_by("check_wrong_dtype_in_forward")
class ConvertsTheState(_Dtypes):
    """Converts the state in silence."""

    unchecked = frozenset({"h0"})


@caught_by("check_wrong_dtype_in_forward")
class SaysNoDtype(Sound):
    """Refuses another dtype and does not say which it has."""

    def _check_dtype_of(self, name: str, array: Any, expected: Any) -> None:
        try:
            super()._check_dtype_of(name, array, expected)
        except TypeError as error:
            raise TypeError(f"expected {expected}") from error


@caught_by("check_wrong_dtype_in_vjp")
class DtypesNotCheckedInTraining(_Dtypes):
    """Looks at dtypes in `forward` alone."""

    unchecked = frozenset({"x", "h0"})

    def forward(self, x: NumpyArray, state: NumpyState | None = None) -> tuple[NumpyArray, NumpyState]:
        Sound._check_dtype_of(self, "x", x, self.config.carrier)
        for array in state or ():
            Sound._check_dtype_of(self, "h0", array, self.config.carrier)
        return super().forward(x, state)


@caught_by("check_wrong_dtype_in_pullback")
class ConvertsTheCotangent(_Dtypes):
    """Takes a dy of any dtype, as PyTorch's autograd does."""

    unchecked = frozenset({"dy"})


@caught_by("check_wrong_shapes_in_pullback")
class BroadcastsTheCotangent(Sound):
    """Takes one step's, or one sequence's, cotangent for all."""

    def vjp(self, x: NumpyArray, state: NumpyState | None = None) -> tuple[NumpyArray, NumpyState, Pullback]:
        y, state_n, pullback = super().vjp(x, state)

        def broadcasting(dy: NumpyArray, dstate_n: NumpyState) -> Grads[NumpyArray]:
            widened = (np.broadcast_to(one, other.shape) for one, other in zip(dstate_n, state_n, strict=True))
            return pullback(np.broadcast_to(dy, y.shape), tuple(widened))

        return y, state_n, broadcasting


@caught_by("check_copies")
class FreesWhatItsCopyHas(Sound):
    """Spoils its weights when it goes, as who frees native memory of which a copy has the address, too."""

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

    def forward(self, x: NumpyArray, state: NumpyState | None = None) -> tuple[NumpyArray, NumpyState]:
        y, state_n = super().forward(x, state)
        before, self.last_caller[0] = self.last_caller[0], id(self)
        return y * (before == id(self)), state_n


@caught_by("check_wrong_state")
class BareStateTaken(Sound):
    """Takes an array where a tuple of one is expected, as programs for the plain RNN alone do."""

    def forward(self, x: NumpyArray, state: Any = None) -> tuple[NumpyArray, NumpyState]:
        return super().forward(x, (state,) if isinstance(state, np.ndarray) else state)


@caught_by("check_wrong_state_in_training")
class FurtherStatesIgnored(Sound):
    """Takes of dstate_n as many arrays as it needs."""

    def vjp(self, x: NumpyArray, state: NumpyState | None = None) -> tuple[NumpyArray, NumpyState, Pullback]:
        y, state_n, pullback = super().vjp(x, state)
        return y, state_n, lambda dy, dstate_n: pullback(dy, dstate_n[: len(state_n)])


@caught_by("check_other_cells")
@only("tanh")
class ComputesWhatItDoesNotName(Sound):
    """Names one cell and computes all."""

    def __init__(self, config: RnnConfig, weights: Weights, device: str = "cpu") -> None:
        self.cells = Sound.cells  # type: ignore[misc]  # that is the fault
        super().__init__(config, weights, device)
