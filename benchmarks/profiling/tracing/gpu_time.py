"""Where a GPU's time goes in a span: its kernels by what they do, and why it is idle between them.

Pure functions of what PyTorch's profiler saw: kernels and copies on the device, and the calls by which the host
launched them, which share a correlation number (CUPTI, Activity API). Nothing here needs a GPU.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from benchmarks.profiling.sampling.kinds import Kind
from benchmarks.profiling.tracing.chrome import Event

DEVICE = ("kernel", "gpu_memcpy", "gpu_memset")
"""Categories of events on the device."""
HOST = ("cuda_runtime", "cuda_driver")
"""Categories of the host's calls into CUDA."""

_KERNELS: tuple[tuple[str, Kind], ...] = (
    # The gates of a step alone, of cuDNN (`elemWiseRNNcell`, `LSTM_elementWise_bp1`) and of PyTorch.
    (r"(?i)elemWise|elementWise_[fb]p|(lstm|gru)_cell_(forward|backward)", "elementwise"),
    # Kernels that do a whole recurrence: products, nonlinearities and waiting of blocks for one another.
    (r"(?i)persist|rnn_|_rnn|RNN|fused_recurrence", "engine"),
    (r"(?i)gemm|gemv|cutlass|cublas|xmma|splitK|dot_kernel|matmul|nvjet", "products"),
    (r"(?i)memcpy|memset|copy|Cat(Array|Unrolled)|fill|transpose|permute|im2col", "memory"),
    (r"(?i)elementwise|vectorized|reduce|tanh|relu|sigmoid|pointwise|add|mul|triton_", "elementwise"),
)
_COMPILED = tuple((re.compile(pattern), kind) for pattern, kind in _KERNELS)


class Work(NamedTuple):
    """A kernel, a copy or a clearing of memory on the device; microseconds."""

    name: str
    category: str
    start: float
    end: float
    launched: float | None
    """When the host's call that launched it returned; None where that call is not known."""


class Span(NamedTuple):
    """What a span's time went to, in microseconds."""

    kinds: Mapping[Kind, float]
    """The parts add up to the span."""
    functions: Mapping[tuple[Kind, str], float]
    """Of the parts in which the device worked: by kernel."""
    launches: int
    """Kernels, copies and clearings."""


def work_of(events: Iterable[Event]) -> list[Work]:
    """What ran on the device, by its start."""
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


def kind_of_work(work: Work) -> Kind:
    """What a kernel does, by its name; a kernel that no rule knows is not told apart."""
    if work.category != "kernel":
        return "memory"
    return next((kind for pattern, kind in _COMPILED if pattern.search(work.name)), "engine")


def break_down(begin: float, end: float, work: Sequence[Work]) -> Span:
    """A span of the host's time that ends when it has waited for the device.

    While anything runs on the device, the time is that of what began first. Before each piece of work the device may be
    idle: `host_bound` until the call that launches it returns, `launch` from there until it starts, as long as the
    device knew of nothing to do; and `between` where it was launched before the device became idle. After the last
    one the host learns that all is done: `waiting`. A span in which the device does nothing is the host's own.
    """
    kinds: defaultdict[Kind, float] = defaultdict(float)
    functions: defaultdict[tuple[Kind, str], float] = defaultdict(float)
    own = [each for each in work if begin <= each.start < end]
    now = begin
    for each in own:
        if each.start > now:
            # Where the launch is not known the device may have been told at any time: nothing is blamed on the host.
            told = now if each.launched is None else min(max(each.launched, now), each.start)
            kinds["host_bound"] += told - now
            queued = each.launched is None or each.launched <= now
            kinds["between" if queued else "launch"] += each.start - told
            now = each.start
        if min(each.end, end) > now:
            kind = kind_of_work(each)
            kinds[kind] += min(each.end, end) - now
            functions[kind, each.name] += min(each.end, end) - now
            now = min(each.end, end)
    kinds["waiting" if own else "overhead"] += end - now
    return Span({kind: time for kind, time in kinds.items() if time > 0}, dict(functions), len(own))


def unprofiled(kinds: Mapping[Kind, float], seconds: float) -> dict[Kind, float]:
    """A profiled span's kinds, scaled to what the span takes unprofiled; both in seconds.

    The profiler delays the host, not the device: what it cost is taken from the time in which the device waits for the
    host, as far as that reaches, and then from all alike.
    """
    excess = max(0.0, sum(kinds.values()) - seconds)
    host: Kind = "host_bound" if kinds.get("host_bound") else "overhead"
    left = {kind: time - min(time, excess) if kind == host else time for kind, time in kinds.items()}
    total = sum(left.values())
    return {kind: time * seconds / total for kind, time in left.items() if time > 0} if total else {}
