"""Tables as CSV for spreadsheets: a stranger's text is not read as a formula, numbers stay numbers."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

# A formula of a spreadsheet begins with one of these; its functions reach files and the network.
_FORMULA = re.compile(r"[=+\-@\t\r\n]")


def cell(value: Any) -> Any:
    """The value of a cell; a text that a spreadsheet would read as a formula gets an apostrophe before it."""
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value


def frame_csv(frame: pd.DataFrame, float_format: str | None = None) -> str:
    """A frame as CSV without its index."""
    guarded = frame.copy()
    for name in frame.select_dtypes(exclude=["number", "bool"]).columns:
        guarded[name] = frame[name].map(cell, na_action="ignore")
    return guarded.to_csv(index=False, lineterminator="\n", float_format=float_format)


def rows_csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Rows under the names of their columns as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(map(cell, row) for row in rows)
    return text.getvalue()
