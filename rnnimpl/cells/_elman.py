"""The recurrent layer of Elman (1990, "Finding structure in time"), for the cells tanh and relu.

    a[t] = (x[t] @ w_ih.T + b_ih) + (h[t-1] @ w_hh.T + b_hh)         one gate of H units
    h[t] = f(a[t])                                                   the output of step t

Backward, with "dz" for the gradient of the loss with respect to z:

    da[t] = dh[t] * f'(a[t])
"""

from __future__ import annotations

import numpy as np

from rnnimpl.arithmetic import Arithmetic
from rnnimpl.cells._definition import NumpyArray, States, Stepped, SteppedBack

GATES = ("a",)
STATES = ("h",)


def step_tanh(arithmetic: Arithmetic, of_input: NumpyArray, of_state: NumpyArray, _: States) -> Stepped:
    """A step with f = tanh: of_input and of_state (B, H) -> h (B, H); nothing is saved."""
    return Stepped((arithmetic.round(np.tanh(arithmetic.round(of_input + of_state))),), ())


def step_back_tanh(arithmetic: Arithmetic, dstates: States, _: States, stepped: Stepped) -> SteppedBack:
    """The gradients of a step with f = tanh, whose slope is 1 - h**2."""
    (h,) = stepped.states
    return _step_back(arithmetic, dstates, arithmetic.round(1 - arithmetic.round(h * h)))


def step_relu(arithmetic: Arithmetic, of_input: NumpyArray, of_state: NumpyArray, _: States) -> Stepped:
    """A step with f(a) = max(a, 0): of_input and of_state (B, H) -> h (B, H); saved are a > 0 and a."""
    a = arithmetic.round(of_input + of_state)
    return Stepped((np.maximum(a, 0),), (a > 0, a))


def step_back_relu(arithmetic: Arithmetic, dstates: States, _: States, stepped: Stepped) -> SteppedBack:
    """The gradients of a step with f(a) = max(a, 0), whose slope is 1 where a > 0, else 0."""
    active = stepped.saved[0]
    return _step_back(arithmetic, dstates, active.astype(arithmetic.carrier))


def _step_back(arithmetic: Arithmetic, dstates: States, slope: NumpyArray) -> SteppedBack:
    (dh,) = dstates
    da = arithmetic.round(dh * slope)
    return SteppedBack(da, da, (np.zeros_like(dh),))
