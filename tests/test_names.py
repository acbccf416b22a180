"""Names: none has a word for which docs/architecture.md gives another one, and tests use public ones alone."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FORMER = frozenset(
    [
        *("look", "looks", "told", "tell", "untold", "meeting", "standing", "standings", "dissect"),
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
        # The name of a test is a sentence.
        if words_of(name) & FORMER and not name.startswith("test_")
    }
    assert not former


THIRD_PARTY = frozenset({"os._exit", "sys._getframe", "torch._dynamo"})
PROTOCOLS = frozenset({"_asdict", "_fields", "_replace", "_repr_html_"})
"""The methods of named tuples, and the one by which a notebook shows an object."""


def private_names(path: Path) -> Iterator[str]:
    """The private names of `benchmarks` and `rnnimpl` that a test imports, reads, calls or replaces."""
    private = re.compile(r"_[A-Za-z]\w*")
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("benchmarks", "rnnimpl")):
            yield from (alias.name for alias in node.names if private.fullmatch(alias.name))
        elif isinstance(node, ast.Attribute) and private.fullmatch(node.attr) and node.attr not in PROTOCOLS:
            written = ast.unparse(node)
            if not written.startswith(("self.", "cls.")) and written not in THIRD_PARTY:
                yield written
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            # The name of something to replace: "benchmarks.store._x", or "_x" beside its module.
            last = node.value.rpartition(".")[2]
            if node.value.startswith(("benchmarks.", "rnnimpl.")) and private.fullmatch(last):
                yield node.value
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("setattr") and len(node.args) > 1:
            replaced = node.args[1]
            if isinstance(replaced, ast.Constant) and private.fullmatch(str(replaced.value)):
                yield str(replaced.value)


def test_tests_use_public_names_alone() -> None:
    """A private name may change with nobody to ask; what a test needs has a public one."""
    found = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in FILES
        if path.relative_to(ROOT).parts[0] == "tests" and path.suffix == ".py"
        for name in private_names(path)
    }
    assert not found


def test_private_names_are_found(tmp_path: Path) -> None:
    source = tmp_path / "test_x.py"
    source.write_text(
        "from benchmarks.store import _a\nstore._b()\nsetattr(store, '_c', 1)\nreplace('benchmarks.store._d')\n"
        "self._e\nrow._replace()\nos._exit(0)\n"
    )
    assert set(private_names(source)) == {"_a", "store._b", "_c", ".".join(("benchmarks", "store", "_d"))}
