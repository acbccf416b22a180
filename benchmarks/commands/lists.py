"""The list of named sweeps on a terminal."""

from __future__ import annotations

from collections.abc import Mapping

from rnnimpl.listing_text import INDENT
from rnnimpl.wrapping import wrapped


def sweep_lines(sweeps: Mapping[str, str], width: int) -> list[str]:
    """Each sweep, {name: what it measures}."""
    lines = ["Sweeps"]
    for name, summary in sweeps.items():
        lines += ["", f"  {name}", *wrapped(summary, width, INDENT, INDENT)]
    return lines
