"""The kind of visit that each mode of a workload has."""

from __future__ import annotations

from benchmarks.measuring.visits.latency_visit import LatencyVisit
from benchmarks.measuring.visits.lengths_visit import LengthsVisit
from benchmarks.measuring.visits.visit import Visit
from benchmarks.workload import LATENCY_MODES, Mode


def visit_class(mode: Mode) -> type[Visit]:
    """The class of a visit to a case of this mode."""
    if mode in LATENCY_MODES:
        return LatencyVisit
    return LengthsVisit if mode == "many-lengths" else Visit
