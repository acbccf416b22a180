"""GRU (Cho et al. 2014) with the reset gate after the product, as `torch.nn.GRU` and cuDNN compute it.

    r = sigmoid((x[t] @ w_ir.T + b_ir) + (h[t-1] @ w_hr.T + b_hr))               reset
    z = sigmoid((x[t] @ w_iz.T + b_iz) + (h[t-1] @ w_hz.T + b_hz))               update
    n = tanh((x[t] @ w_in.T + b_in) + r * (h[t-1] @ w_hn.T + b_hn))              candidate
    h[t] = (1 - z) * n + z * h[t-1]                                              the output of step t

The weights of r, z and n are the blocks of w_ih, w_hh, b_ih and b_hh, in this order. The paper applies the reset gate
to h[t-1] before the product with w_hn, which is another function. The gradients of b_in and b_hn differ, because r
multiplies b_hn.

Backward, with "dz" for the gradient of the loss with respect to z, and s for h[t-1] @ w_hn.T + b_hn:

    dn = dh[t] * (1 - z) * (1 - n**2)
    dr = dn * s * r * (1 - r)
    dz = dh[t] * (h[t-1] - n) * z * (1 - z)
    gradients of the input's sums: (dr, dz, dn), of the state's sums: (dr, dz, dn * r)
    dh[t-1] = dh[t] * z + (dr, dz, dn * r) @ w_hh
"""

from __future__ import annotations

import functools

import numpy as np

from rnnimpl.arithmetic import Arithmetic
from rnnimpl.cells._definition import Cell, NumpyArray, States, Stepped, SteppedBack, elementwise_product, sigmoid


def step(arithmetic: Arithmetic, of_input: NumpyArray, of_state: NumpyArray, states: States) -> Stepped:
    """A step from the states (h,); saved are r, z, n and the state's sum of n, each (B, H)."""
    rounded = arithmetic.round
    (h,) = states
    input_r, input_z, input_n = CELL.blocks(of_input)
    state_r, state_z, state_n = CELL.blocks(of_state)
    r = sigmoid(arithmetic, rounded(input_r + state_r))
    z = sigmoid(arithmetic, rounded(input_z + state_z))
    n = rounded(np.tanh(rounded(input_n + rounded(r * state_n))))
    h = rounded(rounded(rounded(1 - z) * n) + rounded(z * h))
    return Stepped((h,), (r, z, n, state_n))


def step_back(arithmetic: Arithmetic, dstates: States, states: States, stepped: Stepped) -> SteppedBack:
    """The gradients of a step; that of the candidate comes first, because the reset gate is part of it."""
    rounded = arithmetic.round

    product = functools.partial(elementwise_product, arithmetic)
    (dh,), (h,) = dstates, states
    r, z, n, state_n = stepped.saved
    dn = product(dh, rounded(1 - z), rounded(1 - product(n, n)))
    dr = product(dn, state_n, r, rounded(1 - r))
    dz = product(dh, rounded(h - n), z, rounded(1 - z))
    of_input = np.concatenate([dr, dz, dn], axis=-1)
    of_state = np.concatenate([dr, dz, product(dn, r)], axis=-1)
    return SteppedBack(of_input, of_state, (product(dh, z),))


CELL = Cell(
    name="gru",
    summary="GRU, reset gate after the product",
    gates=("r", "z", "n"),
    states=("h",),
    step=step,
    step_back=step_back,
    elementwise=(11, 18),
    separate=("n",),
    bound=1.0,
    # (1 - z) * n + z * h[t-1] is a weighted mean: two products and their sum are rounded.
    roundings_beyond_bound=3,
)
