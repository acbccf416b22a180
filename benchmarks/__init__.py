"""How implementations of recurrent networks are measured, and what is made of the measurements."""

from __future__ import annotations

from typing import Any

__all__ = ["load_run"]


def __getattr__(name: str) -> Any:
    """Import `load_run`, and with it pandas, when it is first asked for: the command line starts without."""
    if name == "load_run":
        from benchmarks.reporting.frames import load_run

        return load_run
    raise AttributeError(f"module 'benchmarks' has no attribute {name!r}")
