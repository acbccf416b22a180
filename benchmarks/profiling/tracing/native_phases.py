"""The phase of the network that a sample of `fused_cpu` is in.

Each phase of its C++ is a function that its libraries export (`rnn_phase_...` in `rnnimpl/native/api.cpp`) and that no
compiler inlines. So a sample is in the phase whose function the thread was in, or was called from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from benchmarks.profiling.sampling.attribution import Sample
from benchmarks.profiling.sampling.symbols import functions
from benchmarks.profiling.tracing.network_phases import PROJECTION, RECURRENCE

WEIGHT_GRADIENTS = "gradients of the weights"
PHASES: Mapping[str, str] = MappingProxyType(
    {
        "rnn_phase_projection": PROJECTION,
        "rnn_phase_recurrence": RECURRENCE,
        "rnn_phase_recurrence_back": RECURRENCE,
        "rnn_phase_input_gradient": PROJECTION,
        "rnn_phase_weight_gradients": WEIGHT_GRADIENTS,
    }
)
"""{exported function: phase}. The gradient of x belongs to the projection."""


class PhaseCode(NamedTuple):
    """A function of a phase, and the addresses in this process where it begins and ends."""

    phase: str
    begin: int
    end: int


def code_of_phases(library: Path) -> list[PhaseCode]:
    """The functions of all phases in a loaded library of `fused_cpu`."""
    return [PhaseCode(PHASES[name], begin, end) for name, begin, end in functions(library) if name in PHASES]


def phase_of(sample: Sample, code: Iterable[PhaseCode]) -> str:
    """The phase that a sample is in; empty where it is in none."""
    if sample.work is None:
        return ""
    _, place = sample.work
    called_from = (each.phase for each in code if each.begin <= sample.caller < each.end)
    return PHASES.get(place.function) or next(called_from, "")
