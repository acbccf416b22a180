"""Where `regress` runs two revisions: one environment for both, or one each for what they depend on."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Literal

import pytest
from filelock import FileLock, Timeout

from benchmarks.regression.environments import (
    dependency_key,
    differences,
    environment_of,
    import_paths,
    kept_folder,
    packages_of,
)
from benchmarks.regression.loaded import Loaded
from benchmarks.regression.outcomes import PASSED
from benchmarks.regression.preparing import Preparation
from benchmarks.regression.process_record import ProcessRecord
from benchmarks.regression.pytest_command import Side
from benchmarks.regression.regress import plan
from benchmarks.regression.requirements import extras_for_tests, requirements_for_tests
from benchmarks.regression.revisions import Revision

NOTHING = ProcessRecord()


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


@pytest.fixture(autouse=True)
def _no_git(monkeypatch: pytest.MonkeyPatch) -> None:
    """The revisions are plain folders."""
    monkeypatch.setattr("benchmarks.regression.sources.listed", lambda *_: ["pyproject.toml"])
    monkeypatch.setattr("benchmarks.regression.preparing.worktrees", lambda _: [])
    monkeypatch.setattr("benchmarks.regression.origins.listed", lambda *_: [])


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[list[str]]:
    """The pip commands that were run, none of them really; while one runs, nobody else can build that environment.

    pip notes in the environment that the project is installed from its files, as it does.
    """
    commands: list[list[str]] = []
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("benchmarks.regression.preparing.packages_of", lambda python: {"python": python})
    monkeypatch.setattr("benchmarks.regression.preparing.build", lambda *_: None)

    def note(command: list[str], folder: Path) -> str:
        if command[2:4] == ["-m", "venv"]:
            Path(command[-1], "bin").mkdir(parents=True, mode=0o700)
            Path(command[-1], "bin", "python").touch(mode=0o700)
            Path(command[-1]).chmod(0o700)
            return ""
        environment = Path(command[0]).parent.parent
        if "install" in command:
            commands.append([*command, str(folder)])
            installed = environment / "lib" / "python3" / "site-packages" / "x-1.dist-info"
            installed.mkdir(parents=True, exist_ok=True)
            (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: x\nVersion: 1\n")
            (installed / "direct_url.json").write_text(f'{{"url": "{folder.as_uri()}", "dir_info": {{}}}}')
            for path in environment.rglob("*"):
                path.chmod(0o700)
        else:
            assert command[-1] == "x"
            shutil.rmtree(environment / "lib" / "python3" / "site-packages" / "x-1.dist-info")
        with pytest.raises(Timeout):
            FileLock(f"{environment}.lock", timeout=0).acquire()
        return ""

    monkeypatch.setattr("benchmarks.regression.environments.failure", note)
    return commands


def both_sides(
    revisions: tuple[Revision, Revision],
    choice: Literal["auto", "shared", "own"],
    said: list[str],
    found: ProcessRecord = NOTHING,
) -> tuple[Side, Side]:
    """Both, as they are measured."""
    top = revisions[0].folder.parent
    preparation = Preparation(top, "speed", top / "builds", dry_run=lambda _: found, say=said.append)
    base, head = preparation.pair(*revisions, choice)
    return base.side, head.side


def chosen(revisions: tuple[Revision, Revision], choice: Literal["auto", "shared", "own"]) -> tuple[list[str], str]:
    """The interpreters of both, and what was said."""
    said: list[str] = []
    return [side.python for side in both_sides(revisions, choice, said)], "\n".join(said)


def test_what_depends_on_the_same_shares_this_environment(revisions: tuple[Revision, Revision]) -> None:
    """Each with its own files first, `src` before the top, where there is one."""
    assert chosen(revisions, "auto")[0] == [sys.executable] * 2
    folder = revisions[1].folder
    base, head = both_sides(revisions, "auto", [])
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
    (revisions[1].folder / name).write_text('[project]\nname = "x"\nversion = "2"\n')
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
        if command[2:4] == ["-m", "venv"]:
            Path(command[-1]).mkdir()
            Path(command[-1]).joinpath("half").touch()
            return ""
        return "no such package"

    with monkeypatch.context() as failing:
        failing.setattr("benchmarks.regression.environments.failure", broken)
        with pytest.raises(ValueError, match=r"the environment of base .* cannot be built: no such package; mend that"):
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


def test_a_kept_environment_holds_no_project(revisions: tuple[Revision, Revision], built: list[list[str]]) -> None:
    """It is taken out again; what is to be built anew of each revision is noted, and the same the next time."""
    for _ in range(2):
        python, paths = environment_of(revisions[0], revisions[0].folder, lambda _: None)
        assert paths == ["."]
        assert not list(Path(python).parent.parent.glob("lib/*/site-packages/x*"))
    assert len(built) == 1


def test_a_python_without_venv_is_told_with_the_remedy(
    revisions: tuple[Revision, Revision], built: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Debian's is without python3-venv."""
    monkeypatch.setattr("benchmarks.regression.environments.failure", lambda *_: "Error: ensurepip returned 1")
    with pytest.raises(ValueError, match=r"cannot be made by .* ensurepip returned 1; install .*python3-venv.* shared"):
        chosen(revisions, "own")
    assert built == []


