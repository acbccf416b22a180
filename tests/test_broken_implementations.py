"""Each check can fail: broken implementations, one fault each, are found by the check that is named for them.

`python -m pytest tests/test_broken_implementations.py -v -k caught` shows the table; `docs/conformance.md` has it too.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any

import pytest

from rnnimpl import Rnn, conformance
from tests import broken_by_arguments  # noqa: F401  # its implementations are registered by it
from tests.broken_implementations import CAUGHT_BY, Sound

PAGE = Path(__file__).parent.parent / "docs" / "conformance.md"


@functools.cache
def statuses(implementation: type[Rnn[Any]], check: str) -> dict[str, str]:
    """Status by example of one check; narrow dtypes are left out, which NumPy has in part."""
    selected = [case for case in conformance.cases() if case.check.__name__ == check]
    results = conformance.run(implementation, selected=selected)
    return {result.example: result.status for result in results if not result.example.endswith("bfloat16")}


@pytest.mark.parametrize(
    ("broken", "check"), [pytest.param(*pair, id=f"{pair[0].__name__}-{pair[1]}") for pair in CAUGHT_BY.items()]
)
def test_broken_implementation_is_caught(broken: type[Rnn[Any]], check: str) -> None:
    """The named check fails on the broken implementation and passes on the sound one it is made from."""
    assert "failed" in statuses(broken, check).values()
    assert set(statuses(Sound, check).values()) == {"passed"}


def test_every_check_catches_something() -> None:
    """No check is there that has never been seen to fail."""
    assert {case.check.__name__ for case in conformance.cases()} == set(CAUGHT_BY.values())


def test_page_shows_every_broken_implementation() -> None:
    """docs/conformance.md has the table of faults and checks, no row more or less."""
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| `(\w+)` \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert rows == [(broken.__name__, broken.__doc__, check) for broken, check in CAUGHT_BY.items()]
