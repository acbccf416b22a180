"""From a name to an implementation: the files and packages of `rnnimpl/impls`, entry points, and `module:Class`.

The file name is the registry. A list of implementations is read from their source (`class_source`) and imports none of
them, so that it never waits for a framework.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.metadata
import importlib.util
import inspect
import platform
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from rnnimpl.class_source import EXPECTED, ClassFacts, read_class
from rnnimpl.interface import CELL_NAMES, Rnn, Unavailable
from rnnimpl.suggestions import did_you_mean

ENTRY_POINT_GROUP = "rnnimpl.implementations"
IMPLS = Path(__file__).parent / "impls"


@dataclasses.dataclass(frozen=True)
class Listing:
    """One line of a list of implementations.

    `summary` is a sentence, `unavailable` the reason by device why it cannot run here or None, `cells` what it
    computes, `only_when_named` the reason why it runs only when it is named, `requires` what it needs beside NumPy,
    `keeps_compiled` what its first use makes and keeps in the user's cache.
    """

    name: str
    summary: str
    unavailable: dict[str, str | None]
    cells: tuple[str, ...] = Rnn.cells
    only_when_named: str = ""
    requires: tuple[str, ...] = ()
    keeps_compiled: str = ""


def names() -> tuple[str, ...]:
    """The names that `load` knows: the files of `rnnimpl/impls`, then the entry points, each in alphabetical order."""
    return (*_file_names(), *sorted(set(_entry_points()) - set(_file_names())))


def default_names() -> tuple[str, ...]:
    """The implementations that run where none is named: all of `names()` but those with `only_when_named`."""
    return tuple(name for name in names() if not listing(name).only_when_named)


def load(name: str) -> type[Rnn[Any]]:
    """The class of an implementation, by a name from `names()` or as `package.module:Class`.

    Raises ValueError for a name that is not known, with the nearest names, Unavailable when a requirement is not
    installed, TypeError for an object that is no subclass of Rnn.
    """
    if ":" in name:
        return _load_reference(name, name)
    if name in _file_names():
        _require(name, read_class(_file(name)).requires)
        return _the_class(importlib.import_module(f"rnnimpl.impls.{name}"))
    entry_points = _entry_points()
    if name in entry_points:
        return _load_reference(name, entry_points[name])
    raise ValueError(
        f"implementation is {name!r}; {did_you_mean(name, names())}Known: {', '.join(names())}; "
        "your own goes as package.module:Class"
    )


def listing(name: str) -> Listing:
    """The line of an implementation, without importing its framework. Raises as `load` for a name that is not known."""
    facts = read_class(_file(name)) if name in _file_names() else _facts_of_reference(_entry_points().get(name, name))
    unavailable = {device: unmet(name, facts.requires) or _missing_device(device) for device in facts.devices}
    return Listing(
        name=name,
        summary=facts.summary,
        unavailable=unavailable,
        cells=facts.cells,
        only_when_named=facts.only_when_named,
        requires=facts.requires,
        keeps_compiled=facts.keeps_compiled,
    )


def unmet(name: str, requires: tuple[str, ...]) -> str | None:
    """A sentence on the first requirement that is not met here; None when all are met."""
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


def _file_names() -> tuple[str, ...]:
    files = {path.stem for path in IMPLS.glob("*.py")} - {"__init__"}
    return tuple(sorted(files | {path.parent.name for path in IMPLS.glob("*/__init__.py")}))


def _file(name: str) -> Path:
    """The file that defines an implementation's class: a module, or the `__init__.py` of a package."""
    package = IMPLS / name / "__init__.py"
    return package if package.exists() else IMPLS / f"{name}.py"


def _entry_points() -> dict[str, str]:
    return {point.name: point.value for point in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP)}


def _require(name: str, requires: tuple[str, ...]) -> None:
    reason = unmet(name, requires)
    if reason:
        raise Unavailable(reason)


def _load_reference(name: str, reference: str) -> type[Rnn[Any]]:
    """The class that `package.module:Class` names. Raises as `load`; `name` is what the messages call it."""
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
    # A user's module may raise anything, or end the interpreter; the message has its reason.
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
            f"implementation is {name!r}, whose `devices` is {devices!r}; expected some of cpu and cuda: "
            f"{EXPECTED['devices']}"
        )
    if not isinstance(found.cells, tuple) or not {*found.cells} <= {*CELL_NAMES} or not found.cells:
        raise TypeError(
            f"implementation is {name!r}, whose `cells` is {found.cells!r}; expected some of {', '.join(CELL_NAMES)}: "
            f"{EXPECTED['cells']}"
        )
    _require(name, found.requires)
    return found


def _module_and_class(reference: str) -> tuple[str, str]:
    """The two parts of `package.module:Class`. Raises ValueError unless they are names as in an import."""
    module_name, _, class_name = reference.partition(":")
    if not all(part.isidentifier() for part in (*module_name.split("."), class_name)):
        raise ValueError(
            f"implementation is {reference!r}; expected package.module:Class, names as in an import, no path: "
            "a module in another folder is found from there, or with PYTHONPATH set to that folder"
        )
    return module_name, class_name


def _the_class(module: Any) -> type[Rnn[Any]]:
    """The only subclass of Rnn that a file of `impls` defines."""
    defined = [
        value
        for value in vars(module).values()
        if inspect.isclass(value) and issubclass(value, Rnn) and value.__module__ == module.__name__
    ]
    assert len(defined) == 1, f"{module.__name__} defines {defined}; expected one subclass of Rnn"
    return defined[0]


def _facts_of_reference(reference: str) -> ClassFacts:
    """The facts of `package.module:Class`, which is imported only where its source does not have its devices."""
    module_name, class_name = _module_and_class(reference)
    try:
        spec = importlib.util.find_spec(module_name)
    except ModuleNotFoundError:
        spec = None
    if spec is not None and spec.origin is not None and spec.origin.endswith(".py"):
        facts = read_class(Path(spec.origin), class_name)
        if facts.devices:
            return facts
    found = _load_reference(reference, reference)
    summary = (inspect.getdoc(found) or "").partition("\n")[0]
    return ClassFacts(summary, found.devices, found.cells, found.requires, found.only_when_named, found.keeps_compiled)


def _missing_device(device: str) -> str | None:
    """A sentence on why this machine has no such device, without loading a framework; None when it has one."""
    if device == "cpu":
        return None
    try:
        import pynvml

        pynvml.nvmlInit()
        count = pynvml.nvmlDeviceGetCount()
        pynvml.nvmlShutdown()
    except ModuleNotFoundError:
        return "no CUDA device is known: nvidia-ml-py, which would find it, is not installed"
    except pynvml.NVMLError as error:
        return f"no CUDA device: the NVIDIA driver does not answer ({error})"
    return None if count else "no CUDA device: the NVIDIA driver sees none"
