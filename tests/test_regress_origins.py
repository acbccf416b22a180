"""Each side of `regress` runs its own code in every layout of a project, or the run is refused: real dry runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from benchmarks.regression.dry_run import dry_run
from benchmarks.regression.environments.requirements import Needs
from tests.own_code_projects import (
    EXTENSION,
    FALLBACK,
    SETUP,
    git,
    prepared,
    project,
    ran,
    revisions_of,
    suite_of,
    write,
)

PACKAGE = "def revision():\n    return REVISION\n"
NO_INDEX = {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0"}
"""The variables by which pip builds with the packages of this environment. The value 0 turns isolation off."""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("PYTHONPATH", raising=False)
    for name, value in NO_INDEX.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    ("module", "file"),
    [("pkg", "pkg.py"), ("pkg", "src/pkg/__init__.py"), ("space.pkg", "src/space/pkg.py")],
    ids=["top-level module", "src", "namespace package"],
)
def test_packages_at_the_usual_places_are_each_sides_own(tmp_path: Path, module: str, file: str) -> None:
    """They are imported from the sources, whatever else is installed."""
    top = project(tmp_path / "project", {file: PACKAGE, "bench/test_it.py": suite_of(module)})
    assert revisions_of(top) == [1, 2]


def test_a_real_dry_run_records_the_modules_that_it_loads(tmp_path: Path) -> None:
    """pytest-benchmark is among them, and is no code of the project."""
    top = project(tmp_path / "project", {"src/pkg/__init__.py": PACKAGE, "bench/test_it.py": suite_of("pkg")})
    with prepared(top, dry_run=dry_run) as (both, _):
        assert [each.dry_run.extra_info["bench/test_it.py::test_revision"]["revision"] for each in both] == [1, 2]
        loaded = [each.dry_run.loaded for each in both]
    assert [each is not None and each.modules["pkg"] for each in loaded] == [
        (each.side.folder / "src/pkg/__init__.py",) for each in both
    ]
    assert all(each is not None and "pytest_benchmark" in each.modules for each in loaded)


@pytest.mark.parametrize(
    ("folder", "installed"), [("python", "editable"), ("services/api", "copied"), ("lib", "not at all")]
)
def test_a_package_in_a_subfolder_is_each_sides_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str, installed: str
) -> None:
    """Its folder is put first on the path where the package was taken from elsewhere, or was not found."""
    files = {f"{folder}/pkg/__init__.py": PACKAGE, "bench/test_it.py": suite_of("pkg")}
    top = project(tmp_path / "project", files)
    if installed == "editable":
        monkeypatch.setenv("PYTHONPATH", str(top / folder))
    if installed == "copied":
        shutil.copytree(top / folder, tmp_path / "site")
        monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    with prepared(top) as (both, said):
        assert [each.dry_run.extra_info["bench/test_it.py::test_revision"]["revision"] for each in both] == [1, 2]
    assert f"base runs again with {folder} first on the path" in said


@pytest.mark.parametrize("installed", ["editable", "not at all"])
def test_packages_of_a_workspace_are_each_sides_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installed: str
) -> None:
    """One asks for another, which is missed only once the first is found: both folders come first on the path."""
    files = {
        "packages/app/src/app/__init__.py": "from core_lib import revision\n",
        "packages/core/src/core_lib/__init__.py": PACKAGE,
        "packages/app/bench/test_it.py": suite_of("app"),
    }
    top = project(tmp_path / "project", files)
    folders = ("packages/app/src", "packages/core/src")
    if installed == "editable":
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(str(top / folder) for folder in folders))
    with prepared(top, suite="packages/app/bench") as (both, said):
        assert [ran(each) for each in both] == [1, 2]
    for folder in folders:
        assert said.count(f"base runs again with {folder} first on the path") == 1


def test_build_steps_run_in_a_copy_of_each_revision(tmp_path: Path) -> None:
    """They make a module that git ignores; the checkout stays as it is, and a step that fails is refused."""
    files = {
        "make.py": "open('tables.py', 'w').write('def revision(): return REVISION')\n",
        ".gitignore": "tables.py\n",
        "bench/test_it.py": suite_of("tables"),
    }
    top = project(tmp_path / "project", files)
    with prepared(top, needs=Needs(build=(("python", "make.py"),))) as (both, _):
        assert [each.dry_run.extra_info["bench/test_it.py::test_revision"]["revision"] for each in both] == [1, 2]
    assert not (top / "tables.py").exists()
    wrong = Needs(build=(("python", "-c", "raise SystemExit('no tables')"),))
    with (
        pytest.raises(ValueError, match=r"the build step `python .*` failed on HEAD~1 .*: no tables; mend it"),
        prepared(top, needs=wrong),
    ):
        pass


FINDER = """
import importlib.util, sys
class Editable:
    def find_spec(self, name, path=None, target=None):
        if name == "pkg":
            return importlib.util.spec_from_file_location(name, {file!r})
