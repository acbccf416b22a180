"""The form of a cell's definition."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from rnnimpl.arithmetic import Arithmetic

NumpyArray: TypeAlias = npt.NDArray[Any]
States: TypeAlias = tuple[NumpyArray, ...]
"""What a step hands to the next, in the order of `Cell.states`: each (B, H)."""


class Stepped(NamedTuple):
    """What a step gives: the states after it, and what the step back needs to know of it."""

    states: States
    saved: tuple[NumpyArray, ...]


class SteppedBack(NamedTuple):
    """Gradients of one step: of both sums (B, G*H), and of the states before, but for what goes through the sums."""

    of_input: NumpyArray
    of_state: NumpyArray
    states: States


@dataclasses.dataclass(frozen=True)
class Cell:
    """What there is to know of a cell: its gates, its states, and the reference's step.

    A step takes two sums of G*H units, one block of H a gate: of the input, x[t] @ w_ih.T + b_ih, and of the state,
    h[t-1] @ w_hh.T + b_hh.
    """

    name: str
    summary: str
    gates: tuple[str, ...]
    """The blocks of w_ih, w_hh, b_ih and b_hh, in their order: G of them."""
    states: tuple[str, ...]
    """What a step hands to the next. The first is the output."""
    step: Callable[[Arithmetic, NumpyArray, NumpyArray, States], Stepped]
    """step(arithmetic, of_input, of_state, states) -> states and what is saved; every result is rounded."""
    step_back: Callable[[Arithmetic, States, States, Stepped], SteppedBack]
    """step_back(arithmetic, dstates, states, stepped): gradients from those of the states after the step, the states
    before it and what it gave."""
    elementwise: tuple[int, int]
    """Operations of a unit and step outside of products, forward and backward, additions of biases left out."""
    separate: tuple[str, ...] = ()
    """Gates whose two sums are not simply added: their biases have gradients of their own."""
    bound: float | None = None
    """What the output's size stays below, given states of zero; None where nothing bounds it."""
    kinked: bool = False
    """Whether the slope jumps: `saved[0]` then says which units are active."""

    @property
    def num_gates(self) -> int:
        """G."""
        return len(self.gates)

    def blocks(self, sums: NumpyArray) -> list[NumpyArray]:
        """Sums (..., G*H) as one array (..., H) a gate."""
        return np.split(sums, self.num_gates, axis=-1)


def sigmoid(arithmetic: Arithmetic, a: NumpyArray) -> NumpyArray:
    """1 / (1 + exp(-a)), rounded once: no exponential overflows."""
    small = np.exp(-np.abs(a))
    return arithmetic.round(np.where(a >= 0, 1 / (1 + small), small / (1 + small)).astype(a.dtype))


def elementwise_product(arithmetic: Arithmetic, *factors: NumpyArray) -> NumpyArray:
    """The product of the factors from left to right, each rounded."""
    found = factors[0]
    for factor in factors[1:]:
        found = arithmetic.round(found * factor)
    return found
