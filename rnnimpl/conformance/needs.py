"""The needs of checks: a check declares which examples it can be made on, and `run.cases` leaves out the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

from rnnimpl.cells import CELLS
from rnnimpl.conformance.examples import Example

Need: TypeAlias = Callable[[Example], bool]
Check = TypeVar("Check", bound=Callable[..., Any])

_NEEDS: dict[str, Need] = {}
"""The declared need of a check by its name."""


def one_direction(example: Example) -> bool:
    """Whether the network has one direction, so that a sequence can be cut in two."""
    return not example.config.bidirectional


def bounded_output(example: Example) -> bool:
    """Whether the cell's output has a bound for every input."""
    return CELLS[example.config.cell].bound is not None


def memory(example: Example) -> bool:
    """The cell has a state beside its output."""
    return len(example.config.state_names) > 1


def needs(need: Need) -> Callable[[Check], Check]:
    """Decorate a check with a condition on its examples."""

    def declare(check: Check) -> Check:
        _NEEDS[check.__name__] = need
        return check

    return declare


def fits(check: Callable[..., Any], example: Example) -> bool:
    """Whether an example meets the need of a check; a check without one takes every example."""
    need = _NEEDS.get(check.__name__)
    return need is None or need(example)
