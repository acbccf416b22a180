"""The registry finds files, entry points and module:Class, and answers what it does not find with a sentence."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import rnnimpl
from rnnimpl import Unavailable, load, names, registry
from rnnimpl.impls.numpy_loop import NumpyLoop
from rnnimpl.registry import listing, unmet

SOURCE = '''"""Mine, in a sentence.

And more.
"""
from rnnimpl.impls.numpy_loop import NumpyLoop


class Mine(NumpyLoop):
    devices = ("cpu",)


class Inherits(NumpyLoop):
    """Says nothing of devices itself."""


class Needs(NumpyLoop):
    devices = ("cpu",)
    requires = ("no-such-framework>=2",)


NOT_A_CLASS = 3
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on Python's path, with the module `somebodys_rnn` in it."""
    (tmp_path / "somebodys_rnn.py").write_text(SOURCE, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("somebodys_rnn", None)


@pytest.fixture
def entry_point(folder: Path) -> Path:
    """An installed package that announces `mine`, and a name that a file has already."""
    info = folder / "somebodys_rnn-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: somebodys-rnn\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(
        "[rnnimpl.implementations]\nmine = somebodys_rnn:Mine\nnumpy_loop = somebodys_rnn:Inherits\n", encoding="utf-8"
    )
    return folder


def test_names_are_those_of_the_files_and_packages() -> None:
    folder = Path(rnnimpl.__file__).parent / "impls"
    files = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    packages = {path.parent.name for path in folder.glob("*/__init__.py")}
    assert "numpy_loop" in packages
    assert list(names()) == sorted(files | packages)


@pytest.mark.parametrize("name", names())
def test_every_file_has_one_class_and_says_what_it_is(name: str) -> None:
    line = listing(name)
    try:
        found = load(name)
    except Unavailable as reason:
        pytest.skip(str(reason))
    assert found.__module__ == f"rnnimpl.impls.{name}"
    assert tuple(line.unavailable) == found.devices
    assert line.cells == found.cells
    assert line.requires == found.requires
    assert line.summary


