"""The list of named sweeps on a terminal."""

from __future__ import annotations

from collections.abc import Mapping

from rnnimpl.listing_text import indented


def sweep_lines(sweeps: Mapping[str, str], width: int) -> list[str]:
    """Each sweep, {name: what it measures}."""
    lines = ["Sweeps"]
    for name, summary in sweeps.items():
        lines += ["", f"  {name}", *indented(summary, width)]
    return lines
