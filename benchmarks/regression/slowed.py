"""A slowdown injected into a source file: a function that runs an empty loop before its own work."""

from __future__ import annotations

import ast


def slowed(source: str, name: str, loops: int) -> str:
    """The source with a loop of so many turns at the beginning of a function; `name` is such as `Class.method`.

    Raises ValueError where the source has no such function, or has it on one line.
    """
    found: ast.AST | None = ast.parse(source)
    for part in name.split("."):
        found = next(
            (
                node
                for node in ast.walk(found)  # type: ignore[arg-type]  # None ends the loop below
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.name == part
            ),
            None,
        )
        if found is None:
            break
    if not isinstance(found, ast.FunctionDef | ast.AsyncFunctionDef):
        raise ValueError(f"the slowdown is to go into {name}, and the file has no such function")
    has_docstring = ast.get_docstring(found, clean=False) is not None and len(found.body) > 1
    first = found.body[1 if has_docstring else 0]
    if first.lineno == found.lineno:
        raise ValueError(f"the slowdown is to go into {name}, whose work stands on the line of its name")
    lines = source.splitlines(keepends=True)
    # A decorated definition begins with its first decorator.
    decorators: list[ast.expr] = getattr(first, "decorator_list", [])
    at = min([first.lineno, *(each.lineno for each in decorators)]) - 1
    indent = lines[at][: len(lines[at]) - len(lines[at].lstrip())]
    return "".join([*lines[:at], f"{indent}for _ in range({loops}): pass\n", *lines[at:]])
