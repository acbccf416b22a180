"""Each check can fail: it finds the broken implementations that are registered for it in `tests/broken`.

`python -m pytest tests/test_broken_implementations.py -v -k caught` shows the table, as docs/conformance.md does.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from rnnimpl import Rnn, conformance
from tests.broken import CAUGHT_BY
from tests.broken.base import Sound
from tests.broken.cells import Gru, Lstm

PAGE = Path(__file__).parent.parent / "docs" / "conformance.md"


def first_failure(implementation: type[Rnn[Any]], check: str) -> conformance.CheckCase | None:
    """The first example on which the check fails; None where it fails on none."""
    for case in conformance.cases():
        if case.check.__name__ == check and status(implementation, case) == "failed":
            return case
    return None


def status(implementation: type[Rnn[Any]], case: conformance.CheckCase) -> str:
    """The status of one check on one example."""
    (result,) = conformance.run(implementation, selected=[case])
    return result.status


@pytest.mark.parametrize(
    ("broken", "check"), [pytest.param(*pair, id=f"{pair[0].__name__}-{pair[1]}") for pair in CAUGHT_BY.items()]
)
def test_broken_implementation_is_caught(broken: type[Rnn[Any]], check: str) -> None:
    """The registered check fails on the broken implementation, and on that example passes on the sound one.

    The sound one is `numpy_hoisted`, which passes everywhere else.
    """
    case = first_failure(broken, check)
    assert case is not None
    assert status(Sound, case) == "passed"


def test_every_check_catches_something() -> None:
    """Every check is registered for a broken implementation."""
    assert {case.check.__name__ for case in conformance.cases()} == set(CAUGHT_BY.values())


def test_page_shows_every_broken_implementation() -> None:
    """The table in docs/conformance.md has every fault with its check, in order."""
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| `(\w+)` \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert rows == [(broken.__name__, broken.__doc__, check) for broken, check in CAUGHT_BY.items()]


def test_a_fault_is_in_the_file_that_is_named_for_its_check() -> None:
    """A broken implementation is in the file of its check's module, or in `cells`."""
    defined = {case.check.__name__: case.check.__module__.rpartition(".")[2] for case in conformance.cases()}
    for broken, check in CAUGHT_BY.items():
        assert broken.__module__.rpartition(".")[2] in ("cells", defined[check]), broken


@pytest.mark.parametrize("base", [Lstm, Gru])
def test_what_the_broken_cells_are_made_from_is_sound(base: type[Rnn[Any]]) -> None:
    """The LSTM and the GRU that broken cells derive from pass the checks that find the faults."""
    checks = {"check_output", "check_final_state", "check_initial_state", "check_large_input"}
    selected = [case for case in conformance.cases() if case.check.__name__ in checks]
    statuses = [result.status for result in conformance.run(base, selected=selected)]
    assert "failed" not in statuses
    assert statuses.count("passed") > 10
