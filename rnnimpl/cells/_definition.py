"""The form of a cell's definition, `Cell`, and the functions that cells share."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from rnnimpl.arithmetic import Arithmetic

NumpyArray: TypeAlias = npt.NDArray[Any]
States: TypeAlias = tuple[NumpyArray, ...]
"""The arrays that a step hands to the next, in the order of `Cell.states`: each (B, H)."""


class Stepped(NamedTuple):
    """The result of a step: the states after it, and the values that `step_back` needs."""

    states: States
    saved: tuple[NumpyArray, ...]


class SteppedBack(NamedTuple):
    """The gradients of one step."""

    of_input: NumpyArray
    """The gradient of the sum of the input (B, G*H)."""
    of_state: NumpyArray
    """The gradient of the sum of the state (B, G*H)."""
    states: States
    """The gradients of the states before the step, without their part through the sum of the state."""


@dataclasses.dataclass(frozen=True)
class Cell:
    """A cell: its gates, its states, and the reference's step.

    A step takes two sums (B, G*H), with a block of H columns for each gate: that of the input, x[t] @ w_ih.T + b_ih,
    and that of the state, h[t-1] @ w_hh.T + b_hh.
    """

    name: str
    summary: str
    gates: tuple[str, ...]
    """The names of the G blocks of w_ih, w_hh, b_ih and b_hh, in their order."""
    states: tuple[str, ...]
    """The names of the arrays that a step hands to the next; the first is the output."""
    step: Callable[[Arithmetic, NumpyArray, NumpyArray, States], Stepped]
    """step(arithmetic, of_input, of_state, states) -> the next states and what is saved; every result is rounded."""
    step_back: Callable[[Arithmetic, States, States, Stepped], SteppedBack]
    """step_back(arithmetic, dstates, states, stepped) -> the gradients of the step.

    `dstates` are the gradients of the states after the step, `states` the states before it, `stepped` its result.
    """
    elementwise: tuple[int, int]
    """Operations for a unit and step outside of products and additions of biases, forward and backward."""
    separate: tuple[str, ...] = ()
    """The gates whose two sums are not simply added, so that b_ih and b_hh have different gradients."""
    bound: float | None = None
    """The bound of the output's absolute value, from a state of zeros; None where it has no bound."""
    roundings_beyond_bound: int = 0
    """The number of roundings in a step by which a right output may exceed the bound."""
    kinked: bool = False
    """Whether the activation's slope jumps, as relu's at 0; `saved[0]` of a step is then a mask of the active units."""

    @property
    def num_gates(self) -> int:
        """G: the number of gates."""
        return len(self.gates)

    def blocks(self, sums: NumpyArray) -> list[NumpyArray]:
        """Sums (..., G*H) as a list of G arrays (..., H)."""
        return np.split(sums, self.num_gates, axis=-1)


def sigmoid(arithmetic: Arithmetic, a: NumpyArray) -> NumpyArray:
    """1 / (1 + exp(-a)), rounded once, by exponentials that cannot overflow."""
    small = np.exp(-np.abs(a))
    return arithmetic.round(np.where(a >= 0, 1 / (1 + small), small / (1 + small)).astype(a.dtype))


def elementwise_product(arithmetic: Arithmetic, *factors: NumpyArray) -> NumpyArray:
    """The product of the factors from left to right, each rounded."""
    found = factors[0]
    for factor in factors[1:]:
        found = arithmetic.round(found * factor)
    return found
