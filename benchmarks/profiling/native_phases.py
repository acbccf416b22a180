"""Which phase of the network our own C++ is in at a look: by where in the forward pass its products are called from.

The compiler puts a whole pass into one function, from which products are called at several places, and which is which
no symbol says. So two other networks are looked at, which run the same code: one of many input features and few hidden
units, which mostly projects, and one of the opposite. A place that is seen more in the first one projects.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from benchmarks.profiling.breakdown import Look
from benchmarks.profiling.looks_trace import look_at_calls
from benchmarks.profiling.phases import PROJECTION, RECURRENCE
from benchmarks.profiling.sampler import Sampler
from benchmarks.profiling.symbols import functions

_LETTERS = {"float32": "f", "float64": "d"}
_PRODUCT = re.compile(r"3rnn\d+multiply_")
_WEIGHTS = re.compile(r"3rnn14WeightProducts")
_SECONDS = 0.3


def forward_code(library: Path, dtype: str) -> tuple[int, int] | None:
    """Where in this process the code of the forward pass begins and ends; None where there is no such function."""
    pattern = re.compile(rf"3rnn7ForwardI{_LETTERS[dtype]}E.*(clEi|_M_invoke)")
    found = [(end - begin, begin, end) for name, begin, end in functions(library) if pattern.search(name)]
    return max(found)[1:] if found else None


def phases_by_callers(
    sampler: Sampler, code: tuple[int, int], projects: Callable[[], object], recurs: Callable[[], object]
) -> Callable[[Look], str]:
    """What names the phase of a look, by calls that mostly project and calls that mostly do not."""
    sampler.callers(*code)
    of_projects, of_recurs = (
        callers_of_products(
            look for part in look_at_calls({"forward": call}, sampler, _SECONDS)[0].parts for look in part
        )
        for call in (projects, recurs)
    )
    projecting = frozenset(place for place, share in of_projects.items() if share > of_recurs.get(place, 0.0))
    return lambda look: phase_of(look, projecting)


def callers_of_products(looks: Iterable[Look]) -> dict[int, float]:
    """{from where products were called: its share of those looks}."""
    counted = Counter(look.caller for look in looks if look.caller and _multiplies(look))
    return {place: count / counted.total() for place, count in counted.items()}


def phase_of(look: Look, projecting: frozenset[int]) -> str:
    """The phase of a look at a training or inference call; empty where it is in neither."""
    if look.outcome is None:
        return ""
    function = look.outcome[1].function
    if _WEIGHTS.search(function):
        return "gradients of the weights"
    if _multiplies(look) and look.caller:
        return PROJECTION if look.caller in projecting else RECURRENCE
    return RECURRENCE if "3rnn7Forward" in function and look.outcome[0] == "elementwise" else ""


def _multiplies(look: Look) -> bool:
    return look.outcome is not None and _PRODUCT.search(look.outcome[1].function) is not None
