"""Which phase of the network our own C++ is in at a look.

Each of its phases is a function that the compiler does not take apart (`RNN_PHASE` in `rnnimpl/native/kernel.hpp`). So
a look is in the phase whose function it fell into, or was called from.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from benchmarks.profiling.sampling.attribution import Look
from benchmarks.profiling.sampling.symbols import functions
from benchmarks.profiling.tracing.network_phases import PROJECTION, RECURRENCE

WEIGHT_GRADIENTS = "gradients of the weights"
_OF = r"I[fd]NS\d*_\d+\w+?EE"
"""The compiler's name of the types that a pass is for: an element's, and the cell's."""
_PHASES = {
    PROJECTION: rf"7Forward{_OF}7project|8Backward{_OF}14multiply_input",
    RECURRENCE: rf"7Forward{_OF}5recur|8Backward{_OF}10recur_back",
    WEIGHT_GRADIENTS: r"14WeightProductsI[fd]E3run",
}
"""What the compiler's names of a phase's functions contain; that of x's gradient is the projection's."""


class PhaseCode(NamedTuple):
    """A function of a phase, and the addresses in this process where it begins and ends."""

    phase: str
    begin: int
    end: int


def code_of_phases(library: Path) -> list[PhaseCode]:
    """The functions of all phases, for either type of element."""
    named = ((_named(name), begin, end) for name, begin, end in functions(library))
    return [PhaseCode(*each) for each in named if each[0]]


def phase_of(look: Look, code: Iterable[PhaseCode]) -> str:
    """The phase of a look; empty where it is in none."""
    if look.outcome is None:
        return ""
    _, place = look.outcome
    called_from = (each.phase for each in code if each.begin <= look.caller < each.end)
    return _named(place.function) or next(called_from, "")


def _named(function: str) -> str:
    return next((phase for phase, pattern in _PHASES.items() if re.search(pattern, function)), "")
