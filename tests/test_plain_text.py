"""Numbers written for people, and a stranger's text made plain."""

from __future__ import annotations

from benchmarks.presentation.plain_text import clean, code, escape, interval, seconds, share, significant, table
from tests.synthetic_runs import typed


def test_numbers_are_written_for_people() -> None:
    """Three digits that count, in the unit that fits, never in scientific notation."""
    assert [seconds(value) for value in (1.234e-9, 9.999e-7, 1.5e-6, 0.0123, 0.99999, 75.31, 4000)] == [
        *("1.23 ns", "1.00 µs", "1.50 µs", "12.3 ms", "1.00 s", "75.3 s", "4000 s"),
    ]
    assert [significant(value) for value in (0, 0.01234, 1, 999.6, 12345)] == ["0", "0.0123", "1.00", "1000", "12345"]
    assert [share(value) for value in (0.001, 0.5, 1)] == ["0.10 %", "50 %", "100 %"]
    assert typed(interval(1.0012, 1.2)) == "1.001-1.20"
    assert interval(float("nan"), 1.2) == "no interval"
    assert typed(seconds(float("nan")) + share(float("inf")) + significant(float("nan"))) == "---"


def test_text_is_made_plain() -> None:
    """One line, printable, as long as it may be; names keep their underscores."""
    assert clean("a\n\tb\x00c\u200bd") == "a b c d"
    assert clean("x" * 10, 5) == "xxxx…"
    assert escape("torch_loop _is_ *b* <i> & a|b [l](u)") == (r"torch_loop \_is\_ \*b\* &lt;i&gt; &amp; a\|b \[l\](u)")
    assert code("a`b|c") == "`a'b¦c`"
    assert code("") == "` `"
    assert table(["a", "b"], [["x", "1"], ["y", "2"]]) == "| a | b |\n| :-- | --: |\n| x | 1 |\n| y | 2 |"
