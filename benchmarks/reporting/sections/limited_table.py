"""Tables in Markdown of a limited length, with a note on where the rest is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks.presentation.plain_text import table

LONGEST_TABLE = 30
"""Rows; a longer table is cut, with a note on where the rest is."""
REST = "`summary.csv` beside this report"


def cut(runs: Iterable[str], header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of at most `LONGEST_TABLE` rows, and how many more there are; empty without rows.

    The first column is the run, and is left out where the report has a single one.
    """
    if not rows:
        return ""
    first = 0 if len(set(runs)) > 1 else 1
    return limited(header[first:], [row[first:] for row in rows])


def limited(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of at most `LONGEST_TABLE` rows, and how many more there are."""
    shown = table(header, rows[:LONGEST_TABLE])
    left = len(rows) - LONGEST_TABLE
    return f"{shown}\n\n{left} more rows are in {REST}." if left > 0 else shown
