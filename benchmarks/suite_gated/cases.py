"""The regression cases of LSTM and GRU: a fixed set, small enough that a pass takes seconds on one thread.

They stand in a folder of their own because a history takes a suite's files together: a case more in
`benchmarks/suite` would begin the history of every case there anew. For these cases the same holds of this folder.
"""

from __future__ import annotations

from benchmarks.machine import devices_here
from benchmarks.workload import Case, Workload
from rnnimpl.registry import listing

_NARROW = ("numpy_loop", "torch_loop", "nn_rnn", "fused_cpu")
_WIDE = ("numpy_hoisted", "torch_hoisted", "nn_rnn", "fused_cpu")
_CPU: tuple[tuple[Workload, tuple[str, ...]], ...] = (
    # One sequence through a small network: calls into libraries and the interpreter between them are the cost.
    (Workload(mode="inference", T=16, B=1, I=64, H=64, cell="lstm"), _NARROW),
    (Workload(mode="training", T=8, B=1, I=64, H=64, cell="lstm"), _NARROW),
    (Workload(mode="inference", T=16, B=1, I=64, H=64, cell="gru"), _NARROW),
    (Workload(mode="training", T=8, B=1, I=64, H=64, cell="gru"), _NARROW),
    # A batch through a wider one: matrix products are.
    (Workload(mode="inference", T=4, B=64, I=128, H=128, cell="lstm"), _WIDE),
    (Workload(mode="training", T=2, B=64, I=128, H=128, cell="lstm"), _WIDE),
    (Workload(mode="inference", T=4, B=64, I=128, H=128, cell="gru"), _WIDE),
    (Workload(mode="training", T=2, B=64, I=128, H=128, cell="gru"), _WIDE),
)
_CUDA: tuple[tuple[Workload, tuple[str, ...]], ...] = (
    (Workload(mode="inference", T=64, B=1, I=256, H=256, cell="lstm", device="cuda"), ("torch_loop", "nn_rnn")),
    (Workload(mode="training", T=64, B=64, I=512, H=512, cell="gru", device="cuda"), ("torch_hoisted", "nn_rnn")),
)


def gated_cases() -> tuple[Case, ...]:
    """The cases for the devices of this machine, those of one workload next to each other.

    An implementation has none of a cell that it does not compute.
    """
    chosen = _CPU + (_CUDA if "cuda" in devices_here() else ())
    return tuple(
        Case(name, workload) for workload, names in chosen for name in names if workload.cell in listing(name).cells
    )
