"""The name under which scripts may import `benchmarks.runs.frames`."""

from benchmarks.runs.frames import COLUMNS, SAMPLE_COLUMNS, load_run, load_samples

__all__ = ["COLUMNS", "SAMPLE_COLUMNS", "load_run", "load_samples"]
