"""The list of implementations on a terminal: names are whole at any width, and what is the same is said once."""

from __future__ import annotations

from collections.abc import Sequence

from rnnimpl.registry import Listing
from rnnimpl.wrapping import wrapped

INDENT = "    "
"""Before what is said of a name."""


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
        lines += ["", f"  {entry.name}", *wrapped(entry.summary, width, INDENT, INDENT)]
        lines += wrapped(f"{', '.join(entry.cells)}; {runs}{named}", width, INDENT, INDENT)
    lines += ["", "Cannot run here"] if reasons else []
    for reason, places in reasons.items():
        lines += wrapped(f"{reason}:", width, "  ", "  ") + wrapped(", ".join(places), width, INDENT, INDENT)
    return lines
