"""The list of implementations on a terminal: names are whole at any width, and what is the same is said once."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from rnnimpl.registry import Listing

_INDENT = "    "


def implementation_lines(listings: Sequence[Listing], width: int) -> list[str]:
    """Each implementation with what it is, its cells, and where it runs here; then why others do not.

    A reason that several share stands once, below all, with their names.
    """
    lines = ["Implementations"]
    reasons: dict[str, list[str]] = {}
    for entry in listings:
        here = [device for device, reason in entry.unavailable.items() if reason is None]
        for device, reason in entry.unavailable.items():
            if reason is not None:
                reasons.setdefault(reason, []).append(f"{entry.name} on {device}")
        runs = f"runs here on {' and '.join(here)}" if here else "cannot run here"
        named = f", only when named: {entry.only_when_named}" if entry.only_when_named else ""
        lines += ["", f"  {entry.name}", *indented(entry.summary, width)]
        lines += indented(f"{', '.join(entry.cells)}; {runs}{named}", width)
    lines += ["", "Cannot run here"] if reasons else []
    for reason, places in reasons.items():
        lines += [*indented(f"{reason}:", width, "  "), *indented(", ".join(places), width)]
    return lines


def indented(text: str, width: int, indent: str = _INDENT) -> list[str]:
    """The text in lines of at most `width` places, broken between words."""
    return textwrap.wrap(
        text, width, initial_indent=indent, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
