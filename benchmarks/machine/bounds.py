"""The name under which scripts may import `benchmarks.limits.bounds`."""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    """Import `benchmarks.limits.bounds` when a script asks for one of its names: nothing in `machine` needs it."""
    from benchmarks.limits import bounds

    return getattr(bounds, name)
