"""The measuring of implementations of recurrent networks, and the analysis of the measurements."""

from __future__ import annotations

from typing import Any

__all__ = ["load_run", "load_samples"]


def __getattr__(name: str) -> Any:
    """Import `load_run` and `load_samples`, and with them pandas, at first use: the command line starts without."""
    if name in __all__:
        from benchmarks.runs import frames

        return getattr(frames, name)
    raise AttributeError(f"module 'benchmarks' has no attribute {name!r}")
