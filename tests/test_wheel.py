"""The wheel: it installs the package `rnnbench` and a command of that name, which work in an empty folder.

It is built and installed without a network, into an environment that takes everything else from this one.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


TINY = """
budget = "60s"
stop_interval = 0.9
[[grid]]
mode = "inference"
T = 3
B = 2
H = 4
threads = 1
"""
"""A sweep of one workload that is measured well enough at once."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("rnnbench-*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with the wheel, the scripts of which are in its `bin`."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    # A folder in a .pth file is searched, and the .pth files within it are not read: an editable install there is none.
    (site / "others.pth").write_text(f"{sysconfig.get_path('purelib')}\n", encoding="utf-8")
    python = folder / "bin" / "python"
    options = ("--quiet", "--no-deps", "--no-index", "--no-compile", "--disable-pip-version-check")
    subprocess.run([sys.executable, "-m", "pip", "--python", python, "install", *options, wheel], check=True)
    return folder / "bin"


def run(environment: Path, folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A command of the environment, in a folder, as a user who knows nothing of this checkout runs it."""
    inherited = {name: text for name, text in os.environ.items() if not name.startswith(("PYTHON", "COVERAGE"))}
    command = [str(environment / words[0]), *words[1:]]
    given = inherited | {"COLUMNS": "200", "TMPDIR": str(folder.parent)} | variables
    return subprocess.run(command, cwd=folder, env=given, capture_output=True, text=True, check=False)


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """An empty folder."""
    (tmp_path / "empty").mkdir()
    return tmp_path / "empty"


def test_the_packages_are_rnnbench_and_rnnimpl(wheel: Path) -> None:
    """Every file of the folder `benchmarks` is in the package, and nothing imports a package of that name."""
    with zipfile.ZipFile(wheel) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    packages = {name.partition("/")[0] for name in files}
    assert {name for name in packages if not name.endswith(".dist-info")} == {"rnnbench", "rnnimpl"}
    command = ["git", "-C", str(ROOT), "ls-files", "benchmarks"]
    tracked = subprocess.run(command, check=True, capture_output=True, text=True)
    there = {f"rnnbench/{path.removeprefix('benchmarks/')}" for path in tracked.stdout.splitlines()}
    assert there <= files.keys()
    texts = [content.decode() for name, content in files.items() if name.endswith(".py")]
    # Every line that may be an import, within a docstring too.
    imported = {name for text in texts for name in re.findall(r"^\s*(?:from|import)\s+([\w.]+)", text, re.MULTILINE)}
    assert {"rnnbench.store", "rnnimpl.registry"} <= imported
    assert not [name for name in imported if name.partition(".")[0] == "benchmarks"]


def test_a_command_in_the_installed_files_is_rnnbench(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        text = "".join(archive.read(name).decode() for name in archive.namelist() if name.endswith(".py"))
    assert "python -m benchmarks" not in text


def test_a_sweep_and_its_report_from_the_installed_command(environment: Path, empty: Path) -> None:
    """The main job, in a folder that has one of the name `benchmarks`, which is the user's."""
    (empty / "benchmarks").mkdir()
    (empty / "benchmarks" / "__init__.py").write_text("raise AssertionError('the user\\'s own')\n")
    (empty / "tiny.toml").write_text(TINY)
    options = ("--impl", "numpy_loop", "--impl", "numpy_hoisted", "--out", "out")
    # Nothing is compiled for the peaks of the cores.
    done = run(environment, empty, "rnnbench", "sweep", "tiny.toml", *options, CXX="no compiler")
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads((empty / "out" / "run.json").read_text())
    assert record["command"].startswith("rnnbench sweep tiny.toml --impl numpy_loop")
    assert (empty / "out" / "report.md").exists()
    assert list((empty / "out" / "plots").glob("*.png"))
    read = "import rnnbench; frame = rnnbench.load_run('out'); print(sorted(set(frame['implementation'])))"
    done = run(environment, empty, "python", "-c", read)
    assert done.stdout == "['numpy_hoisted', 'numpy_loop']\n", done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("rnnbench", "--help"), "Usage: rnnbench"),
        (("python", "-m", "rnnbench", "sweep", "--help"), "Example: rnnbench sweep quick"),
        (("rnnbench", "list"), "fused_cpu"),
    ],
)
def test_the_installed_command_says(environment: Path, empty: Path, words: tuple[str, ...], said: str) -> None:
    done = run(environment, empty, *words)
    assert said in done.stdout + done.stderr
    assert not list(empty.iterdir())


def test_what_needs_a_checkout_says_so(environment: Path, empty: Path) -> None:
    done = run(environment, empty, "rnnbench", "calibrate", "--out", "out")
    assert done.returncode == 2
    assert "calibrate needs a checkout of rnnbench" in done.stderr
    assert not list(empty.iterdir())


def test_a_shell_completes_words(environment: Path, empty: Path) -> None:
    """The words are those that bash sends for `rnnbench re` and the Tab key."""
    words = {"COMP_WORDS": "rnnbench re", "COMP_CWORD": "1"}
    done = run(environment, empty, "rnnbench", _RNNBENCH_COMPLETE="complete_bash", **words)
    assert set(done.stdout.split()) == {"report", "regress"}, done.stderr
