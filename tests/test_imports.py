"""Imports run one way: benchmarks -> rnnimpl, impls -> torch_base -> interface -> network, and within benchmarks down.

Nothing heavy is imported unasked.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from rnnimpl import interface, network

ROOT = Path(__file__).parent.parent
RNNIMPL = ROOT / "rnnimpl"
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((ROOT / "benchmarks").rglob("*.py"))
}
"""{name: file} of every module of `benchmarks`."""
FLOORS: dict[str, tuple[str, ...]] = {
    "benchmarks": (
        "program quoting raised reading statistics quantity files sequence_lengths",
        "workload presentation json_lines latencies",
        "trial counts",
        "stored_trial memory_needed",
        "store",
        "sweeps machine",
        "limits",
        "measuring runs",
        "reporting models",
        "suite training profiling advice cluster",
        "suite_gated suite_engines regression",
        "history",
        "commands",
    ),
    "benchmarks.measuring": (
        "environment conditions",
        "inputs",
        "calls",
        "measure",
        "modes",
        "checking processes",
        "visits",
        "sweeping",
    ),
    "benchmarks.reporting": (
        "answers",
        "topics",
        "analysis",
        "words",
        "sections plots page tables",
        "report notebook splicing",
    ),
    "benchmarks.regression": (
        "plugins",
        "processes",
        "environments judging",
        "measuring configuration suite_kinds",
        "dry_run",
        "regress calibration",
        "verdict_text",
        "output",
    ),
    "benchmarks.profiling": (
        "records replies call_passes",
        "sampling",
        "counting reporting",
        "tracing",
    ),
}
"""{package: its rooms, packages and modules, from the lowest floor up}. A file imports from its own room and from lower
floors. What is in no room stands above all of them: `load_run`, the command line, the verb `profile`, `check_cost`."""
OLD_NAMES = (
    "benchmarks.machine.bounds",
    "benchmarks.profiling.report",
    "benchmarks.reporting.frames",
    "benchmarks.reporting.ratios",
    "benchmarks.reporting.setting_answers",
)
"""Modules that keep an import of users' scripts working, and that nothing here imports."""
HEAVY = ("torch", "jax", "onnxruntime", "openvino")
READERS = ("store", "runs", "reporting", "profiling.reporting", "history.report")
"""The rooms that read runs and make reports of them."""
FILES = sorted(RNNIMPL.rglob("*.py"))
IMPLS = sorted((RNNIMPL / "impls").rglob("*.py"))
REFERENCE = ("reference", "expectation", "tolerance", "plain_loop", "running_sums", "kinks")
"""The modules of expected results and of the errors that are allowed."""
BASES = (
    "layer_stack",
    "numpy_arrays",
    "numpy_layer",
    "numpy_segments",
    "numpy_base",
    "inference_base",
    "torch_base",
    "torch_layers",
    "torch_hoisted_layer",
)
"""The modules that several implementations share."""
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
    """The modules that are the package or in it."""
    return {module for module in modules if module == package or module.startswith(package + ".")}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_in_rnnimpl_imports_benchmarks(path: Path) -> None:
    assert not inside("benchmarks", imports(path))


@pytest.mark.parametrize("path", IMPLS, ids=lambda path: str(path.relative_to(RNNIMPL / "impls")))
def test_no_implementation_imports_another(path: Path) -> None:
    """No implementation imports another, a cell's definition, the reference or a check, with which it would agree.

    The files of one implementation's package import each other.
    """
    found = imports(path)
    if path.parent.name != "impls":
        found -= inside(f"rnnimpl.impls.{path.parent.name}", found)
    for package in ("impls", "cells", *REFERENCE, "conformance"):
        assert not inside(f"rnnimpl.{package}", found)


@pytest.mark.parametrize("module", REFERENCE)
def test_the_reference_shares_no_code_with_implementations(module: str) -> None:
    """The reference imports names, shapes and the rounding of dtypes, and nothing else that computes."""
    ours = inside("rnnimpl", imports(RNNIMPL / f"{module}.py"))
    allowed = ["rnnimpl.interface", "rnnimpl.dtypes", "rnnimpl.arithmetic", "rnnimpl.lengths"]
    if module != "expectation":
        allowed += ["rnnimpl.cells"]
    if module not in ("expectation", "reference"):
        allowed += [f"rnnimpl.{each}" for each in REFERENCE]
    assert not {name for name in ours if not any(inside(each, {name}) for each in allowed)}


@pytest.mark.parametrize("path", sorted((RNNIMPL / "cells").glob("*.py")), ids=lambda path: path.stem)
def test_a_cell_imports_no_implementation(path: Path) -> None:
    """A cell imports the rounding of numbers, and nothing else that computes."""
    ours = inside("rnnimpl", imports(path))
    allowed = ("rnnimpl.cells", "rnnimpl.arithmetic")
    assert not {name for name in ours if not any(inside(each, {name}) for each in allowed)}


