"""Quantities of a trial, each declared once by its field of `Trial`: what a visit measures, samples aside.

`quantity` declares a field. From the declarations follow the fields that a visit may set, the form of a worker's
answers, the check of a stored trial and the columns of a frame.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

QuantityKind = Literal["number", "count", "error", "mapping"]
"""A finite number from 0, a whole one, an error (which may be infinite or NaN), texts with plain values."""

WorkerRequest = Literal["prepare", "warm_up", "finish"]
"""The requests to a worker whose answers hold quantities."""

OverVisits = Literal["first", "last", "largest"]
"""The choice of a value among those of a case's visits, for a frame."""


@dataclasses.dataclass(frozen=True)
class Quantity:
    """The declaration of a field of a trial."""

    kind: QuantityKind
    answer: WorkerRequest | None
    """The answer of a worker that holds it; None where the sweep itself finds it."""
    is_cuda_only: bool
    column: OverVisits | None
    """The frame has it in a column of the field's name, from the visit that this says; None: it has no column."""


def quantity(
    kind: QuantityKind = "number",
    *,
    default: Any = None,
    answer: WorkerRequest | None = None,
    is_cuda_only: bool = False,
    column: OverVisits | None = None,
) -> Any:
    """A dataclass field that is a quantity. It is None where it was not measured, and a mapping is empty."""
    metadata = {"quantity": Quantity(kind, answer, is_cuda_only, column)}
    if kind == "mapping":
        return dataclasses.field(default_factory=dict, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def quantities(record: type[Any]) -> Mapping[str, Quantity]:
    """{field: its declaration} of the quantities of a dataclass, in the order of its fields."""
    fields = dataclasses.fields(record)
    return MappingProxyType({each.name: each.metadata["quantity"] for each in fields if "quantity" in each.metadata})
