"""Tables of plain text: columns are dropped where there is no room, and no cell is cut."""

from __future__ import annotations

from rnnimpl.text_table import Column, text_table

COLUMNS = [
    Column("", ["inference", "training"]),
    Column("first", ["1.0", "22.0"], right=True, dropped=2),
    Column("second", ["3.0", "4.0"], right=True, dropped=1),
    Column("name", ["torch_compile_module", "one"]),
]


def test_columns_are_aligned() -> None:
    assert text_table(COLUMNS, 80, indent=1) == [
        "            first  second  name",
        " inference    1.0     3.0  torch_compile_module",
        " training    22.0     4.0  one",
    ]


def test_columns_are_dropped_in_their_turn() -> None:
    assert text_table(COLUMNS, 45)[0] == "           first  name"
    assert text_table(COLUMNS, 35)[0] == "           name"


def test_what_is_kept_stands_below_where_it_does_not_fit() -> None:
    """No cell is cut, even where nothing is left to drop."""
    assert text_table(COLUMNS, 25) == [
        "  name",
        "inference",
        "  torch_compile_module",
        "training",
        "  one",
    ]


def test_more_columns_stand_above_where_the_rest_does_not_fit() -> None:
    """As few as leave room for the others; where none do, the first alone."""
    columns = [Column("a", ["one", "eleven"]), Column("b", ["second " * 3] * 2), Column("c", ["1", "22"], right=True)]
    assert text_table(columns, 26) == [
        "   c",
        "one  second second second ",
        "   1",
        "eleven",
        "  second second second ",
        "  22",
    ]
    assert text_table(columns, 3)[1] == "one"


def test_wide_letters_have_two_places() -> None:
    lines = text_table([Column("a", ["\u4e2d", "x"]), Column("b", ["1", "2"])], 80)
    assert lines == ["a   b", "\u4e2d  1", "x   2"]


def test_no_rows_are_no_lines() -> None:
    assert text_table([Column("a", [])], 80) == []
