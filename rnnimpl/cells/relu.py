"""The plain recurrent cell with relu, as `torch.nn.RNN(nonlinearity="relu")` computes it.

h[t] = max(x[t] @ w_ih.T + b_ih + h[t-1] @ w_hh.T + b_hh, 0)
"""

from __future__ import annotations

from rnnimpl.cells import _elman
from rnnimpl.cells._definition import Cell

CELL = Cell(
    name="relu",
    summary="the plain RNN with relu",
    gates=_elman.GATES,
    states=_elman.STATES,
    step=_elman.step_relu,
    step_back=_elman.step_back_relu,
    elementwise=(2, 2),
    kinked=True,
)
