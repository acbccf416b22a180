"""The measuring of implementations of recurrent networks, and the analysis of the measurements."""

from __future__ import annotations

from typing import Any

__all__ = ["load_run", "load_samples"]


def __getattr__(name: str) -> Any:
    """Import `load_run` and `load_samples`, and with them pandas, at first use: the command line starts without."""
    if name == "load_run":
        from benchmarks.reporting.notebook import load_run

        return load_run
    if name == "load_samples":
        from benchmarks.runs.frames import load_samples

        return load_samples
    raise AttributeError(f"module 'benchmarks' has no attribute {name!r}")
