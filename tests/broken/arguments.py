"""Implementations that each accept one kind of argument that they should refuse."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnimpl import Grads
from rnnimpl.interface import NumpyArray
from tests.broken.base import (
    NumpyState,
    Pullback,
    Sound,
    caught_by,
)


class _AnyDtype(Sound):
    """Sound, but it accepts the arguments named in `accepted` in any dtype."""

    accepted: frozenset[str] = frozenset()

    def check_inputs(self, x: Any, state: Any, dtype: Any) -> None:
        if isinstance(state, tuple):
            state = tuple(self._pass_off(f"{name}0", array, dtype) for name, array in zip("hc", state, strict=False))
        super().check_inputs(self._pass_off("x", x, dtype), state, dtype)

    def check_cotangents(self, dy: Any, dstate_n: Any, y: Any, dtype: Any) -> None:
        super().check_cotangents(self._pass_off("dy", dy, dtype), dstate_n, y, dtype)

    def _pass_off(self, name: str, array: Any, dtype: Any) -> Any:
        """The array in the right dtype, for the check alone, where any dtype is accepted."""
        return array.astype(dtype) if name in self.accepted else array


@caught_by("check_wrong_dtype_in_forward")
class ComputesWhereXIs(_AnyDtype):
    """Computes with an x of any dtype, whatever the config says."""

    accepted = frozenset({"x"})


@caught_by("check_wrong_dtype_in_forward")
class ConvertsTheState(_AnyDtype):
    """Converts h0 of any dtype."""

    accepted = frozenset({"h0"})


@caught_by("check_wrong_dtype_in_forward")
class SaysNoDtype(Sound):
    """Refuses another dtype without naming it."""

    def check_inputs(self, x: Any, state: Any, dtype: Any) -> None:
        try:
            super().check_inputs(x, state, dtype)
        except TypeError as error:
            raise TypeError(f"expected {dtype}") from error


@caught_by("check_wrong_dtype_in_vjp")
class DtypesNotCheckedInTraining(_AnyDtype):
    """Checks dtypes in `forward` alone."""

    accepted = frozenset({"x", "h0"})

    def forward(self, x: NumpyArray, state: NumpyState | None = None) -> tuple[NumpyArray, NumpyState]:
        Sound.check_inputs(self, x, state, self.config.carrier)
        return super().forward(x, state)


@caught_by("check_wrong_dtype_in_pullback")
class ConvertsTheCotangent(_AnyDtype):
    """Takes a dy of any dtype, as PyTorch's autograd does."""

    accepted = frozenset({"dy"})


@caught_by("check_wrong_shapes_in_pullback")
class BroadcastsTheCotangent(Sound):
    """Broadcasts a cotangent of one step, or of one sequence, to all."""

    def vjp(self, x: NumpyArray, state: NumpyState | None = None) -> tuple[NumpyArray, NumpyState, Pullback]:
        y, state_n, pullback = super().vjp(x, state)

        def broadcasting(dy: NumpyArray, dstate_n: NumpyState) -> Grads[NumpyArray]:
            widened = (np.broadcast_to(one, other.shape) for one, other in zip(dstate_n, state_n, strict=True))
            return pullback(np.broadcast_to(dy, y.shape), tuple(widened))

        return y, state_n, broadcasting


@caught_by("check_wrong_state")
class BareStateAccepted(Sound):
    """Takes a bare array as a state, as programs for the plain RNN alone do."""

    def forward(self, x: NumpyArray, state: Any = None) -> tuple[NumpyArray, NumpyState]:
        return super().forward(x, (state,) if isinstance(state, np.ndarray) else state)


@caught_by("check_wrong_state_in_training")
class FurtherStatesIgnored(Sound):
    """Ignores arrays of dstate_n beyond those that it needs."""

    def vjp(self, x: NumpyArray, state: NumpyState | None = None) -> tuple[NumpyArray, NumpyState, Pullback]:
        y, state_n, pullback = super().vjp(x, state)
        return y, state_n, lambda dy, dstate_n: pullback(dy, dstate_n[: len(state_n)])
