"""Kept environments of `regress`: built once, with the requirements of a revision, and used only while private."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.regression.environments.kept_environments import (
    environment_of,
    kept_folder,
)
from benchmarks.regression.environments.requirements import Needs, extras_for_tests, requirements_for_tests
from benchmarks.regression.environments.revisions import Revision
from tests.two_revisions import chosen


def test_an_environment_is_built_once(revisions: tuple[Revision, Revision], pip_commands: list[list[str]]) -> None:
    """All revisions with the same dependencies, and the next run, use it."""
    chosen(revisions, "own")
    pythons, said = chosen(revisions, "own")
    assert len(set(pythons)) == 1
    assert len(pip_commands) == 1
    assert said.count("built before") == 2


def test_an_environment_that_could_not_be_built_is_built_again(
    revisions: tuple[Revision, Revision], pip_commands: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The refusal gives the reason, and the remains are neither used nor built upon."""

    def broken(command: list[str], _: Path, **__: object) -> str:
        if command[2:4] == ["-m", "venv"]:
            Path(command[-1]).mkdir()
            Path(command[-1]).joinpath("half").touch()
            return ""
        return "no such package"

    with monkeypatch.context() as failing:
        failing.setattr("benchmarks.regression.environments.kept_environments.failure", broken)
        with pytest.raises(ValueError, match=r"the environment of base .* cannot be built: no such package; mend that"):
            chosen(revisions, "own")
    pythons, _ = chosen(revisions, "own")
    assert len(pip_commands) == 1
    assert not Path(pythons[0]).parent.parent.joinpath("half").exists()


def test_environments_are_kept_in_the_users_cache(
    revisions: tuple[Revision, Revision], pip_commands: list[list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is the folder of XDG, or `.cache` at home where the variable is empty."""
    assert Path(chosen(revisions, "own")[0][0]).is_relative_to(tmp_path / "cache" / "rnnbench" / "environments")
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert Path(chosen(revisions, "own")[0][0]).is_relative_to(tmp_path / "home" / ".cache" / "rnnbench")
    assert len(pip_commands) == 2


def test_a_kept_environment_does_not_have_the_project(
    revisions: tuple[Revision, Revision], pip_commands: list[list[str]]
) -> None:
    """The project is uninstalled, and the paths to build from each revision are recorded for the next time."""
    for _ in range(2):
        python, paths = environment_of(revisions[0], revisions[0].folder, lambda _: None)
        assert paths == ["."]
        assert not list(Path(python).parent.parent.glob("lib/*/site-packages/x*"))
    assert len(pip_commands) == 1


def test_a_python_without_venv_is_refused_with_the_remedy(
    revisions: tuple[Revision, Revision], pip_commands: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Debian's Python has no venv without python3-venv."""
    monkeypatch.setattr(
        "benchmarks.regression.environments.kept_environments.failure", lambda *_: "Error: ensurepip returned 1"
    )
    with pytest.raises(ValueError, match=r"cannot be made by .* ensurepip returned 1; install .*python3-venv.* shared"):
        chosen(revisions, "own")
    assert pip_commands == []


def test_a_cache_that_cannot_be_made_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The refusal names the obstacle, or the variable that names a folder where there is no home."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file" / "cache"))
    with pytest.raises(ValueError, match=r"kept in the user's cache: .*Not a directory: .*file/cache'.*--environment"):
        kept_folder()

    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setattr("pathlib.Path.home", no_home)
    with pytest.raises(ValueError, match=r"this user has no home folder .*; set XDG_CACHE_HOME to a folder"):
        kept_folder()


@pytest.mark.parametrize("name", ["rnnbench", "rnnbench/environments", "KEPT", "KEPT/bin", "KEPT/bin/python"])
def test_an_environment_that_others_can_write_is_not_run(
    name: str, revisions: tuple[Revision, Revision], pip_commands: list[list[str]], tmp_path: Path
) -> None:
    """Neither is one in a folder that they can write; the refusal says to remove it."""
    (kept, _), _ = chosen(revisions, "own")
    environment = Path(kept).parent.parent
    path = tmp_path / "cache" / name.replace("KEPT", f"rnnbench/environments/{environment.name}")
    path.chmod(0o777)
    with pytest.raises(ValueError, match=rf"{path.name} .*can be written by others.* remove .*--environment shared"):
        chosen(revisions, "own")
    assert len(pip_commands) == 1


def test_an_environment_of_another_user_is_not_run(
    revisions: tuple[Revision, Revision], pip_commands: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its mode does not count."""
    chosen(revisions, "own")
    monkeypatch.setattr("os.geteuid", lambda: 12345)
    with pytest.raises(ValueError, match="belongs to user"):
        chosen(revisions, "own")
    assert len(pip_commands) == 1


PYPROJECT = """
[project]
name = "x"
version = "1"
[project.optional-dependencies]
Test = ["six"]
docs = ["sphinx"]
dev = ["everything"]
[dependency-groups]
bench = ["pytest-benchmark", {include-group = "base"}, {include-group = "bench"}]
base = ["attrs"]
lint = ["ruff"]
"""


def test_requirements_for_tests_are_installed(
    revisions: tuple[Revision, Revision], pip_commands: list[list[str]], tmp_path: Path
) -> None:
    """They are extras and groups of the usual names, with included groups; those of developers only without such."""
    folder = revisions[0].folder
    (folder / "pyproject.toml").write_text(PYPROJECT)
    assert extras_for_tests(folder) == ["Test"]
    assert requirements_for_tests(folder) == ["pytest-benchmark", "attrs"]
    environment_of(revisions[0], folder, lambda _: None, Needs(install=("six>1",)))
    assert pip_commands[0][-7:-1] == [".[Test]", "pytest-benchmark", "attrs", "six>1", "pytest", "pytest-benchmark"]
    (tmp_path / "pyproject.toml").write_text('[tool.pdm.dev-dependencies]\ntest = ["attrs"]\nlint = ["ruff"]\n')
    assert requirements_for_tests(tmp_path) == ["attrs"]
    (tmp_path / "setup.cfg").write_text("[options.extras_require]\ndev = six\ndocs = sphinx\n")
    assert extras_for_tests(tmp_path) == ["dev"]


def test_a_revision_that_is_no_package_has_its_requirements(
    revisions: tuple[Revision, Revision], pip_commands: list[list[str]]
) -> None:
    """They are those of requirements.txt; its own files are on the path."""
    folder = revisions[0].folder
    (folder / "requirements.txt").write_text("six\n")
    _, paths = environment_of(revisions[0], None, lambda _: None)
    assert paths == ["."]
    assert pip_commands[0][-5:-1] == ["--requirement", "requirements.txt", "pytest", "pytest-benchmark"]
