"""The time of one call on a GPU: span between device events, sum of kernel times, number of launches.

Every piece of work that the GPU runs is a kernel here, copies and fills of memory included. It is measured in calls of
its own, since a profiler slows small kernels several times over. Kernels are seen whichever framework launched them;
events are PyTorch's, so a span is given where PyTorch runs.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from typing import Any

from benchmarks.measuring.calls.timing import CallSeconds

SPANS = 5


def profile_call(timed: Callable[[], CallSeconds]) -> dict[str, Any]:
    """`device_span_seconds` (median of a few calls), `kernel_seconds` and `kernel_launches` of one call.

    Kernels are None where the tracer sees nothing: it may be denied, or in use by another profiler.
    """
    import torch
    from torch.profiler import ProfilerActivity, profile

    spans = []
    for _ in range(SPANS):
        before, after = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]  # torch's
        before.record()
        timed()
        after.record()
        after.synchronize()
        spans.append(before.elapsed_time(after) / 1e3)
    # The first profiled call pays for starting the tracer.
    for _ in range(2):
        with profile(activities=[ProfilerActivity.CUDA]) as profiler:
            timed()
    return {"device_span_seconds": statistics.median(spans)} | sum_kernels(profiler.events() or ())


def sum_kernels(events: Iterable[Any]) -> dict[str, Any]:
    """`kernel_seconds` and `kernel_launches` from the profiler's events, whose times are in microseconds."""
    from torch.profiler import DeviceType

    # A range that the program names appears on the device as well, over the kernels in it.
    on_device = [event for event in events if event.device_type == DeviceType.CUDA and not event.is_user_annotation]
    if not on_device:
        return {"kernel_seconds": None, "kernel_launches": None}
    return {
        "kernel_seconds": sum(event.device_time for event in on_device) / 1e6,
        "kernel_launches": len(on_device),
    }
