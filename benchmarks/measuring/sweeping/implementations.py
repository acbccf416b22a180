"""The implementations of a sweep as the command line names them: NAME, module:Class, or LABEL=either."""

from __future__ import annotations

from benchmarks.quoting import quoted
from benchmarks.workload import check_name
from rnnimpl.registry import listing, names
from rnnimpl.suggestions import did_you_mean

ALL = "all"
"""Stands for every implementation of the registry, the ones that run only when named included."""


def parse_implementation(text: str) -> tuple[str, str]:
    """(name in the run, source) of `torch_loop`, `package.module:Class` or `LABEL=either`.

    Raises ValueError, naming what is wrong and the nearest names, when the text names no implementation.
    """
    name, source = split_label(text)
    if not name or "/" in name:
        raise ValueError(
            f"implementation is {quoted(text)}; expected NAME, module:Class, or LABEL=either, without a slash"
        )
    check_name(name)
    if ":" not in source and source not in names():
        raise ValueError(
            f"implementation is {quoted(source)}; {did_you_mean(source, names())}Known: {', '.join(names())}"
        )
    listing(source)
    return name, source


def split_label(text: str) -> tuple[str, str]:
    """(label, implementation) of `LABEL=IMPLEMENTATION`; an implementation without a label is its own."""
    name, equals, source = text.partition("=")
    return name, source if equals else name
