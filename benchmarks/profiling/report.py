"""The name under which scripts may import `benchmarks.profiling.reporting.report`."""

from __future__ import annotations

from benchmarks.profiling.reporting.report import rewrite

__all__ = ["rewrite"]
