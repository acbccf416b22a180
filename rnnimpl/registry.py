"""From a name to an implementation: the files and packages of `rnnimpl/impls`, entry points, and `module:Class`.

The file name is the registry. What a list of implementations needs to know (what it is, where it runs, what
it requires) is read from a file's source without importing it, so that listing never waits for a framework.
"""

from __future__ import annotations

import ast
import dataclasses
import difflib
import importlib
import importlib.metadata
import importlib.util
import inspect
import platform
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from rnnimpl.interface import CELL_NAMES, Rnn, Unavailable

ENTRY_POINT_GROUP = "rnnimpl.implementations"
IMPLS = Path(__file__).parent / "impls"
_LITERAL_FIELDS = ("devices", "cells", "requires", "only_when_named")
_EXAMPLES = {
    "devices": '("cpu",) with its comma',
    "cells": '("tanh", "lstm")',
    "requires": '("numba>=0.61",) with its comma',
}


@dataclasses.dataclass(frozen=True)
class Listing:
    """One line of a list of implementations: what it is and, per device, why it cannot run here (or None).

    `cells` are those that it computes. `only_when_named` says why it is left out of what runs all of them.
    """

    name: str
    summary: str
    unavailable: dict[str, str | None]
    cells: tuple[str, ...] = Rnn.cells
    only_when_named: str = ""


def names() -> tuple[str, ...]:
    """The names `load` knows: the files of `rnnimpl/impls`, then the entry points, each in alphabetical order."""
    return (*_file_names(), *sorted(set(_entry_points()) - set(_file_names())))


def default_names() -> tuple[str, ...]:
    """The names that are meant where none is given: all but those that run only when named."""
    return tuple(name for name in names() if not listing(name).only_when_named)


def load(name: str) -> type[Rnn[Any]]:
    """The class of an implementation, by a name from `names()` or as `package.module:Class`.

    Raises ValueError for a name that is not known (with the nearest that are), Unavailable when what it
    requires is not installed, TypeError when what was found is no Rnn.
    """
    if ":" in name:
        return _load_reference(name, name)
    if name in _file_names():
        requires = _literals(_file(name)).requires
        _require(name, requires)
        return _the_class(importlib.import_module(f"rnnimpl.impls.{name}"))
    entry_points = _entry_points()
    if name in entry_points:
        return _load_reference(name, entry_points[name])
    nearest = difflib.get_close_matches(name, names(), n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(nearest)}? " if nearest else ""
    raise ValueError(
        f"implementation is {name!r}; {hint}Known: {', '.join(names())}; your own goes as package.module:Class"
    )


def listing(name: str) -> Listing:
    """What there is to know of an implementation without importing its framework."""
    entry_points = _entry_points()
    is_file = name in _file_names()
    literals = _literals(_file(name)) if is_file else _reference_literals(entry_points.get(name, name))
    unavailable = {device: unmet(name, literals.requires) or _missing_device(device) for device in literals.devices}
    return Listing(name, literals.summary, unavailable, literals.cells, literals.only_when_named)


def unmet(name: str, requires: tuple[str, ...]) -> str | None:
    """Why the requirements are not met here, in a sentence; None when they are."""
    for text in requires:
        requirement = Requirement(text)
        if requirement.name == "python":
            if platform.python_version() not in requirement.specifier:
                return f"{name} needs {text}; this is Python {platform.python_version()}"
            continue
        try:
            version = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            return f"{name} needs {requirement.name}, which is not installed: pip install '{text}'"
        if not requirement.specifier.contains(version, prereleases=True):
            return f"{name} needs {text}; {requirement.name} {version} is installed: pip install '{text}'"
    return None


@dataclasses.dataclass(frozen=True)
class _Literals:
    """What a source file says of its implementation in plain literals."""

    summary: str
    devices: tuple[str, ...]
    cells: tuple[str, ...]
    requires: tuple[str, ...]
    only_when_named: str


def _file_names() -> tuple[str, ...]:
    files = {path.stem for path in IMPLS.glob("*.py")} - {"__init__"}
    return tuple(sorted(files | {path.parent.name for path in IMPLS.glob("*/__init__.py")}))


def _file(name: str) -> Path:
    """The file that holds an implementation's class: of its own, or a package's first."""
    package = IMPLS / name / "__init__.py"
    return package if package.exists() else IMPLS / f"{name}.py"


def _entry_points() -> dict[str, str]:
    return {point.name: point.value for point in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP)}


def _require(name: str, requires: tuple[str, ...]) -> None:
    reason = unmet(name, requires)
    if reason:
        raise Unavailable(reason)


