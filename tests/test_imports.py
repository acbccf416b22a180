"""Imports run one way: benchmarks -> rnnimpl, impls -> torch_base -> interface; and nothing heavy comes unasked."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
RNNIMPL = ROOT / "rnnimpl"
FILES = sorted(RNNIMPL.rglob("*.py"))
IMPLS = sorted((RNNIMPL / "impls").rglob("*.py"))
FRAMEWORKS = ("torch", "jax", "onnxruntime", "openvino", "numba", "triton", "scipy", "pandas", "matplotlib")


def imports(path: Path) -> set[str]:
    """Every module that a file imports, wherever in it; `from a import b` counts as a and as a.b."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            module = node.module or ""
            found |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return found


def inside(package: str, modules: set[str]) -> set[str]:
    """Those of the modules that are the package or in it."""
    return {module for module in modules if module == package or module.startswith(package + ".")}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_in_rnnimpl_imports_benchmarks(path: Path) -> None:
    assert not inside("benchmarks", imports(path))


@pytest.mark.parametrize("path", IMPLS, ids=lambda path: str(path.relative_to(RNNIMPL / "impls")))
def test_no_implementation_imports_another(path: Path) -> None:
    """Nor what a cell is, nor the reference, nor what checks it: that they agree would prove nothing.

    The files of one implementation's package import each other.
    """
    found = imports(path)
    if path.parent.name != "impls":
        found -= inside(f"rnnimpl.impls.{path.parent.name}", found)
    for package in ("impls", "cells", "reference", "tolerance", "expectation", "conformance"):
        assert not inside(f"rnnimpl.{package}", found)


@pytest.mark.parametrize("module", ["reference", "expectation", "tolerance"])
def test_the_reference_shares_no_code_with_implementations(module: str) -> None:
    """Names and shapes of the interface, rounding of the dtypes; and nothing that computes."""
    ours = inside("rnnimpl", imports(RNNIMPL / f"{module}.py"))
    allowed = ["rnnimpl.interface", "rnnimpl.dtypes", "rnnimpl.arithmetic"]
    if module != "expectation":
        allowed += ["rnnimpl.cells"]
    if module == "tolerance":
        allowed += ["rnnimpl.reference", "rnnimpl.expectation"]
    assert not {name for name in ours if not any(inside(each, {name}) for each in allowed)}


@pytest.mark.parametrize("path", sorted((RNNIMPL / "cells").glob("*.py")), ids=lambda path: path.stem)
def test_a_cell_imports_no_implementation(path: Path) -> None:
    """Nor anything else that computes, but for how numbers are rounded."""
    ours = inside("rnnimpl", imports(path))
    allowed = ("rnnimpl.cells", "rnnimpl.arithmetic")
    assert not {name for name in ours if not any(inside(each, {name}) for each in allowed)}


@pytest.mark.parametrize("base", ["torch_base", "torch_layers", "numpy_base", "inference_base"])
def test_a_base_knows_the_interface_alone(base: str) -> None:
    ours = inside("rnnimpl", imports(RNNIMPL / f"{base}.py"))
    assert not ours - inside("rnnimpl.interface", ours) - inside("rnnimpl.dtypes", ours)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_pytest_in_rnnimpl(path: Path) -> None:
    """The conformance suite is for other projects, too."""
    assert not inside("pytest", imports(path))


@pytest.mark.parametrize(
    "statement",
    [
        "import rnnimpl; rnnimpl.names(); [rnnimpl.registry.listing(name) for name in rnnimpl.names()]",
        "import rnnimpl; rnnimpl.load('numpy_loop')",
        "from rnnimpl import conformance; import rnnimpl; "
        "conformance.run(rnnimpl.load('numpy_loop'), selected=conformance.cases()[:1])",
        "import rnnimpl.tolerance, rnnimpl.reference",
    ],
)
def test_no_framework_is_imported_before_an_implementation_that_needs_it(statement: str) -> None:
    """Looked for in a fresh process."""
    code = f"import sys; {statement}; print([name for name in {(*FRAMEWORKS, 'benchmarks')} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
