"""What PyTorch's own profiler counts in a call, in a pass of its own: operator calls and bytes taken.

Nothing of the breakdown comes from here: this profiler makes small operators several times as long as they are.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

_OPERATOR = "aten::"
_MEMORY = "[memory]"
PRODUCTS = frozenset(f"aten::{name}" for name in ("mm", "addmm", "bmm", "baddbmm", "mv", "addmv", "dot"))
"""The operators that multiply matrices; all others that do come down to one of them."""


def count_operators(call: Callable[[], object]) -> dict[str, float]:
    """Of one call: `operator_calls` from outside PyTorch, all `operators`, `products` among these, `allocated_bytes`.

    A call from outside is an ATen operator that no other ATen operator runs in. Bytes are all that PyTorch's
    allocator gave, whether or not they were given back since.
    """
    with profiler() as profiled:
        call()
    events = [event for event in profiled.events() if event.name.startswith(_OPERATOR)]
    taken = (event.nbytes() for event in profiled.profiler.kineto_results.events() if event.name() == _MEMORY)
    return {
        "operator_calls": sum(not _within_operator(event) for event in events),
        "operators": len(events),
        "products": sum(event.name in PRODUCTS for event in events),
        "allocated_bytes": sum(each for each in taken if each > 0),
    }


def _within_operator(event: Any) -> bool:
    parent = event.cpu_parent
    while parent is not None:
        if parent.name.startswith(_OPERATOR):
            return True
        parent = parent.cpu_parent
    return False


@contextlib.contextmanager
def profiler() -> Iterator[Any]:
    """PyTorch's profiler of the processor's work and, where there is one, of the GPU's."""
    import torch
    from torch.profiler import ProfilerActivity, profile

    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if torch.cuda.is_available() else [])]
    with profile(activities=activities, profile_memory=True, acc_events=True) as profiled:
        yield profiled
