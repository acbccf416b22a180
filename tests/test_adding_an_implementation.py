"""The walk-through in docs/adding_an_implementation.md works, and needs one file."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import rnnimpl
from rnnimpl import conformance, registry
from rnnimpl.__main__ import app

PAGE = Path(__file__).parent.parent / "docs" / "adding_an_implementation.md"
TEXT = PAGE.read_text(encoding="utf-8")


BLOCKS: list[str] = re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
"""The page's files: in NumPy, and in PyTorch."""


@pytest.fixture
def source() -> str:
    """The page's first file, to which its commands refer."""
    return BLOCKS[0]


def test_the_file_passes_conformance_from_the_current_folder(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page's command passes, with every fourth of the sizes, which take longest."""
    cases = [case for at, case in enumerate(conformance.cases()) if "_at_sizes-" not in case.id or at % 4 == 0]
    monkeypatch.setattr(conformance, "cases", lambda: cases)
    (tmp_path / "numpy_fused.py").write_text(source, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", list(sys.path))
    command = re.search(r"^\$ python -m rnnimpl (check .*)$", TEXT, re.MULTILINE)
    assert command is not None
    result = CliRunner().invoke(app, command.group(1).split())
    assert result.exit_code == 0, result.output
    assert " 0 failed" in result.output


def test_the_file_in_pytorch_passes_every_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page's second file passes each check on one network, but those of lengths, which it does not take."""
    (tmp_path / "wrapped.py").write_text(BLOCKS[1], encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    cases = {case.check: case for case in conformance.cases() if case.example.config.cell == "lstm"}
    results = conformance.run(rnnimpl.load("wrapped:Wrapped"), "cpu", selected=list(cases.values()))
    assert {case.check for case in conformance.cases()} == {*cases}
    of_lengths = {check.__name__ for check in cases if check.__module__.endswith(".lengths")}
    expected = {check.__name__: "unsupported" if check.__name__ in of_lengths else "passed" for check in cases}
    assert {result.check: result.status for result in results} == expected
    sys.modules.pop("wrapped")


def test_the_file_in_impls_is_an_implementation(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is listed and loaded by its name without another edit."""
    impls = tmp_path / "impls"
    shutil.copytree(registry.IMPLS, impls, ignore=shutil.ignore_patterns("__pycache__"))
    (impls / "numpy_fused.py").write_text(source, encoding="utf-8")
    monkeypatch.setattr(registry, "IMPLS", impls)
    monkeypatch.setattr("rnnimpl.impls.__path__", [str(impls)])
    assert "numpy_fused" in rnnimpl.names()
    assert rnnimpl.registry.listing("numpy_fused").unavailable == {"cpu": None}
    assert rnnimpl.registry.listing("numpy_fused").cells == ("tanh",)
    case = conformance.cases()[0]
    assert case.check(rnnimpl.load("numpy_fused"), case.example, "cpu") is not None


def test_the_diff_shows_the_file(source: str) -> None:
    """The page's diff has the file's number of lines and its first line."""
    assert f"@@ -0,0 +1,{len(source.splitlines())} @@\n+{source.splitlines()[0]}\n" in TEXT
