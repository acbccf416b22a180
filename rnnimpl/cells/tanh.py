"""The plain recurrent cell with tanh, as `torch.nn.RNN` computes it.

h[t] = tanh(x[t] @ w_ih.T + b_ih + h[t-1] @ w_hh.T + b_hh)
"""

from __future__ import annotations

from rnnimpl.cells import _elman
from rnnimpl.cells._definition import Cell

CELL = Cell(
    name="tanh",
    summary="the plain RNN with tanh",
    gates=_elman.GATES,
    states=_elman.STATES,
    step=_elman.step_tanh,
    step_back=_elman.step_back_tanh,
    elementwise=(2, 4),
    bound=1.0,
)
