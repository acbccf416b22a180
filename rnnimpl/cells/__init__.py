"""The cells: the formula of each with its source, its gates and states, and the reference's step. One file each.

The file name is the registry: `lstm.py` holds the cell "lstm" as `CELL`. No implementation computes with these files,
so that it would take two independent mistakes for both to be wrong alike.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from types import MappingProxyType

from rnnimpl.cells._definition import Cell, States, Stepped, SteppedBack

__all__ = ["CELLS", "Cell", "States", "Stepped", "SteppedBack"]


def _find() -> Mapping[str, Cell]:
    names = sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_"))
    return MappingProxyType({name: importlib.import_module(f"{__name__}.{name}").CELL for name in names})


CELLS: Mapping[str, Cell] = _find()
"""The cells by name."""
