"""Which phase of the network our own C++ is in at a look: by where in its pass its products are called from.

The compiler puts a whole pass into one function, from which products are called at several places, and which is which
no symbol says. So two other networks are looked at, which run the same code: one of many input features and few hidden
units, which mostly projects, and one of the opposite. A place that is seen more in the first one projects; in the
backward pass, where the gradient of x is a product with the same weights, it belongs to the projection too.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from benchmarks.profiling.breakdown import Look
from benchmarks.profiling.looks_trace import Code, look_at_calls
from benchmarks.profiling.phases import PROJECTION, RECURRENCE
from benchmarks.profiling.sampler import Sampler
from benchmarks.profiling.symbols import functions

WEIGHT_GRADIENTS = "gradients of the weights"
_LETTERS = {"float32": "f", "float64": "d"}
_PASSES = {"forward": "7Forward", "backward": "8Backward"}
_PRODUCT = re.compile(r"3rnn\d+multiply_")
_WEIGHTS = re.compile(r"3rnn14WeightProducts|3rnn\d+multiply_.*11Interleaved")
"""Rows lie interleaved in the products of the weights' gradients alone."""
_SECONDS = 0.3


def code_of_passes(library: Path, dtype: str) -> dict[str, Code]:
    """{forward, backward: where in this process its code begins and ends}, of those that there are."""
    named = list(functions(library))
    found = {}
    for name, class_name in _PASSES.items():
        pattern = re.compile(rf"3rnn{class_name}I{_LETTERS[dtype]}E.*(clEi|_M_invoke)")
        largest = max(
            ((end - begin, begin, end) for symbol, begin, end in named if pattern.search(symbol)), default=None
        )
        if largest is not None:
            found[name] = largest[1:]
    return found


def phases_by_callers(
    sampler: Sampler,
    code: Mapping[str, Code],
    projects: Mapping[str, Callable[[], object]],
    recurs: Mapping[str, Callable[[], object]],
) -> Callable[[Look], str]:
    """What names the phase of a look, by the passes of a network that mostly projects and of one that does not."""
    of_projects, of_recurs = (_callers(sampler, code, network) for network in (projects, recurs))
    projecting = frozenset(place for place, share in of_projects.items() if share > of_recurs.get(place, 0.0))
    return lambda look: phase_of(look, projecting)


def _callers(
    sampler: Sampler, code: Mapping[str, Code], network: Mapping[str, Callable[[], object]]
) -> dict[int, float]:
    """{from where products were called: its share of those looks at its pass}."""
    found: dict[int, float] = {}
    for course in look_at_calls(network, sampler, _SECONDS, code):
        found |= callers_of_products(look for part in course.parts for look in part)
    return found


def callers_of_products(looks: Iterable[Look]) -> dict[int, float]:
    """{from where products were called that are no gradients of weights: its share of those looks}."""
    counted = Counter(look.caller for look in looks if look.caller and _multiplies(look) and not _of_weights(look))
    return {place: count / counted.total() for place, count in counted.items()}


def phase_of(look: Look, projecting: frozenset[int]) -> str:
    """The phase of a look at a training or inference call; empty where it is in none."""
    if look.outcome is None:
        return ""
    if _of_weights(look):
        return WEIGHT_GRADIENTS
    if _multiplies(look) and look.caller:
        return PROJECTION if look.caller in projecting else RECURRENCE
    kind, place = look.outcome
    of_a_pass = any(f"3rnn{name}" in place.function for name in _PASSES.values())
    return RECURRENCE if of_a_pass and kind == "elementwise" else ""


def _of_weights(look: Look) -> bool:
    return look.outcome is not None and _WEIGHTS.search(look.outcome[1].function) is not None


def _multiplies(look: Look) -> bool:
    return look.outcome is not None and _PRODUCT.search(look.outcome[1].function) is not None
