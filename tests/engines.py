"""Which implementations are engines: what needs more than the project does, or compiles for long.

The ordinary tests leave them out; `nox -s engines` installs them and puts each through the conformance suite, on as
many structures of networks as show any two fields' values together and at a few sizes, or on every one if asked.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from rnnimpl import names, registry
from rnnimpl.conformance.examples import Example, pairwise, representative
from rnnimpl.conformance.sizes import Sizes, sized

PROJECT = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def _is_engine(name: str) -> bool:
    line = registry.listing(name)
    ours = {Requirement(text).name for text in PROJECT["dependencies"]} | {"python"}
    return bool(line.only_when_named) or not {Requirement(text).name for text in line.requires} <= ours


ENGINES = tuple(name for name in names() if _is_engine(name))


def runnable(device: str = "cpu") -> list[str]:
    """All that can run here on a device, the engines that are installed among them."""
    return [name for name in names() if registry.listing(name).unavailable.get(device, "is not for it") is None]


def ordinary(device: str = "cpu") -> list[str]:
    """All that can run here on a device and is no engine; one of them that then cannot be built is a failure."""
    return [name for name in runnable(device) if name not in ENGINES]


_SIZES = ((16, 16, 16, 16), (17, 100, 127, 99), (1, 128, 128, 128), (101, 15, 64, 129))
_ROUTINE = frozenset((*pairwise(), *representative(), *(sized(Sizes(*sizes)) for sizes in _SIZES)))


def marks(group: str, example: Example) -> tuple[pytest.MarkDecorator, ...]:
    """Which run of the engines' tests an example is for, and that one process has all of its checks.

    What was compiled for the one serves the next.
    """
    when = pytest.mark.engines if example in _ROUTINE else pytest.mark.engines_in_full
    return when, pytest.mark.xdist_group(f"{group}-{example.id}")
