"""Where the time of one call on a GPU went: span between device events, sum of kernel times, launches.

Taken in calls of their own, apart from the samples, since a profiler slows small kernels several times over.
Kernels are seen whichever framework launched them; events are PyTorch's, so a span is given where PyTorch runs.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

from benchmarks.measuring.timing import CallSeconds

SPANS = 5


def profile_call(timed: Callable[[], CallSeconds]) -> dict[str, Any]:
    """`device_span_seconds` (median of a few calls), `kernel_seconds` and `kernel_launches` of one call."""
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
    kernels = [event for event in profiler.events() or () if event.device_type == torch.profiler.DeviceType.CUDA]
    return {
        "device_span_seconds": statistics.median(spans),
        "kernel_seconds": sum(event.device_time for event in kernels) / 1e6,
        "kernel_launches": len(kernels),
    }
