"""The name under which scripts may import `benchmarks.reporting.answers.ratios`."""

from benchmarks.reporting.answers.ratios import ratios, ratios_frame

__all__ = ["ratios", "ratios_frame"]
