"""The lists of implementations and sweeps on a terminal: names are whole, and what is the same is said once."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

from benchmarks.presentation.plain_text import listed
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
        runs = f"runs here on {listed(here)}" if here else "cannot run here"
        named = f", only when named: {entry.only_when_named}" if entry.only_when_named else ""
        lines += ["", f"  {entry.name}", *_wrapped(entry.summary, width)]
        lines += _wrapped(f"{', '.join(entry.cells)}; {runs}{named}", width)
    lines += ["", "Cannot run here"] if reasons else []
    for reason, places in reasons.items():
        lines += [*_wrapped(f"{reason}:", width, "  "), *_wrapped(", ".join(places), width)]
    return lines


def sweep_lines(sweeps: Mapping[str, str], width: int) -> list[str]:
    """Each sweep, {name: what it measures}."""
    lines = ["Sweeps"]
    for name, summary in sweeps.items():
        lines += ["", f"  {name}", *_wrapped(summary, width)]
    return lines


def _wrapped(text: str, width: int, indent: str = _INDENT) -> list[str]:
    return textwrap.wrap(
        text, width, initial_indent=indent, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
