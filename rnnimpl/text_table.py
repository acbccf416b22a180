"""A table of plain text that fits a terminal: columns are dropped where there is no room, and no cell is ever cut."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from rich.cells import cell_len

GAP = 2
"""Spaces between two columns."""


@dataclasses.dataclass(frozen=True)
class Column:
    """A column: its heading, a cell a row, and how it gives way."""

    heading: str
    cells: Sequence[str]
    right: bool = False
    """Whether cells are aligned at the right, as numbers are."""
    dropped: int = 0
    """Where the table is too wide, columns with 1 are dropped first, then those with 2, and so on; 0 is kept."""

    @property
    def width(self) -> int:
        """Places of the widest cell or of the heading."""
        return max(map(cell_len, (self.heading, *self.cells)))


def text_table(columns: Sequence[Column], width: int, indent: int = 0) -> list[str]:
    """The lines of a table, headings first, at most `width` places wide as long as columns can be dropped for it.

    Where what is kept is still too wide, the first columns of a row have a line of their own, and the rest of the row
    stands below it: as few columns as leave room for the others.
    """
    shown = list(columns)
    for turn in sorted({column.dropped for column in columns} - {0}):
        if _width(shown, indent) <= width:
            break
        shown = [column for column in shown if column.dropped != turn]
    if not shown[0].cells:
        return []
    if _width(shown, indent) <= width or len(shown) == 1:
        return [_line(row, shown, indent) for row in _rows(shown)]
    inner = indent + GAP
    above = next((at for at in range(1, len(shown)) if _width(shown[at:], inner) <= width), 1)
    first, rest = shown[:above], shown[above:]
    headings, *rows = _rows(rest)
    lines = [_line(headings, rest, inner)]
    for names, row in zip(zip(*(column.cells for column in first), strict=True), rows, strict=True):
        lines += [*_above(names, width, indent), _line(row, rest, inner)]
    return lines


def _above(names: Sequence[str], width: int, indent: int) -> list[str]:
    """The cells that stand above the rest of a row: on one line where there is room, else on several."""
    lines = [" " * indent + names[0]]
    for name in names[1:]:
        if cell_len(lines[-1]) + GAP + cell_len(name) <= width:
            lines[-1] += " " * GAP + name
        else:
            lines.append(" " * (indent + GAP) + name)
    return lines


def _rows(columns: Sequence[Column]) -> list[tuple[str, ...]]:
    return list(zip(*([column.heading, *column.cells] for column in columns), strict=True))


def _width(columns: Sequence[Column], indent: int) -> int:
    return indent + sum(column.width for column in columns) + GAP * (len(columns) - 1)


def _line(row: Sequence[str], columns: Sequence[Column], indent: int) -> str:
    cells = []
    for text, column in zip(row, columns, strict=True):
        space = " " * (column.width - cell_len(text))
        cells.append(space + text if column.right else text + space)
    return (" " * indent + (" " * GAP).join(cells)).rstrip()