def test_a_cache_that_cannot_be_made_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what is in the way; and where there is no home, what names a folder."""
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
    name: str, revisions: tuple[Revision, Revision], built: list[list[str]], tmp_path: Path
) -> None:
    """Nor one in a folder that they can write; it is to be removed, for what is in it may be theirs."""
    (kept, _), _ = chosen(revisions, "own")
    environment = Path(kept).parent.parent
    path = tmp_path / "cache" / name.replace("KEPT", f"rnnbench/environments/{environment.name}")
    path.chmod(0o777)
    with pytest.raises(ValueError, match=rf"{path.name} .*can be written by others.* remove .*--environment shared"):
        chosen(revisions, "own")
    assert len(built) == 1


def test_an_environment_of_another_user_is_not_run(
    revisions: tuple[Revision, Revision], built: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever its mode."""
    chosen(revisions, "own")
    monkeypatch.setattr("os.geteuid", lambda: 12345)
    with pytest.raises(ValueError, match="belongs to user"):
        chosen(revisions, "own")
    assert len(built) == 1


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


def test_what_a_project_names_for_its_tests_is_installed(
    revisions: tuple[Revision, Revision], built: list[list[str]], tmp_path: Path
) -> None:
    """Extras and groups of the usual names, with the groups that these include; all of a developer's only without."""
    folder = revisions[0].folder
    (folder / "pyproject.toml").write_text(PYPROJECT)
    assert extras_for_tests(folder) == ["Test"]
    assert requirements_for_tests(folder) == ["pytest-benchmark", "attrs"]
    environment_of(revisions[0], folder, lambda _: None, ["six>1"])
    assert built[0][-7:-1] == [".[Test]", "pytest-benchmark", "attrs", "six>1", "pytest", "pytest-benchmark"]
    (tmp_path / "pyproject.toml").write_text('[tool.pdm.dev-dependencies]\ntest = ["attrs"]\nlint = ["ruff"]\n')
    assert requirements_for_tests(tmp_path) == ["attrs"]
    (tmp_path / "setup.cfg").write_text("[options.extras_require]\ndev = six\ndocs = sphinx\n")
    assert extras_for_tests(tmp_path) == ["dev"]


def test_a_revision_that_is_no_package_has_its_requirements(
    revisions: tuple[Revision, Revision], built: list[list[str]]
) -> None:
    """From requirements.txt; its own files are on the path."""
    folder = revisions[0].folder
    (folder / "requirements.txt").write_text("six\n")
    _, paths = environment_of(revisions[0], None, lambda _: None)
    assert paths == ["."]
    assert built[0][-5:-1] == ["--requirement", "requirements.txt", "pytest", "pytest-benchmark"]


@pytest.mark.usefixtures("built")
def test_an_environment_that_lacks_what_the_suite_needs_is_told(revisions: tuple[Revision, Revision]) -> None:
    """With the ways to have it: whether a module is not found or a plugin of pytest's."""
    loaded = Loaded(missing={"six.moves": (), "optional": ()})
    for found in (
        ProcessRecord(broken={"speed": "ModuleNotFoundError: No module named 'six.moves'"}, status=2, loaded=loaded),
        ProcessRecord(status=4, output="Error importing plugin: No module named 'six.moves'", loaded=loaded),
    ):
        with pytest.raises(
            ValueError, match=r"base lacks six, .* install it by --install six, or use --environment shar"
        ):
            both_sides(revisions, "own", [], found)


@pytest.mark.parametrize(
    "found",
    [
        ProcessRecord(
            broken={"speed": "ModuleNotFoundError: No module named 'six'"},
            status=2,
            loaded=Loaded(missing={"six": ()}),
        ),
        ProcessRecord(status=4, output="Error importing plugin \"six\": No module named 'six'", loaded=None),
    ],
    ids=["module", "plugin"],
)
def test_what_this_environment_lacks_an_own_one_may_have(
    found: ProcessRecord, revisions: tuple[Revision, Revision], built: list[list[str]]
) -> None:
    """Whether a test or an option of pytest's asks for it; a build of the project would not bring it."""
    for revision in revisions:
        (revision.folder / "pyproject.toml").write_text('[project]\nname = "x"\nversion = "1"\n')
    works = ProcessRecord(outcomes={"a": PASSED})
    said: list[str] = []
    top = revisions[0].folder.parent
    preparation = Preparation(
        top,
        "speed",
        top / "builds",
        dry_run=lambda side: found if side.python == sys.executable else works,
        say=said.append,
    )
    base, _ = preparation.pair(*revisions, "auto")
    assert base.side.python != sys.executable
    assert f"not measured so: base finds no six, which {sys.executable} does not have" in said
    assert len(built) == 1
    assert not any("own build and files" in line for line in said)


def test_what_is_to_be_installed_needs_environments_of_their_own() -> None:
    """Nothing is installed into the one that runs this, and an option is not passed over."""
    options = {"tolerance": 0.03, "budget": "1m", "install": ["six"]}
    assert plan("HEAD", None, "bench", environment="auto", **options).environment == "own"  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"--install is six and --environment shared, .* expected one of the two"):
        plan("HEAD", None, "bench", environment="shared", **options)  # type: ignore[arg-type]


def test_a_side_that_ended_before_it_told_what_it_ran_is_refused(revisions: tuple[Revision, Revision]) -> None:
    """Some of its tests have passed, by nobody knows which files."""
    found = ProcessRecord(outcomes={"a": PASSED}, status=-9, loaded=None)
    with pytest.raises(ValueError, match="base ended before it wrote which files it runs"):
        both_sides(revisions, "shared", [], found)
