"""The project's names are the field's: none has a word that docs/architecture.md gives another one for."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FORMER = frozenset(
    [
        *("look", "looks", "taken", "told", "tell", "untold", "meeting", "standing", "standings", "dissect"),
        *("planted", "planting", "stretch", "stretches", "moment", "moments", "retreat", "hard"),
    ]
)
"""Words of earlier versions. Strings may have them, which read what earlier versions wrote."""
FILES = [
    path
    for folder in ("benchmarks", "rnnimpl", "tests")
    for path in sorted((ROOT / folder).rglob("*"))
    if path.suffix in (".py", ".cpp", ".hpp", ".cu", ".cuh")
]


def names_of(path: Path) -> Iterator[str]:
    """Every name that a file defines or uses, and the file's own."""
    text = path.read_text(encoding="utf-8")
    yield path.stem
    if path.suffix != ".py":
        code = re.sub(r"//[^\n]*|\"[^\"\n]*\"", "", text)
        yield from re.findall(r"[A-Za-z_]\w*", code)
        return
    for node in ast.walk(ast.parse(text)):
        for field in ("name", "id", "attr", "arg", "asname"):
            value = getattr(node, field, None)
            if isinstance(value, str):
                yield value


def words_of(name: str) -> set[str]:
    """The words of a name in snake case or camel case, in lower case."""
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}


def test_words_are_found_in_names_of_both_cases() -> None:
    assert words_of("BlockPair") | words_of("_kept_pairs") == {"block", "pair", "kept", "pairs"}


@pytest.mark.parametrize("folder", ["benchmarks", "rnnimpl", "tests"])
def test_no_name_has_a_former_word(folder: str) -> None:
    former = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in FILES
        if path.relative_to(ROOT).parts[0] == folder
        for name in names_of(path)
        if words_of(name) & FORMER
    }
    assert not former
