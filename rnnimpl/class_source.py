"""Read from a source file what an implementation says of itself in literals, without importing the file."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rnnimpl.interface import Rnn

EXPECTED: Mapping[str, str] = MappingProxyType(
    {
        "devices": 'a tuple of texts, ("cpu",) with its comma',
        "cells": 'a tuple of texts, ("tanh", "lstm")',
        "requires": 'a tuple of texts, ("numba>=0.61",) with its comma',
        "only_when_named": "a text in quotes",
        "keeps_compiled": "a text in quotes",
    }
)
"""The attributes of `Rnn` that a class assigns as literals, with the form of each."""


@dataclasses.dataclass(frozen=True)
class ClassFacts:
    """The facts of a class that a list of implementations shows.

    The summary is the first line of the file; the others are the class's attributes, documented in `Rnn`.
    """

    summary: str
    devices: tuple[str, ...] = ()
    cells: tuple[str, ...] = Rnn.cells
    requires: tuple[str, ...] = Rnn.requires
    only_when_named: str = Rnn.only_when_named
    keeps_compiled: str = Rnn.keeps_compiled


def read_class(path: Path, class_name: str | None = None) -> ClassFacts:
    """The facts of a class in a source file; without a name, of the only one that assigns any.

    Raises ValueError, naming file and line, for a file that is no Python and for a value that is no literal of its
    form.
    """
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except SyntaxError as error:
        raise ValueError(
            f"{path}, line {error.lineno}, is no Python: {error.msg}; expected an implementation"
        ) from error
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and class_name in (None, node.name)]
    values = [_assignment(statement) for node in classes for statement in node.body]
    literals = {name: _literal(path, name, value) for name, value in values if name in EXPECTED and value is not None}
    return ClassFacts((ast.get_docstring(tree) or "").partition("\n")[0], **literals)


def _assignment(statement: ast.stmt) -> tuple[str, ast.expr | None]:
    """The name and the value of `name = value` or `name: type = value`; an empty name for another statement."""
    if isinstance(statement, ast.Assign):
        target: ast.expr = statement.targets[0]
    elif isinstance(statement, ast.AnnAssign):
        target = statement.target
    else:
        return "", None
    return (target.id, statement.value) if isinstance(target, ast.Name) else ("", None)


def _literal(path: Path, name: str, value: ast.expr) -> Any:
    """The value of one attribute. Raises ValueError, naming file and line, where it is no literal of its form."""
    try:
        literal = ast.literal_eval(value)
    except (ValueError, TypeError):
        literal = None
    is_text = name in ("only_when_named", "keeps_compiled")
    texts = [literal] if is_text else literal
    if not isinstance(texts, tuple | list) or not all(isinstance(text, str) for text in texts):
        raise ValueError(
            f"{path}, line {value.lineno}: {name} is {ast.unparse(value)}; expected {EXPECTED[name]}, as a literal: "
            "it is read without importing the file"
        )
    return literal if is_text else tuple(texts)