def test_the_interface_has_every_name_of_the_network() -> None:
    """`rnnimpl.interface` is one place to import from to write an implementation."""
    names = {name for name in vars(network) if not name.startswith("_")}
    defined = {name for name in names if getattr(vars(network)[name], "__module__", None) == network.__name__}
    assert {"RnnConfig", "Weights", "layer_weight_names"} <= defined
    for name in (*defined, "Array", "CELL_NAMES", "CellName", "NumpyArray", "State"):
        assert name in interface.__all__
        assert vars(interface)[name] is vars(network)[name]


def test_the_network_knows_nothing_of_implementations() -> None:
    ours = inside("rnnimpl", imports(RNNIMPL / "network.py"))
    allowed = ("rnnimpl.cells", "rnnimpl.dtypes", "rnnimpl.state_dict", "rnnimpl.suggestions")
    assert not {name for name in ours - {"rnnimpl"} if not any(inside(each, {name}) for each in allowed)}


@pytest.mark.parametrize("base", BASES)
def test_a_base_knows_the_interface_alone(base: str) -> None:
    """A base imports the interface and other bases; no cell, reference or check."""
    ours = inside("rnnimpl", imports(RNNIMPL / f"{base}.py"))
    allowed = ("rnnimpl.interface", "rnnimpl.dtypes", *(f"rnnimpl.{each}" for each in BASES))
    assert not {name for name in ours if not any(inside(each, {name}) for each in allowed)}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_pytest_in_rnnimpl(path: Path) -> None:
    """Other projects use the conformance suite without pytest."""
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
    """A fresh process that lists, loads or checks NumPy's implementations imports no framework."""
    code = f"import sys; {statement}; print([name for name in {(*FRAMEWORKS, 'benchmarks')} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def rooms(package: str) -> dict[str, int]:
    """{room: floor} of a package, 0 being the lowest floor."""
    return {f"{package}.{name}": at for at, floor in enumerate(FLOORS[package]) for name in floor.split()}


def room_of(module: str, package: str) -> str:
    """The room of a package that a module is in; the package itself where it is in none."""
    return next((each for each in rooms(package) if inside(each, {module})), package)


@pytest.mark.parametrize("package", FLOORS)
def test_a_room_imports_from_lower_floors_alone(package: str) -> None:
    """An import counts wherever in a file it stands."""
    floors = rooms(package) | {package: len(FLOORS[package])}
    above = []
    for module in inside(package, MODULES.keys() - set(OLD_NAMES)):
        own = room_of(module, package)
        for name in inside(package, imports(MODULES[module])) & MODULES.keys() - {package}:
            other = room_of(name, package)
            if other != own and floors[other] >= floors[own]:
                above.append(f"{module} imports {name}")
    assert not above, f"FLOORS has none of these below the other: {', '.join(sorted(above))}"


@pytest.mark.parametrize("package", FLOORS)
def test_every_room_has_a_floor(package: str) -> None:
    """A new room is a word in `FLOORS`; a word that names no room would hide one that has moved."""
    there = {name for name in MODULES if name.rpartition(".")[0] == package}
    packages = {name for name in there if MODULES[name].name == "__init__.py"}
    assert packages <= rooms(package).keys() <= there


@pytest.mark.parametrize("package", FLOORS)
def test_every_room_is_described(package: str) -> None:
    """A folder's room is in docs/architecture.md, by its name with a slash."""
    described = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    folders = (name.rpartition(".")[2] for name in rooms(package) if MODULES[name].name == "__init__.py")
    missing = [folder for folder in folders if f"`{folder}/`" not in described]
    assert not missing, f"docs/architecture.md does not describe {', '.join(missing)}"


@pytest.mark.parametrize("old", OLD_NAMES)
def test_an_old_name_is_for_scripts_alone(old: str) -> None:
    assert not [name for name, path in MODULES.items() if inside(old, imports(path))]


@pytest.mark.parametrize("reader", READERS)
def test_reading_and_reporting_never_import_a_framework(reader: str) -> None:
    """No module that they reach imports one, at once or later: a report can be made on a machine without it."""
    start = inside(f"benchmarks.{reader}", set(MODULES))
    assert start
    reached, following = set(start), start
    while following:
        following = {name for each in following for name in imports(MODULES[each]) if name in MODULES} - reached
        reached |= following
    heavy = {each for each in reached for name in HEAVY if inside(name, imports(MODULES[each]))}
    assert not heavy, f"{reader} reaches {', '.join(sorted(heavy))}"