sys.meta_path.insert(0, Editable())
"""


def test_an_editable_install_by_an_import_hook_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """scikit-build-core and meson-python install so: base would get head's files, whatever is first on the path."""
    top = project(tmp_path / "project", {"src/pkg/__init__.py": PACKAGE, "bench/test_it.py": suite_of("pkg")})
    write(tmp_path / "site/sitecustomize.py", FINDER.format(file=str(top / "src/pkg/__init__.py")))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    with pytest.raises(ValueError, match=r"base runs pkg of .*project/src/pkg/__init__.py, which.*--environment own"):
        revisions_of(top, "shared")


LOADERS = {
    "runpy": "import runpy\nrevision = runpy.run_path({file!r})['revision']\n",
    "a loader": (
        "from importlib.util import module_from_spec, spec_from_file_location\n"
        "spec = spec_from_file_location('anything', {file!r})\n"
        "module = module_from_spec(spec)\nspec.loader.exec_module(module)\nrevision = module.revision\n"
    ),
    "exec": "space = {{}}\nexec(open({file!r}).read(), space)\nrevision = space['revision']\n",
}
"""Ways to run a file that leave no module behind."""


@pytest.mark.parametrize("way", LOADERS)
def test_code_of_the_checkout_that_is_no_module_is_refused(tmp_path: Path, way: str) -> None:
    """A suite that runs a file by its full name runs head's on both sides; by a name beside itself, each its own."""
    top = tmp_path / "project"
    files = {"tool/work.py": PACKAGE, "bench/test_it.py": LOADERS[way].format(file=str(top / "tool/work.py"))}
    files["bench/test_it.py"] += suite_of("x").partition("\n\n")[2]
    project(top, files)
    with pytest.raises(ValueError, match=r"base runs work.py of .*/project/tool/work.py, which is not of its revision"):
        revisions_of(top)
    beside = files["bench/test_it.py"].replace(repr(str(top / "tool/work.py")), "__file__[:-16] + 'tool/work.py'")
    assert revisions_of(project(tmp_path / "other", files | {"bench/test_it.py": beside})) == [1, 2]


def test_temporary_files_within_the_checkout_are_not_its_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plugins of a process are copied to where temporary files are, which may be in the checkout."""
    files = {"pkg.py": PACKAGE, ".gitignore": "temporary\n", "bench/test_it.py": suite_of("pkg")}
    top = project(tmp_path / "project", files)
    (top / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(top / "temporary"))
    assert revisions_of(top, "shared") == [1, 2]


def test_a_link_to_the_checkout_is_the_checkout(tmp_path: Path) -> None:
    """A revision whose package is a link to the checkout's runs the checkout's code."""
    top = project(tmp_path / "project", {"code/pkg/__init__.py": PACKAGE, "bench/test_it.py": suite_of("pkg")})
    for _ in range(2):
        (top / "pkg").unlink(missing_ok=True)
        (top / "pkg").symlink_to(top / "code/pkg")
        git(top, "add", ".")
        git(top, "commit", "--quiet", "--allow-empty", "-m", "a link")
    with pytest.raises(ValueError, match=r"base runs pkg of .*/base/pkg/__init__.py, which is not of its revision"):
        revisions_of(top, "shared")


@pytest.fixture
def compiled(tmp_path: Path) -> Path:
    """A package with a C extension and a fallback in Python."""
    files = {"setup.py": SETUP, "fastpkg/_fast.c": EXTENSION, "fastpkg/__init__.py": FALLBACK}
    files |= {".gitignore": "build\n*.so\n*.egg-info\n", "bench/test_it.py": suite_of("fastpkg")}
    return project(tmp_path / "project", files)


def build_in_place(top: Path) -> None:
    """Compile the extension beside its source, as for development."""
    target = top / f"fastpkg/_fast{sysconfig.get_config_var('EXT_SUFFIX')}"
    command = ["cc", "-shared", "-fPIC", f"-I{sysconfig.get_path('include')}", "-o", str(target), "fastpkg/_fast.c"]
    subprocess.run(command, cwd=top, check=True, capture_output=True)


def test_a_compiled_extension_is_built_of_each_revision(compiled: Path) -> None:
    """Each side runs its own library, and no fallback; the checkout stays unchanged."""
    before = sorted(compiled.rglob("*"))
    with prepared(compiled) as (both, said):
        assert [each.dry_run.extra_info["bench/test_it.py::test_revision"]["revision"] for each in both] == [1, 2]
    assert [line for line in said if line.endswith("is built")] == [
        f"HEAD~1 ({git(compiled, 'rev-parse', 'HEAD~1')[:9]}) is built",
        f"the checkout ({git(compiled, 'rev-parse', 'HEAD')[:9]}) is built",
    ]
    assert sorted(path for path in compiled.rglob("*") if "__pycache__" not in path.parts) == before
    assert git(compiled, "worktree", "list").count("\n") == 0


def test_an_extension_that_only_the_checkout_has_is_refused_where_nothing_is_built(compiled: Path) -> None:
    """Base would fall back to Python, and both of two commits would."""
    with pytest.raises(ValueError, match=r"base finds no fastpkg\._fast, which has to be built.*--environment own"):
        revisions_of(compiled, "shared", head="HEAD")
    build_in_place(compiled)
    with pytest.raises(ValueError, match=r"nothing is measured.*fastpkg\._fast"):
        revisions_of(compiled, "shared")


def test_a_library_that_is_no_module_counts_as_one(tmp_path: Path) -> None:
    """A library that ctypes loads has to be the revision's own."""
    loads = (
        "import ctypes, pathlib\nfound = list(pathlib.Path(__file__).parent.glob('lib*.so'))\n"
        "def revision():\n    return [ctypes.CDLL(str(path)) for path in found] and REVISION\n"
    )
    files = {"pkg.py": loads, ".gitignore": "*.so\n", "bench/test_it.py": suite_of("pkg")}
    top = project(tmp_path / "project", files)
    library = Path(next(iter(sorted(Path(sys.base_prefix).rglob("lib-dynload/_bisect*.so")))))
    shutil.copy(library, top / "libwork.so")
    with pytest.raises(ValueError, match=r"head runs .*/libwork.so, not in git, and base has none"):
        revisions_of(top, "shared")


