"""The phase of the network that a sample of `fused_cpu` is in.

Each phase of its C++ is a function that the compiler does not inline (`RNN_PHASE` in `rnnimpl/native/kernel.hpp`). So a
sample is in the phase whose function the thread was in, or was called from.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from benchmarks.profiling.sampling import native_names
from benchmarks.profiling.sampling.attribution import Sample
from benchmarks.profiling.sampling.symbols import functions
from benchmarks.profiling.tracing.network_phases import PROJECTION, RECURRENCE

WEIGHT_GRADIENTS = "gradients of the weights"
_PHASES = {
    PROJECTION: native_names.PROJECTION,
    RECURRENCE: native_names.RECURRENCE,
    WEIGHT_GRADIENTS: native_names.WEIGHT_GRADIENTS,
}
"""{phase: pattern in the names of its functions}. The gradient of x belongs to the projection."""


class PhaseCode(NamedTuple):
    """A function of a phase, and the addresses in this process where it begins and ends."""

    phase: str
    begin: int
    end: int


def code_of_phases(library: Path) -> list[PhaseCode]:
    """The functions of all phases in a loaded library of `fused_cpu`."""
    named = ((_named(name), begin, end) for name, begin, end in functions(library))
    return [PhaseCode(*each) for each in named if each[0]]


def phase_of(sample: Sample, code: Iterable[PhaseCode]) -> str:
    """The phase that a sample is in; empty where it is in none."""
    if sample.work is None:
        return ""
    _, place = sample.work
    called_from = (each.phase for each in code if each.begin <= sample.caller < each.end)
    return _named(place.function) or next(called_from, "")


def _named(function: str) -> str:
    return next((phase for phase, pattern in _PHASES.items() if re.search(pattern, function)), "")
