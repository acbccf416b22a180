"""What all tests share: one thread, so that parallel tests do not wait for each other, and options."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from benchmarks.regression.environments.revisions import Revision

# Read once, when NumPy's BLAS and PyTorch are loaded; pytest imports this file before any test module.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import torch  # noqa: E402  # after the variables above

torch.set_num_threads(1)
_BACKENDS = (
    *(torch.backends.cuda.matmul, torch.backends.cudnn.rnn),
    *(torch.backends.mkldnn.rnn, torch.backends.mkldnn.matmul),  # type: ignore[attr-defined]  # the same
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options `--kills N`, `--require-browser` and `--tests-of-torch`."""
    parser.addoption("--tests-of-torch", action="store_true", help="run PyTorch's own tests of modules, and no others")
    parser.addoption("--require-browser", action="store_true", help="fail where the tests in a browser cannot run")
    parser.addoption("--kills", type=int, default=2, help="how many processes the tests marked `kills` kill, each")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave PyTorch's own tests out unless they are asked for: their import changes flags of the whole process."""
    if collection_path.suffix == ".py" and collection_path.name.startswith("test_"):
        asked: bool = config.getoption("--tests-of-torch")
        return asked != (collection_path.name == "test_torch_own_tests.py")
    return None


@contextmanager
def precisions_restored() -> Iterator[None]:
    """Precisions of PyTorch that are set for the whole process end with the block."""
    before = [backend.fp32_precision for backend in _BACKENDS]
    yield
    for backend, precision in zip(_BACKENDS, before, strict=True):
        if backend.fp32_precision != precision:
            backend.fp32_precision = precision


@pytest.fixture(autouse=True, scope="module")
def precisions_of_a_module() -> Iterator[None]:
    """What the fixtures of a module set ends with the module."""
    with precisions_restored():
        yield


@pytest.fixture(autouse=True)
def precisions_of_a_test() -> Iterator[None]:
    """What a test sets ends with the test."""
    with precisions_restored():
        yield


@pytest.fixture
def kills(request: pytest.FixtureRequest) -> int:
    """The number of processes that a test marked `kills` kills."""
    number: int = request.config.getoption("--kills")
    return number


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder, temporary files in another, and figures that are not rendered."""
    for name in ("here", "temporary"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))

    def touch(_figure: object, folder: Path, stem: str) -> None:
        for ending in ("png", "svg"):
            (folder / f"{stem}.{ending}").write_text(stem)

    monkeypatch.setattr("benchmarks.reporting.plots.plot_pages.save", touch)
    return tmp_path / "here"


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of the user's outside of the current one."""
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "holiday.png").write_text("mine")
    (tmp_path / "pictures" / "speedup.png").write_text("mine")
    return tmp_path / "pictures"


@pytest.fixture
def project_in_git(place: Path) -> Path:
    """The current folder as a project in git, with a suite."""
    from tests.verbs_in_a_place import git

    (place / "bench" / "suite").mkdir(parents=True)
    (place / "bench" / "suite" / "test_a.py").write_text("def test_a(benchmark): benchmark(sum, [1])\n")
    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "-m", "first")
    return place


@pytest.fixture
def unrendered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are drawn up but not rendered, which would take most of the time; test_plots renders them."""

    def touch(_figure: object, folder: Path, stem: str) -> None:
        for ending in ("png", "svg"):
            (folder / f"{stem}.{ending}").touch()

    monkeypatch.setattr("benchmarks.reporting.plots.plot_pages.save", touch)


@pytest.fixture
def precious(tmp_path: Path) -> Path:
    """A file of the user's outside of the folder that is written to."""
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.txt").write_text("years of work")
    return tmp_path / "precious"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder that the user named."""
    (tmp_path / "folder").mkdir()
    return tmp_path / "folder"


@pytest.fixture
def fused_threads() -> Iterator[None]:
    """Restores the number of threads of `fused_cpu`, which a test sets for the process."""
    from rnnimpl.impls.fused_cpu import FusedCpu

    before = FusedCpu.threads
    yield
    FusedCpu.threads = before


@pytest.fixture
def revisions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Revision, Revision]:
    """Two revisions with the same dependencies, in plain folders without git."""
    from tests.two_revisions import two_revisions, without_git

    without_git(monkeypatch)
    return two_revisions(tmp_path)


@pytest.fixture
def pip_commands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[list[str]]:
    """The commands of pip, of which none really runs."""
    from tests.two_revisions import stand_in_for_pip

    return stand_in_for_pip(monkeypatch, tmp_path)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of eight commits, which is the current folder."""
    from tests.tracked_project import eight_commits

    folder = eight_commits(tmp_path / "project")
    monkeypatch.chdir(folder)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return folder
