"""What PyTorch's own profiler counts in a call, in a pass of its own: operator calls and bytes taken; and its trace.

Nothing of the breakdown comes from here: this profiler makes small operators several times as long as they are.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

_OPERATOR = "aten::"
_MEMORY = "[memory]"
PRODUCTS = frozenset(f"aten::{name}" for name in ("mm", "addmm", "bmm", "baddbmm", "mv", "addmv", "dot"))
"""The operators that multiply matrices; all others that do come down to one of them."""


def count_operators(call: Callable[[], object]) -> dict[str, float]:
    """Of one call: `operator_calls` from outside PyTorch, `operators` with those that they call, `products` among
    these, and `allocated_bytes`.

    A call from outside is an ATen operator that no other ATen operator runs in. Bytes are all that PyTorch's
    allocator gave, whether or not they were given back since.
    """
    with _profiler() as profiler:
        call()
    events = [event for event in profiler.events() if event.name.startswith(_OPERATOR)]
    taken = (event.nbytes() for event in profiler.profiler.kineto_results.events() if event.name() == _MEMORY)
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


def write_trace(phases: Mapping[str, Callable[[], object]], path: Path, calls: int = 2) -> None:
    """Write a Chrome trace, compressed, of a few calls, each with its phases marked by name, one after another.

    Chrome's about:tracing and Perfetto open it. It names no machine and no path.
    """
    from torch.profiler import record_function

    with _profiler() as profiler:
        for number in range(calls):
            with record_function(f"call {number + 1}"):
                for name, phase in phases.items():
                    with record_function(name):
                        phase()
    with tempfile.TemporaryDirectory(prefix="rnnbench-") as scratch:
        raw = Path(scratch) / "trace.json"
        profiler.export_chrome_trace(str(raw))
        trace = json.loads(raw.read_text(encoding="utf-8"))
    for name in ("traceName", "host_name", "trace_id"):
        trace.pop(name, None)
    write_compressed(trace, path)


def write_compressed(content: Mapping[str, Any], path: Path) -> None:
    """JSON through gzip, the same bytes each time."""
    text = json.dumps(content, separators=(",", ":")).encode()
    path.write_bytes(gzip.compress(text, mtime=0))


@contextlib.contextmanager
def _profiler() -> Iterator[Any]:
    """PyTorch's profiler of the processor's work, quiet: what it says of itself goes nowhere."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU], profile_memory=True, acc_events=True) as profiler:
        yield profiler
