"""The regression cases of inference engines: a fixed set, small enough that a pass takes seconds on one thread.

Engines become slower and faster between their releases. `regress --base-with` and `track --releases` measure two of
them, or many, by these cases. As in the other suites, a change here begins the history of every case anew.
"""

from __future__ import annotations

from benchmarks.workload import Case, Workload
from rnnimpl.network import CellName

_ENGINES = ("onnxruntime_rnn", "openvino_rnn", "jax_scan")
_CELLS: tuple[CellName, ...] = ("tanh", "lstm", "gru")


def engine_cases() -> tuple[Case, ...]:
    """The cases, those of one workload next to each other; an engine that is not installed has its skipped."""
    small = [Workload(mode="inference", T=16, B=1, I=64, H=64, cell=cell) for cell in _CELLS]
    wide = [Workload(mode="inference", T=4, B=64, I=128, H=128, cell=cell) for cell in _CELLS]
    return tuple(Case(name, workload) for workload in (*small, *wide) for name in _ENGINES)