def _load_reference(name: str, reference: str) -> type[Rnn[Any]]:
    """Import `package.module:Class`."""
    module_name, class_name = _module_and_class(reference)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and (module_name + ".").startswith(error.name + "."):
            raise ValueError(
                f"implementation is {name!r}, but there is no module {error.name!r}; expected package.module:Class "
                "that Python can import from here: is it installed, or in the current folder?"
            ) from error
        raise Unavailable(f"{name} needs {error.name}, which is not installed") from error
    except Unavailable:
        raise
    # Somebody's module may raise anything, or end the interpreter: their file is at fault, and the reason is theirs.
    except (Exception, SystemExit) as error:
        ends = isinstance(error, SystemExit)
        remedy = "keep what a script does below `if __name__ == '__main__':`" if ends else "that shows where it fails"
        raise ValueError(
            f"implementation is {name!r}, but importing {module_name} {'ends' if ends else 'fails'} with "
            f"{type(error).__name__}: {error}; expected a module that can be imported by python -c "
            f"'import {module_name}': {remedy}"
        ) from error
    found = getattr(module, class_name, None)
    if found is None:
        classes = [key for key, value in vars(module).items() if inspect.isclass(value) and issubclass(value, Rnn)]
        raise ValueError(f"implementation is {name!r}, but {module_name} has no {class_name!r}; it has {classes}")
    if not (inspect.isclass(found) and issubclass(found, Rnn)):
        raise TypeError(f"implementation is {name!r}, which is {found!r}; expected a subclass of rnnimpl.Rnn")
    devices = getattr(found, "devices", None)
    if not isinstance(devices, tuple) or not {*devices} <= {"cpu", "cuda"} or not devices:
        raise TypeError(
            f"implementation is {name!r}, whose `devices` is {devices!r}; expected a tuple of cpu and cuda, "
            f"{_EXAMPLES['devices']}"
        )
    if not isinstance(found.cells, tuple) or not {*found.cells} <= {*CELL_NAMES} or not found.cells:
        raise TypeError(
            f"implementation is {name!r}, whose `cells` is {found.cells!r}; expected a tuple of some of "
            f"{', '.join(CELL_NAMES)}: {_EXAMPLES['cells']}"
        )
    _require(name, found.requires)
    return found


def _module_and_class(reference: str) -> tuple[str, str]:
    """The two parts of `package.module:Class`. Raises ValueError where they are no names, as a path is none."""
    module_name, _, class_name = reference.partition(":")
    if not all(part.isidentifier() for part in (*module_name.split("."), class_name)):
        raise ValueError(
            f"implementation is {reference!r}; expected package.module:Class, names as in an import, no path: "
            "what lies in another folder is found from there, or with PYTHONPATH set to it"
        )
    return module_name, class_name


def _the_class(module: Any) -> type[Rnn[Any]]:
    """The one concrete Rnn that a file of `impls` defines."""
    defined = [
        value
        for value in vars(module).values()
        if inspect.isclass(value) and issubclass(value, Rnn) and value.__module__ == module.__name__
    ]
    assert len(defined) == 1, f"{module.__name__} defines {defined}; expected one subclass of Rnn"
    return defined[0]


def _literals(path: Path, class_name: str | None = None) -> _Literals:
    """Read the docstring and the literals of the implementation in a source file."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except SyntaxError as error:
        raise ValueError(
            f"{path}, line {error.lineno}, is no Python: {error.msg}; expected an implementation"
        ) from error
    found: dict[str, Any] = {}
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and class_name in (None, node.name):
            for statement in node.body:
                found.update(_literal_assignment(path, statement))
    summary = (ast.get_docstring(tree) or "").partition("\n")[0]
    cells = found.get("cells", Rnn.cells)
    return _Literals(
        summary, found.get("devices", ()), cells, found.get("requires", ()), found.get("only_when_named", "")
    )


def _literal_assignment(path: Path, statement: ast.stmt) -> dict[str, Any]:
    """{"devices": ...} and the like where the statement assigns one of them, else {}.

    Raises ValueError, naming file and line, where it is no literal of its kind.
    """
    if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
        target, value = statement.targets[0].id, statement.value
    elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value:
        target, value = statement.target.id, statement.value
    else:
        return {}
    if target not in _LITERAL_FIELDS:
        return {}
    try:
        literal = ast.literal_eval(value)
    except (ValueError, TypeError):
        literal = None
    texts = [literal] if target == "only_when_named" else literal
    if not isinstance(texts, tuple | list) or not all(isinstance(text, str) for text in texts):
        expected = "a text in quotes" if target == "only_when_named" else f"a tuple of texts, {_EXAMPLES[target]}"
        raise ValueError(
            f"{path}, line {statement.lineno}: {target} is {ast.unparse(value)}; expected {expected}, as a literal: "
            "it is read without importing the file"
        )
    return {target: literal if target == "only_when_named" else tuple(texts)}


def _reference_literals(reference: str) -> _Literals:
    """The same for `package.module:Class`; a class that inherits its devices has to be imported."""
    module_name, class_name = _module_and_class(reference)
    try:
        spec = importlib.util.find_spec(module_name)
    except ModuleNotFoundError:
        spec = None
    if spec is not None and spec.origin is not None and spec.origin.endswith(".py"):
        literals = _literals(Path(spec.origin), class_name)
        if literals.devices:
            return literals
    found = _load_reference(reference, reference)
    summary = (inspect.getdoc(found) or "").partition("\n")[0]
    return _Literals(summary, found.devices, found.cells, found.requires, found.only_when_named)


def _missing_device(device: str) -> str | None:
    """Why there is no such device here, without loading a framework; None when there is one."""
    if device == "cpu":
        return None
    try:
        import pynvml

        pynvml.nvmlInit()
        count = pynvml.nvmlDeviceGetCount()
        pynvml.nvmlShutdown()
    except ModuleNotFoundError:
        return "no CUDA device can be looked for: nvidia-ml-py is not installed"
    except pynvml.NVMLError as error:
        return f"no CUDA device: the NVIDIA driver does not answer ({error})"
    return None if count else "no CUDA device: the NVIDIA driver sees none"
