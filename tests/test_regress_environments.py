"""Where `regress` runs two revisions: one environment for both, or one each for what they depend on."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

import pytest

from benchmarks.regression.environments import dependency_key, differences, sides
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
    """The pip commands that were run, none of them really."""
    commands: list[list[str]] = []
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("venv.create", lambda folder, **_: Path(folder).mkdir(parents=True, exist_ok=True))
    monkeypatch.setattr("benchmarks.regression.environments._packages", lambda python: {"python": python})

    def note(command: list[str], folder: Path) -> str:
        commands.append([*command, str(folder)])
        return ""

    monkeypatch.setattr("benchmarks.regression.environments._failure", note)
    return commands


def chosen(revisions: tuple[Revision, Revision], choice: Literal["auto", "shared", "own"]) -> tuple[list[str], str]:
    """The interpreters of both, and what was said."""
    said: list[str] = []
    both = sides(*revisions, "speed", choice, said.append)
    return [side.python for side in both], "\n".join(said)


def test_what_depends_on_the_same_shares_this_environment(revisions: tuple[Revision, Revision]) -> None:
    """Each with its own files first, `src` before the top."""
    assert chosen(revisions, "auto")[0] == [sys.executable] * 2
    folder = revisions[1].folder
    assert sides(*revisions, "speed", "auto", lambda _: None)[1].import_paths == (folder / "src", folder)


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt", "requirements-dev.txt", "uv.lock"])
def test_what_depends_on_something_else_gets_an_environment_each(
    name: str, revisions: tuple[Revision, Revision], built: list[list[str]]
) -> None:
    """Built from its own files, with its constraints if it has any; unless one for both is asked for."""
    (revisions[1].folder / name).write_text("numpy<2\n")
    assert chosen(revisions, "shared")[0] == [sys.executable] * 2
    pythons, said = chosen(revisions, "auto")
    assert len({*pythons, sys.executable}) == 3
    assert [command[-1] for command in built] == [str(revision.folder) for revision in revisions]
    assert ["constraints.txt" in command for command in built] == [False, name == "constraints.txt"]
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
    """The reason is said, and what was left is not taken for one."""
    with monkeypatch.context() as failing:
        failing.setattr("benchmarks.regression.environments._failure", lambda *_: "no such package")
        with pytest.raises(ValueError, match=r"the environment of base .* cannot be built: no such package"):
            chosen(revisions, "own")
    chosen(revisions, "own")
    assert len(built) == 1


def test_packages_that_differ_are_named() -> None:
    """With both versions: they, and not the code, may be what became slower."""
    assert differences({"a": "1", "b": "1"}, {"a": "2", "c": "3", "b": "1"}) == (
        "packages of base and head that differ: a 1 and 2, c none and 3"
    )
    assert differences({"a": "1"}, {"a": "1"}) == "both environments hold the same packages"


def test_what_a_revision_depends_on_is_told_by_its_files_and_their_names(revisions: tuple[Revision, Revision]) -> None:
    """A line that moved from one file to another counts; other files do not."""
    first = dependency_key(revisions[0].folder)
    (revisions[1].folder / "README.md").write_text("numpy<2\n")
    assert dependency_key(revisions[1].folder) == first
    (revisions[0].folder / "requirements.txt").write_text("numpy<2\n")
    (revisions[1].folder / "requirements-dev.txt").write_text("numpy<2\n")
    assert len({first, *(dependency_key(each.folder) for each in revisions)}) == 3