def test_what_runs_only_when_named_is_not_meant_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A class with the literal `only_when_named` is not among the default names."""
    for name, literal in (("quick", ""), ("slow", '    only_when_named = "takes an hour"')):
        (tmp_path / f"{name}.py").write_text(f'class It:\n    devices = ("cpu",)\n{literal}\n', encoding="utf-8")
    monkeypatch.setattr(registry, "IMPLS", tmp_path)
    assert {"quick", "slow"} <= set(names())
    assert "quick" in registry.default_names()
    assert "slow" not in registry.default_names()
    assert listing("slow").only_when_named == "takes an hour"


@pytest.mark.usefixtures("entry_point")
def test_an_entry_point_is_found_by_its_name() -> None:
    """An entry point comes after the files, and is listed without being imported."""
    assert names()[-1] == "mine"
    assert listing("mine") == registry.Listing("mine", "Mine, in a sentence.", {"cpu": None})
    assert "somebodys_rnn" not in sys.modules
    assert load("mine").__name__ == "Mine"


@pytest.mark.usefixtures("entry_point")
def test_a_file_goes_before_an_entry_point_of_its_name() -> None:
    assert load("numpy_loop") is NumpyLoop
    assert list(names()).count("numpy_loop") == 1


@pytest.mark.usefixtures("folder")
def test_a_class_of_any_module_is_loaded() -> None:
    found = load("somebodys_rnn:Mine")
    assert issubclass(found, NumpyLoop)
    assert listing("somebodys_rnn:Mine").unavailable == {"cpu": None}


@pytest.mark.usefixtures("folder")
def test_a_class_that_inherits_its_devices_is_listed() -> None:
    """A class whose source does not have its devices is imported to be listed."""
    assert listing("somebodys_rnn:Inherits").unavailable == {"cpu": None}
    assert listing("somebodys_rnn:Inherits").summary == "Says nothing of devices itself."


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("reference", "error", "said"),
    [
        ("somebodys_rnn:Mein", ValueError, r"somebodys_rnn has no 'Mein'; it has .*'Mine'"),
        ("somebodys_rnn:NOT_A_CLASS", TypeError, "which is 3; expected a subclass of rnnimpl.Rnn"),
        ("nowhere.at_all:Mine", ValueError, "there is no module 'nowhere'; .*is it installed, or in the current"),
        ("rnnimpl.nowhere:Mine", ValueError, "there is no module 'rnnimpl.nowhere'"),
        ("somebodys_rnn:Needs", Unavailable, "needs no-such-framework, which is not installed: pip install"),
        ("../somebodys_rnn:Mine", ValueError, "expected package.module:Class, names as in an import, no path"),
        ("somebodys_rnn:", ValueError, "is 'somebodys_rnn:'; expected package.module:Class"),
        ("rnnimpl.interface:Rnn", TypeError, "whose `devices` is None; expected some of cpu and cuda"),
    ],
)
def test_what_cannot_be_loaded_says_why(reference: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        load(reference)


@pytest.mark.parametrize("reference", ["../somebodys_rnn:Mine", ":Mine", "somebodys_rnn:Mein", "rnnimpl.interface:Rnn"])
@pytest.mark.usefixtures("folder")
def test_what_cannot_be_loaded_cannot_be_listed(reference: str) -> None:
    """`listing` raises before a sweep begins to measure."""
    with pytest.raises((ValueError, TypeError), match="implementation is "):
        listing(reference)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('devices = ("cpu")', "careless.py, line 4: devices is 'cpu'; expected a tuple of texts, .* with its comma"),
        ("devices = tuple(ALL)", r"careless.py, line 4: devices is tuple\(ALL\); expected .* as a literal"),
        ('devices = ("cpu",)\n    requires = "numba"', "line 5: requires is 'numba'; expected a tuple of texts"),
        ('devices = ("cpu",)\n    only_when_named = True', "line 5: only_when_named is True; expected a text"),
        ("devices = (", "careless.py, line 4, is no Python: "),
    ],
)
def test_what_cannot_be_read_from_a_source_is_named(folder: Path, line: str, said: str) -> None:
    """The message has the file, the line, the value and the expectation."""
    (folder / "careless.py").write_text(f"ALL = ['cpu']\n\nclass Careless:\n    {line}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=said):
        listing("careless:Careless")


def test_a_module_that_raises_when_it_is_imported_says_what(folder: Path) -> None:
    """The message has the type and the text of the exception."""
    (folder / "raises_at_once.py").write_text("import numpy\nnp.zeros(3)\n", encoding="utf-8")
    with pytest.raises(ValueError, match="importing raises_at_once fails with NameError: name 'np' is not defined"):
        load("raises_at_once:Mine")


def test_a_module_whose_own_import_is_missing_is_unavailable(folder: Path) -> None:
    """A module that imports a missing package is Unavailable, not unknown."""
    (folder / "half_there.py").write_text("import no_such_framework\n", encoding="utf-8")
    with pytest.raises(Unavailable, match="half_there:Mine needs no_such_framework, which is not installed"):
        load("half_there:Mine")


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"implementation is 'numpy_lop'; did you mean numpy_loop\b.*module:Class"):
        load("numpy_lop")


def test_a_name_near_to_nothing_is_answered_with_all() -> None:
    with pytest.raises(ValueError, match="implementation is 'xyzzy'; Known: ") as caught:
        load("xyzzy")
    assert "did you mean" not in str(caught.value)


@pytest.mark.parametrize(
    ("requires", "said"),
    [
        (("numpy>=2",), None),
        ((), None),
        (("python>=3.11",), None),
        (("python<3",), r"mine needs python<3; this is Python 3\.\d+"),
        (("no-such-framework>=1",), "mine needs no-such-framework, which is not installed: pip install 'no-such"),
        (("numpy>=99",), r"mine needs numpy>=99; numpy \S+ is installed: pip install 'numpy>=99'"),
    ],
)
def test_unmet_requirements_are_named(requires: tuple[str, ...], said: str | None) -> None:
    found = unmet("mine", requires)
    assert found is None if said is None else re.match(said, found or "")


def test_a_missing_framework_makes_a_file_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is unavailable in the list and when it is loaded, and its file is not imported."""
    (tmp_path / "exotic.py").write_text(
        '"""Exotic."""\nimport no_such_framework\nclass Exotic:\n'
        '    devices = ("cpu", "cuda")\n    requires = ("no-such-framework",)\n',
        encoding="utf-8",
    )
    monkeypatch.setattr(registry, "IMPLS", tmp_path)
    assert set(listing("exotic").unavailable) == {"cpu", "cuda"}
    assert "which is not installed" in (listing("exotic").unavailable["cpu"] or "")
    with pytest.raises(Unavailable, match="exotic needs no-such-framework, which is not installed"):
        load("exotic")
