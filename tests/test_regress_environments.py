"""Where `regress` runs two revisions: one environment for both, or one each for what they depend on."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Literal

import pytest
from filelock import FileLock, Timeout

from benchmarks.regression.environments import _packages as packages_of
from benchmarks.regression.environments import dependency_key, differences, import_paths, sides
from benchmarks.regression.revisions import Revision


@pytest.fixture
def revisions(tmp_path: Path) -> tuple[Revision, Revision]:
    """Two that depend on the same, and whose packages lie in `src`."""
    made = []
    for name in ("base", "head"):
        folder = tmp_path / name
        (folder / "src").mkdir(parents=True)
        (folder / "pyproject.toml").write_text('[project]\nname = "x"\nversion = "1"\n')
        made.append(Revision(name, "0" * 40, dirty=False, folder=folder))
    return made[0], made[1]


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[list[str]]:
    """The pip commands that were run, none of them really; while one runs, nobody else can build that environment."""
    commands: list[list[str]] = []

    def create(folder: Path, *, with_pip: bool, clear: bool) -> None:
        assert with_pip
        if clear:
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("venv.create", create)
    monkeypatch.setattr("benchmarks.regression.environments._packages", lambda python: {"python": python})

    def note(command: list[str], folder: Path) -> str:
        commands.append([*command, str(folder)])
        with pytest.raises(Timeout):
            FileLock(f"{Path(command[0]).parent.parent}.lock", timeout=0).acquire()
        return ""

    monkeypatch.setattr("benchmarks.regression.environments._failure", note)
    return commands


def chosen(revisions: tuple[Revision, Revision], choice: Literal["auto", "shared", "own"]) -> tuple[list[str], str]:
    """The interpreters of both, and what was said."""
    said: list[str] = []
    both = sides(*revisions, "speed", choice, said.append)
    return [side.python for side in both], "\n".join(said)


def test_what_depends_on_the_same_shares_this_environment(revisions: tuple[Revision, Revision]) -> None:
    """Each with its own files first, `src` before the top, where there is one."""
    assert chosen(revisions, "auto")[0] == [sys.executable] * 2
    folder = revisions[1].folder
    base, head = sides(*revisions, "speed", "auto", lambda _: None)
    assert (head.name, head.folder, head.suite, head.import_paths) == (
        "head",
        folder,
        "speed",
        (folder / "src", folder),
    )
    assert (base.name, base.folder) == ("base", revisions[0].folder)
    assert import_paths(folder / "src") == (folder / "src",)


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt", "requirements-dev.txt", "uv.lock"])
def test_what_depends_on_something_else_gets_an_environment_each(
    name: str, revisions: tuple[Revision, Revision], built: list[list[str]]
) -> None:
    """Built from its own files and pytest, with its constraints if it has any; unless one for both is asked for."""
    (revisions[1].folder / name).write_text("numpy<2\n")
    assert chosen(revisions, "shared")[0] == [sys.executable] * 2
    pythons, said = chosen(revisions, "auto")
    assert len({*pythons, sys.executable}) == 3
    assert [command[-1] for command in built] == [str(revision.folder) for revision in revisions]
    assert [command[-4:-1] for command in built] == [[".", "pytest", "pytest-benchmark"]] * 2
    assert ["constraints.txt" in command for command in built] == [False, name == "constraints.txt"]
    assert f"packages of base and head that differ: python {pythons[0]} and {pythons[1]}" in said
    assert said.count("gets an environment of its own") == 2


def test_an_environment_is_built_once(revisions: tuple[Revision, Revision], built: list[list[str]]) -> None:
    """For all revisions that depend on the same, and for the next run."""
    chosen(revisions, "own")
    pythons, said = chosen(revisions, "own")
    assert len(set(pythons)) == 1
    assert len(built) == 1
    assert said.count("built before") == 2


def test_an_environment_that_could_not_be_built_is_built_again(
    revisions: tuple[Revision, Revision], built: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason is said, and what was left is not taken for one, nor built upon."""

    def broken(command: list[str], _: Path) -> str:
        Path(command[0]).parent.parent.joinpath("half").touch()
        return "no such package"

    with monkeypatch.context() as failing:
        failing.setattr("benchmarks.regression.environments._failure", broken)
        with pytest.raises(ValueError, match=r"the environment of base .* cannot be built: no such package"):
            chosen(revisions, "own")
    pythons, _ = chosen(revisions, "own")
    assert len(built) == 1
    assert not Path(pythons[0]).parent.parent.joinpath("half").exists()


def test_environments_are_kept_where_the_user_keeps_such_things(
    revisions: tuple[Revision, Revision], built: list[list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In XDG's folder, or in `.cache` at home where the variable is empty."""
    assert Path(chosen(revisions, "own")[0][0]).is_relative_to(tmp_path / "cache" / "rnnbench" / "environments")
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert Path(chosen(revisions, "own")[0][0]).is_relative_to(tmp_path / "home" / ".cache" / "rnnbench")
    assert len(built) == 2


def test_the_packages_of_an_environment_are_what_its_pip_lists(tmp_path: Path) -> None:
    """Or it is said that they cannot be listed."""
    for name, does in (("right", """echo '[{"name": "a", "version": "1"}]'"""), ("wrong", "echo no pip >&2; exit 1")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / name).chmod(0o700)
    assert packages_of(str(tmp_path / "right")) == {"a": "1"}
    with pytest.raises(ValueError, match=r"the packages of .*wrong cannot be listed: no pip"):
        packages_of(str(tmp_path / "wrong"))


def test_packages_that_differ_are_named() -> None:
    """With both versions: they, and not the code, may be what became slower."""
    assert differences({"a": "1", "b": "1"}, {"a": "2", "c": "3", "b": "1"}) == (
        "packages of base and head that differ: a 1 and 2, c none and 3"
    )
    assert differences({"a": "1"}, {"a": "1"}) == "both environments hold the same packages"


def test_what_a_revision_depends_on_is_told_by_its_files_and_their_names(
    revisions: tuple[Revision, Revision], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And by the version of Python. A line that moved from one file to another counts; other files do not."""
    first = dependency_key(revisions[0].folder)
    (revisions[1].folder / "README.md").write_text("numpy<2\n")
    assert dependency_key(revisions[1].folder) == first
    (revisions[0].folder / "requirements.txt").write_text("numpy<2\n")
    (revisions[1].folder / "requirements-dev.txt").write_text("numpy<2\n")
    assert len({first, *(dependency_key(each.folder) for each in revisions)}) == 3
    again = dependency_key(revisions[0].folder)
    monkeypatch.setattr("sys.version", "4.0")
    assert dependency_key(revisions[0].folder) != again
