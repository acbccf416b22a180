"""The engines: implementations with requirements beyond the project's, or that compile for long.

The ordinary tests leave them out. `nox -s engines` installs them and puts each through the conformance suite, on a part
of the structures and sizes, or on all of them if asked.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from rnnimpl import names, registry
from rnnimpl.conformance import CheckCase
from rnnimpl.conformance.examples import Example, pairwise, representative
from rnnimpl.conformance.sizes import Sizes, sized

PROJECT = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def _is_engine(name: str) -> bool:
    line = registry.listing(name)
    ours = {Requirement(text).name for text in PROJECT["dependencies"]} | {"python"}
    return bool(line.only_when_named) or not {Requirement(text).name for text in line.requires} <= ours


ENGINES = tuple(name for name in names() if _is_engine(name))


def runnable(device: str = "cpu") -> list[str]:
    """The names of all implementations that can run here on a device, installed engines among them."""
    return [name for name in names() if registry.listing(name).unavailable.get(device, "is not for it") is None]


def ordinary(device: str = "cpu") -> list[str]:
    """The names of all that can run here on a device and are no engines: one that cannot be built is a failure."""
    return [name for name in runnable(device) if name not in ENGINES]


_SIZES = ((16, 16, 16, 16), (17, 100, 127, 99), (1, 128, 128, 128), (101, 15, 64, 129))
_ROUTINE = frozenset((*pairwise(), *representative(), *(sized(Sizes(*sizes)) for sizes in _SIZES)))


def marks(group: str, example: Example) -> tuple[pytest.MarkDecorator, ...]:
    """The mark of the run that an example belongs to, and of the process that has all of its checks.

    Code that is compiled for one check serves the next.
    """
    when = pytest.mark.engines if example in _ROUTINE else pytest.mark.engines_in_full
    return when, pytest.mark.xdist_group(f"{group}-{example.id}")


def needs_lengths(case: CheckCase) -> bool:
    """Whether a check gives its network sequences of unequal lengths."""
    return case.check.__module__.endswith(".lengths")


def needs_training(check: str) -> bool:
    """Whether a check calls `vjp`."""
    return any(word in check for word in ("gradient", "vjp", "pullback", "training", "weights_unchanged"))
