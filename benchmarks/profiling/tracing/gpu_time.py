"""What a span of time on a GPU goes to: kernels by the kind of their work, and the reasons why the device is idle.

Pure functions of the events of PyTorch's profiler: kernels and copies on the device, and the host's calls that launched
them, which have the same correlation number (CUPTI, Activity API). Nothing here needs a GPU.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from benchmarks.profiling.sampling.kinds import WorkKind
from benchmarks.profiling.tracing.chrome import Event

DEVICE = ("kernel", "gpu_memcpy", "gpu_memset")
"""Categories of events on the device."""
HOST = ("cuda_runtime", "cuda_driver")
"""Categories of the host's calls into CUDA."""

_KERNELS: tuple[tuple[str, WorkKind], ...] = (
    # Kernels for the gates of a step: cuDNN's (`elemWiseRNNcell`, `LSTM_elementWise_bp1`) and PyTorch's.
    (r"(?i)elemWise|elementWise_[fb]p|(lstm|gru)_cell_(forward|backward)", "elementwise"),
    # Kernels of a whole recurrence: products, nonlinearities and barriers between blocks.
    (r"(?i)persist|rnn_|_rnn|RNN|fused_recurrence", "unattributed"),
    (r"(?i)gemm|gemv|cutlass|cublas|xmma|splitK|dot_kernel|matmul|nvjet", "products"),
    (r"(?i)memcpy|memset|copy|Cat(Array|Unrolled)|fill|transpose|permute|im2col", "memory"),
    (r"(?i)elementwise|vectorized|reduce|tanh|relu|sigmoid|pointwise|add|mul|triton_", "elementwise"),
)
_COMPILED = tuple((re.compile(pattern), kind) for pattern, kind in _KERNELS)


class Work(NamedTuple):
    """A kernel, a copy or a clearing of memory on the device; times in microseconds."""

    name: str
    category: str
    start: float
    end: float
    launched: float | None
    """When the host's call that launched it returned; None where that call is not among the events."""


class Span(NamedTuple):
    """What a span's time went to, in microseconds."""

    kinds: Mapping[WorkKind, float]
    """Time by kind; the kinds add up to the span."""
    functions: Mapping[tuple[WorkKind, str], float]
    """Time in which the device worked, by kind and name of the kernel."""
    launches: int
    """The number of kernels, copies and clearings."""


def work_of(events: Iterable[Event]) -> list[Work]:
    """The work on the device, ordered by its start."""
    events = list(events)
    launches: dict[int, float] = {}
    for event in events:
        number = event.get("args", {}).get("correlation")
        if event.get("cat") in HOST and number is not None:
            launches[int(number)] = float(event["ts"]) + float(event["dur"])
    found = []
    for event in events:
        if event.get("cat") in DEVICE:
            start, number = float(event["ts"]), event.get("args", {}).get("correlation")
            launched = None if number is None else launches.get(int(number))
            found.append(Work(event["name"], event["cat"], start, start + float(event["dur"]), launched))
    return sorted(found, key=lambda each: (each.start, each.end))


def kind_of_work(work: Work) -> WorkKind:
    """The kind of work of a kernel, by its name; a kernel that no rule knows is unattributed."""
    if work.category != "kernel":
        return "memory"
    return next((kind for pattern, kind in _COMPILED if pattern.search(work.name)), "unattributed")


def break_down(begin: float, end: float, work: Sequence[Work]) -> Span:
    """What the time goes to between two times of the host, in microseconds, the end being after a synchronisation.

    While the device works, the time is that of the work that began first. Before each piece of work the device may be
    idle: `host_bound` until the call that launches the work returns, `launch` from there until the work starts, and
    `between` where the work was launched before the device became idle. `waiting` is the time from the end of the last
    work to the end of the span. A span without work is `overhead` of the host.
    """
    kinds: defaultdict[WorkKind, float] = defaultdict(float)
    functions: defaultdict[tuple[WorkKind, str], float] = defaultdict(float)
    own = [each for each in work if begin <= each.start < end]
    now = begin
    for each in own:
        if each.start > now:
            # Work whose launch is not known may have been queued at any time: none of the gap is the host's.
            launched = now if each.launched is None else min(max(each.launched, now), each.start)
            kinds["host_bound"] += launched - now
            queued = each.launched is None or each.launched <= now
            kinds["between" if queued else "launch"] += each.start - launched
            now = each.start
        if min(each.end, end) > now:
            kind = kind_of_work(each)
            kinds[kind] += min(each.end, end) - now
            functions[kind, each.name] += min(each.end, end) - now
            now = min(each.end, end)
    kinds["waiting" if own else "overhead"] += end - now
    return Span({kind: time for kind, time in kinds.items() if time > 0}, dict(functions), len(own))


def unprofiled(kinds: Mapping[WorkKind, float], seconds: float) -> dict[WorkKind, float]:
    """The kinds of a profiled span, scaled to its unprofiled time; seconds.

    The profiler delays the host and not the device. So its cost is subtracted from the time in which the device waits
    for the host, as far as that lasts, and the rest of it from all kinds in proportion.
    """
    excess = max(0.0, sum(kinds.values()) - seconds)
    host: WorkKind = "host_bound" if kinds.get("host_bound") else "overhead"
    left = {kind: time - min(time, excess) if kind == host else time for kind, time in kinds.items()}
    total = sum(left.values())
    return {kind: time * seconds / total for kind, time in left.items() if time > 0} if total else {}
