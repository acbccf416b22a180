"""`track` refuses a suite that holds the code that it measures: it would replace that of every revision."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from benchmarks.history.plan import plan_track
from benchmarks.history.suite_check import refuse_measured_code, refuse_suite_with_code
from benchmarks.regression.environments.origins import OwnCode
from benchmarks.regression.environments.preparing import PreparedSide
from benchmarks.regression.environments.sources import sources_of
from benchmarks.regression.processes.loaded import Loaded
from benchmarks.regression.processes.outcomes import PASSED
from benchmarks.regression.processes.pytest_command import Side
from tests.own_code_projects import project
from tests.synthetic_records import record

TEST = "def test_it(benchmark):\n    benchmark(sum, [])\n"


@pytest.mark.parametrize(
    ("suite", "files", "reason"),
    [
        (".", {"m.py": "", "test_m.py": "import m\n"}, "it is the whole checkout"),
        ("part", {"part/pyproject.toml": "", "part/m.py": ""}, "part/pyproject.toml makes it a project"),
        ("pkg/core", {"pkg/core/work.py": "", "pkg/api.py": "from pkg.core import work\n"}, "pkg/api.py imports"),
        ("pkg/core", {"pkg/core/work.py": "", "pkg/api.py": "from .core.work import f\n"}, "pkg/api.py imports"),
        ("src", {"src/work.py": "", "run.py": "import work\n"}, "run.py imports src/work.py of it"),
    ],
    ids=["top", "project", "absolute import", "relative import", "folder of modules"],
)
def test_a_suite_with_measured_code_is_refused(
    tmp_path: Path, suite: str, files: Mapping[str, str], reason: str
) -> None:
    """The refusal names the evidence."""
    top = project(tmp_path / "project", {f"{suite}/test_it.py": TEST, "data.txt": "REVISION", **files})
    with pytest.raises(
        ValueError, match=rf"holds code that it measures \({reason}.*expected a folder or file of bench"
    ):
        plan_track(top, ["HEAD"], None, suite=suite, processes=1)


@pytest.mark.parametrize(
    "files",
    [
        {"bench/numpy.py": "", "m.py": "import numpy\n"},
        {"bench/helpers.py": "", "tests/test_helpers.py": "from bench import helpers\n"},
        {"bench/conftest.py": "", "m.py": "import bench.conftest\nthis is no Python"},
    ],
    ids=["a name that is also a library's", "tests of its helpers", "a file that is no Python"],
)
def test_a_suite_with_helpers_of_its_own_is_accepted(tmp_path: Path, files: Mapping[str, str]) -> None:
    """Helpers are part of the suite."""
    top = project(tmp_path / "project", {"bench/test_it.py": TEST, "data.txt": "REVISION", **files})
    refuse_measured_code(top, "bench")


@pytest.mark.parametrize(("others", "refused"), [((), True), (("m.py",), False), (("bench/test_it.py",), True)])
def test_a_suite_that_runs_no_other_code_of_a_revision_is_refused(
    tmp_path: Path, others: tuple[str, ...], refused: bool
) -> None:
    """All modules of the project that its dry run loaded lie in the suite."""
    top = project(tmp_path / "project", {"bench/test_it.py": TEST, "bench/m.py": "REVISION", "m.py": ""})
    modules = {name: (top / name,) for name in ("bench/test_it.py", "bench/m.py", *others)}
    dry_run = record({"bench/test_it.py::test_it": PASSED}, loaded=Loaded(modules))
    ready = PreparedSide(Side("a", top, "python", "bench"), OwnCode("a", sources_of(top), (top,)), dry_run)
    if refused:
        with pytest.raises(ValueError, match=r"its tests import bench/m.py of it, and no other module"):
            refuse_suite_with_code("bench", ready)
    else:
        refuse_suite_with_code("bench", ready)
