"""The table of docs/use_it.md is what `tests.replace_speedup` says of the committed blocks of calls."""

from __future__ import annotations

from pathlib import Path

from tests.model_training import EXAMPLES
from tests.replace_speedup import markdown, read_blocks

ROOT = Path(__file__).parent.parent
BLOCKS = ROOT / "results" / "reference-replaced" / "blocks.csv"


def test_the_table_is_that_of_the_blocks() -> None:
    speedups = read_blocks(BLOCKS)
    table = markdown(speedups)
    assert {each.model for each in speedups} == set(EXAMPLES)
    assert table in (BLOCKS.parent / "table.md").read_text(encoding="utf-8")
    assert table in (ROOT / "docs" / "use_it.md").read_text(encoding="utf-8")
