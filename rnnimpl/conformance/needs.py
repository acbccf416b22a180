"""What a check needs of the network that it is made on: checks declare it, and `run.cases` leaves out the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

from rnnimpl.cells import CELLS
from rnnimpl.conformance.examples import Example

Need: TypeAlias = Callable[[Example], bool]
Check = TypeVar("Check", bound=Callable[..., Any])

_NEEDS: dict[str, Need] = {}
"""What checks need, by their names."""


def one_direction(example: Example) -> bool:
    """The network reads its input forwards alone, so that a sequence can be cut."""
    return not example.config.bidirectional


def bounded_output(example: Example) -> bool:
    """The cell's output stays below a bound whatever the input is."""
    return CELLS[example.config.cell].bound is not None


def memory(example: Example) -> bool:
    """The cell has a state beside its output."""
    return len(example.config.state_names) > 1


def needs(need: Need) -> Callable[[Check], Check]:
    """Declare what a check needs of an example."""

    def declare(check: Check) -> Check:
        _NEEDS[check.__name__] = need
        return check

    return declare


def fits(check: Callable[..., Any], example: Example) -> bool:
    """Whether the example has what the check needs; a check that declares nothing takes every example."""
    need = _NEEDS.get(check.__name__)
    return need is None or need(example)
