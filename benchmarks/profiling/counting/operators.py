"""Operator calls and allocated bytes of a call, by PyTorch's profiler.

The profiler makes small operators several times as long, so no time comes from here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

_OPERATOR = "aten::"
_MEMORY = "[memory]"
PRODUCTS = frozenset(f"aten::{name}" for name in ("mm", "addmm", "bmm", "baddbmm", "mv", "addmv", "dot"))
"""The operators that multiply matrices; every other product runs as one of them."""


def count_operators(call: Callable[[], object]) -> dict[str, float]:
    """{name: number} of one call: `operator_calls`, `operators`, `products` among these, and `allocated_bytes`.

    `operators` are all calls of ATen operators, `operator_calls` those outside of any other ATen operator. Bytes are
    all allocations of PyTorch's allocator, freed ones included.
    """
    with profiler() as profiled:
        call()
    events = [event for event in profiled.events() if event.name.startswith(_OPERATOR)]
    allocations = (event.nbytes() for event in profiled.profiler.kineto_results.events() if event.name() == _MEMORY)
    return {
        "operator_calls": sum(not _within_operator(event) for event in events),
        "operators": len(events),
        "products": sum(event.name in PRODUCTS for event in events),
        "allocated_bytes": sum(each for each in allocations if each > 0),
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
    """PyTorch's profiler of the CPU and, where there is one, of the GPU."""
    import torch
    from torch.profiler import ProfilerActivity, profile

    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if torch.cuda.is_available() else [])]
    with profile(activities=activities, profile_memory=True, acc_events=True) as profiled:
        yield profiled