GENERATES = """
from pathlib import Path
from setuptools import setup
Path("src/pk/_version.py").write_text("version = " + Path("number").read_text())
setup(name="pk", version="1", package_dir={"": "src"}, packages=["pk"])
"""


def test_a_file_that_the_build_generates_is_generated_of_each_revision(tmp_path: Path) -> None:
    """Without a build the run is refused."""
    package = "from pk._version import version\ndef revision():\n    return version\n"
    files = {
        "setup.py": GENERATES,
        "number": "REVISION",
        "src/pk/__init__.py": package,
        ".gitignore": "src/pk/_version.py\n",
    }
    top = project(tmp_path / "project", files | {"bench/test_it.py": suite_of("pk")})
    write(top / "src/pk/_version.py", "version = 'of the checkout'\n")
    assert revisions_of(top) == [1, 2]
    with pytest.raises(ValueError, match=r"base finds no pk\._version, which has to be built"):
        revisions_of(top, "shared")


def test_a_new_file_of_the_checkout_is_part_of_head(tmp_path: Path) -> None:
    """The file is not yet in git, and not ignored."""
    top = project(tmp_path / "project", {"pkg/__init__.py": PACKAGE, "bench/test_it.py": suite_of("pkg")})
    write(top / "pkg/new.py", "value = 'new'\n")
    write(top / "pkg/__init__.py", "from pkg.new import value\ndef revision():\n    return value\n")
    assert revisions_of(top, "shared") == [1, "new"]


def test_an_environment_within_the_checkout_is_not_its_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its packages are dependencies that both sides share."""
    suite = "import dependency\n" + suite_of("pkg")
    top = project(tmp_path / "project", {"pkg.py": PACKAGE, ".gitignore": ".venv\n", "bench/test_it.py": suite})
    write(top / ".venv/lib/python3/site-packages/dependency.py", "")
    monkeypatch.setenv("PYTHONPATH", str(top / ".venv/lib/python3/site-packages"))
    assert revisions_of(top, "shared") == [1, 2]


def test_submodules_are_those_of_each_revision(tmp_path: Path) -> None:
    """They are filled from those of the checkout, without a network."""
    part = project(tmp_path / "part", {"part.py": PACKAGE})
    top = tmp_path / "project"
    top.mkdir()
    git(top, "init", "--quiet")
    git(top, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(part), "vendored")
    write(top / "pkg.py", "from vendored.part import revision\n")
    write(top / "bench/test_it.py", suite_of("pkg"))
    for commit in ("HEAD~1", "HEAD"):
        git(top / "vendored", "checkout", "--quiet", git(part, "rev-parse", commit))
        git(top, "add", ".")
        git(top, "commit", "--quiet", "-m", commit)
    assert revisions_of(top, "shared") == [1, 2]
