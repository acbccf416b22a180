"""The regression cases: a fixed set, small enough that a pass takes seconds on one thread.

A change here makes cases `new` and `gone` for `regress` and starts their history anew, so sizes stay as they are.
"""

from __future__ import annotations

from benchmarks.machine import devices_here
from benchmarks.workload import Case, Workload

_CPU: tuple[tuple[Workload, tuple[str, ...]], ...] = (
    # One sequence through a small network: calls into libraries and the interpreter between them are the cost.
    (Workload(mode="inference", T=32, B=1, I=64, H=64), ("numpy_loop", "torch_loop", "nn_rnn", "fused_cpu")),
    (Workload(mode="training", T=16, B=1, I=64, H=64), ("numpy_loop", "torch_loop", "nn_rnn", "fused_cpu")),
    # A batch through a wider one: matrix products are.
    (Workload(mode="inference", T=4, B=64, I=256, H=256), ("numpy_hoisted", "torch_hoisted", "nn_rnn", "fused_cpu")),
    (Workload(mode="training", T=2, B=64, I=256, H=256), ("numpy_hoisted", "torch_hoisted", "nn_rnn", "fused_cpu")),
)
_CUDA: tuple[tuple[Workload, tuple[str, ...]], ...] = (
    (Workload(mode="inference", T=64, B=1, I=256, H=256, device="cuda"), ("torch_loop", "nn_rnn")),
    (Workload(mode="training", T=64, B=64, I=512, H=512, device="cuda"), ("torch_hoisted", "nn_rnn")),
)


def regression_cases() -> tuple[Case, ...]:
    """The cases for the devices of this machine, those of one workload next to each other."""
    chosen = _CPU + (_CUDA if "cuda" in devices_here() else ())
    return tuple(Case(name, workload) for workload, names in chosen for name in names)
