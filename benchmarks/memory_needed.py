"""The memory that a case of a workload takes, and whether a machine has it: checked before anything is measured."""

from __future__ import annotations

from benchmarks.counts import ELEMENT_BYTES, elements
from benchmarks.workload import Workload

TEMPORARIES = 2
"""Factor of `memory_needed` over the arrays that must exist: a loop holds the results of its steps and the stacked
output, a hoisted projection its product, and a check NumPy's copies of the framework's arrays."""


def memory_needed(workload: Workload) -> int:
    """Bytes of memory that a case of this workload takes, about: a lower bound of its arrays times `TEMPORARIES`.

    The arrays: x, y, the state and weights; the output of the layer below; in training the cotangents, every layer's
    states and gates, and the gradients of x, the state and the weights.
    """
    x, y, state, weights = elements(workload)
    config = workload.config
    held = x + y + state + weights
    if workload.mode == "training":
        # The value of a cell's only gate is its state.
        kept = len(config.state_names) + (config.num_gates if config.num_gates > 1 else 0)
        held += y + state + kept * workload.L * y + x + state + weights
    elif workload.L > 1:
        held += y
    return TEMPORARIES * held * ELEMENT_BYTES[workload.dtype]


def too_large(workload: Workload, available_bytes: int) -> str | None:
    """Why the workload cannot be tried with so much memory, in a sentence; None when it can."""
    needed = memory_needed(workload)
    if needed <= available_bytes:
        return None
    return (
        f"{workload.id} needs about {needed / 2**30:.3g} GiB of memory, {available_bytes / 2**30:.3g} GiB are "
        "available: make T, B, H or L smaller"
    )
