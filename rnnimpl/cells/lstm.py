"""LSTM as `torch.nn.LSTM` computes it.

Hochreiter and Schmidhuber (1997, "Long short-term memory"); the forget gate is that of Gers, Schmidhuber and Cummins
(2000, "Learning to forget").

    a = (x[t] @ w_ih.T + b_ih) + (h[t-1] @ w_hh.T + b_hh)      blocks of H: input i, forget f, candidate g, output o
    c[t] = sigmoid(f) * c[t-1] + sigmoid(i) * tanh(g)
    h[t] = sigmoid(o) * tanh(c[t])                             the output of step t

Backward, with i, f, g and o for the gates after sigmoid and tanh, and "dz" for the gradient of the loss with respect to
z:

    dc = dc[t] + dh[t] * o * (1 - tanh(c[t])**2)               c[t] touches h[t] and c[t+1]
    da = (dc * g * i * (1 - i),  dc * c[t-1] * f * (1 - f),  dc * i * (1 - g**2),  dh[t] * tanh(c[t]) * o * (1 - o))
    dc[t-1] = dc * f
"""

from __future__ import annotations

import functools

import numpy as np

from rnnimpl.arithmetic import Arithmetic
from rnnimpl.cells._definition import Cell, NumpyArray, States, Stepped, SteppedBack, elementwise_product, sigmoid


def step(arithmetic: Arithmetic, of_input: NumpyArray, of_state: NumpyArray, states: States) -> Stepped:
    """A step from the states (h, c); saved are i, f, g, o and tanh(c[t]), each (B, H)."""
    rounded = arithmetic.round
    _, c = states
    i, f, g, o = CELL.blocks(rounded(of_input + of_state))
    i, f, g, o = sigmoid(arithmetic, i), sigmoid(arithmetic, f), rounded(np.tanh(g)), sigmoid(arithmetic, o)
    c = rounded(rounded(f * c) + rounded(i * g))
    squashed = rounded(np.tanh(c))
    return Stepped((rounded(o * squashed), c), (i, f, g, o, squashed))


def step_back(arithmetic: Arithmetic, dstates: States, states: States, stepped: Stepped) -> SteppedBack:
    """The gradients of a step; that of c[t] comes first, because the gates i, f and g need it."""
    rounded = arithmetic.round

    def one_minus(value: NumpyArray) -> NumpyArray:
        return rounded(1 - value)

    product = functools.partial(elementwise_product, arithmetic)
    dh, dc = dstates
    _, c_before = states
    i, f, g, o, squashed = stepped.saved
    dc = rounded(dc + product(dh, o, one_minus(product(squashed, squashed))))
    da = np.concatenate(
        [
            product(dc, g, i, one_minus(i)),
            product(dc, c_before, f, one_minus(f)),
            product(dc, i, one_minus(product(g, g))),
            product(dh, squashed, o, one_minus(o)),
        ],
        axis=-1,
    )
    return SteppedBack(da, da, (np.zeros_like(dh), product(dc, f)))


CELL = Cell(
    name="lstm",
    summary="LSTM",
    gates=("i", "f", "g", "o"),
    states=("h", "c"),
    step=step,
    step_back=step_back,
    elementwise=(13, 23),
    bound=1.0,
)
