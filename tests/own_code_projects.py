"""Small projects in git whose benchmark reports which revision's code it runs, for tests of the origins of modules."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from benchmarks.files import scratch_folder
from benchmarks.regression.environments.kept_environments import Choice
from benchmarks.regression.environments.preparing import Preparation, PreparedSide
from benchmarks.regression.environments.requirements import NOTHING_ELSE, Needs
from benchmarks.regression.environments.revisions import check_out, remove_worktrees
from benchmarks.regression.plugins import ORIGINS
from benchmarks.regression.processes.loaded import read_loaded
from benchmarks.regression.processes.outcomes import Outcome
from benchmarks.regression.processes.process_record import ProcessRecord
from benchmarks.regression.processes.pytest_command import Side, environment

SETUP = """
from setuptools import Extension, setup
setup(name="fastpkg", version="1", packages=["fastpkg"], ext_modules=[Extension("fastpkg._fast", ["fastpkg/_fast.c"])])
"""
EXTENSION = """
#include <Python.h>
static PyObject* revision(PyObject* self, PyObject* none) { return PyLong_FromLong(REVISION); }
static PyMethodDef methods[] = {{"revision", revision, METH_NOARGS, ""}, {0}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_fast", "", -1, methods};
PyMODINIT_FUNC PyInit__fast(void) { return PyModule_Create(&module); }
"""
FALLBACK = """
try:
    from fastpkg._fast import revision
except ImportError:
    def revision():
        return "Python"
"""


def git(folder: Path, *words: str) -> str:
    """The answer of git, which has an identity for commits."""
    identity = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.com")
    command = ["git", *identity, *words]  # the git that is on the path
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def suite_of(module: str) -> str:
    """The source of a benchmark that records, in extra_info, what the module's `revision` returns."""
    return (
        f"from {module} import revision\n\n"
        "def test_revision(benchmark):\n"
        "    benchmark.extra_info['revision'] = revision()\n"
        "    benchmark(revision)\n"
    )


def project(folder: Path, files: Mapping[str, str]) -> Path:
    """A project of two commits; REVISION in the files becomes 1 and 2."""
    folder.mkdir()
    git(folder, "init", "--quiet")
    for number in ("1", "2"):
        for name, content in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(content.replace("REVISION", number))
        git(folder, "add", ".")
        git(folder, "commit", "--quiet", "-m", number)
    return folder


BENCHMARK = """
import json, os, pytest
infos = {}
class Benchmark:
    def __init__(self, name):
        self.extra_info = infos.setdefault(name, {})
    def __call__(self, measured):
        measured()
@pytest.fixture
def benchmark(request):
    return Benchmark(request.node.nodeid)
outcomes, broken = {}, {}
def pytest_runtest_logreport(report):
    if report.when == "call":
        outcomes[report.nodeid] = [report.outcome, str(report.longrepr or "")]
def pytest_collectreport(report):
    if report.failed:
        broken[report.nodeid] = str(report.longrepr)
def pytest_sessionfinish():
    with open(os.path.join(os.path.dirname(__file__), "seen.json"), "w") as file:
        json.dump([infos, outcomes, broken], file)
"""


def quick_dry_run(side: Side) -> ProcessRecord:
    """A dry run with the paths of the real one and without pytest-benchmark, which takes a second to start."""
    with scratch_folder("process") as scratch:
        write(scratch / "quick_benchmark.py", BENCHMARK)
        shutil.copy(ORIGINS, scratch)
        variables = environment(side, scratch, 0) | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        command = [side.python, "-m", "pytest", side.suite, "--rootdir=.", "-p", "no:cacheprovider", "-q"]
        command += ["-p", ORIGINS.stem, "-p", "quick_benchmark"]
        subprocess.run(command, cwd=side.folder, env=variables, check=False, capture_output=True)
        infos, given, broken = json.loads((scratch / "seen.json").read_text())
        outcomes = {case: Outcome(*each) for case, each in given.items()}
        return ProcessRecord(extra_info=infos, outcomes=outcomes, broken=broken, loaded=read_loaded(scratch))


def write(path: Path, content: str) -> Path:
    """Write a new file, and make its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def ran(prepared: PreparedSide) -> object:
    """The revision whose code the side ran in its dry run."""
    assert prepared.dry_run.extra_info, prepared.dry_run.output
    (info,) = prepared.dry_run.extra_info.values()
    return info["revision"]


@contextlib.contextmanager
def prepared(
    top: Path,
    choice: Choice = "auto",
    head: str | None = None,
    suite: str = "bench",
    dry_run: Callable[[Side], ProcessRecord] = quick_dry_run,
    needs: Needs = NOTHING_ELSE,
) -> Iterator[tuple[tuple[PreparedSide, PreparedSide], list[str]]]:
    """The first commit and the checkout, or `head`, as prepared sides; and the sentences for the user."""
    said: list[str] = []
    with check_out(top, "HEAD~1", head) as (base, head_revision), scratch_folder("builds") as builds:
        try:
            preparation = Preparation(top, suite, builds, dry_run=dry_run, say=said.append, needs=needs)
            yield preparation.pair(base, head_revision, choice), said
        finally:
            remove_worktrees(builds)


def revisions_of(top: Path, choice: Choice = "auto", head: str | None = None, suite: str = "bench") -> list[object]:
    """The revisions whose code base and head ran."""
    with prepared(top, choice, head, suite) as (both, _):
        return [ran(each) for each in both]
