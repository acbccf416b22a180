"""Files of another content than this project writes: every field of a record dropped, retyped and made extreme."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

HUGE = "9" * 400
"""Stands for a number of 400 digits in what `to_text` writes."""

EXTREMES: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    1.5,
    10**18,
    2**53 - 1,
    1e308,
    5e-324,
    float("nan"),
    float("inf"),
    HUGE,
    "",
    "x",
    "=1+1",
    "\x1b]0;title\x07\x1b[31m[red]",
    "\ud800",
    "../../up",
    "long" * 5_000,
    [],
    {},
    [None],
    [[[]]],
    {"a": {"b": None}},
    ["x"] * 3,
)


def paths(record: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value within mappings and lists; of a list, to its first."""
    if at:
        yield at
    inner = record.items() if isinstance(record, dict) else enumerate(record[:1]) if isinstance(record, list) else ()
    for name, value in inner:
        yield from paths(value, (*at, name))


def mutants(record: Any) -> Iterator[tuple[str, Any]]:
    """Every record that differs from this in one value, with what was done."""
    for at in paths(record):
        for extreme in ("dropped", *EXTREMES):
            changed = copy.deepcopy(record)
            within = changed
            for name in at[:-1]:
                within = within[name]
            if isinstance(extreme, str) and extreme == "dropped":
                del within[at[-1]]
            else:
                within[at[-1]] = extreme
            yield f"{'.'.join(map(str, at))}: {str(extreme)[:20]!r}", changed
