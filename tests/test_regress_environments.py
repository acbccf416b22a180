"""The environments of `regress`: one for both revisions, or one each with its dependencies."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from benchmarks.regression.environments.installed import differences, packages_of
from benchmarks.regression.environments.kept_environments import dependency_key, import_paths
from benchmarks.regression.environments.preparing import Preparation
from benchmarks.regression.environments.requirements import Needs
from benchmarks.regression.environments.revisions import Revision
from benchmarks.regression.processes.loaded import Loaded
from benchmarks.regression.processes.outcomes import PASSED
from benchmarks.regression.processes.process_record import ProcessRecord
from benchmarks.regression.regress import plan
from tests.two_revisions import both_sides, chosen


def test_revisions_with_the_same_dependencies_share_this_environment(revisions: tuple[Revision, Revision]) -> None:
    """Each has its own files first, `src` before the top, where there is one."""
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
def test_revisions_with_other_dependencies_get_an_environment_each(
    name: str, revisions: tuple[Revision, Revision], pip_commands: list[list[str]]
) -> None:
    """It has the revision's dependencies by its constraints, and pytest; --environment shared prevents it."""
    (revisions[1].folder / name).write_text('[project]\nname = "x"\nversion = "2"\n')
    assert chosen(revisions, "shared")[0] == [sys.executable] * 2
    pythons, said = chosen(revisions, "auto")
    assert len({*pythons, sys.executable}) == 3
    assert [command[-1] for command in pip_commands] == [str(revision.folder) for revision in revisions]
    assert [command[-4:-1] for command in pip_commands] == [[".", "pytest", "pytest-benchmark"]] * 2
    assert ["constraints.txt" in command for command in pip_commands] == [False, name == "constraints.txt"]
    assert f"packages of base and head that differ: python {pythons[0]} and {pythons[1]}" in said
    assert said.count("gets an environment of its own") == 2


def test_the_packages_of_an_environment_are_those_that_its_python_lists(tmp_path: Path) -> None:
    """They are the same by its own interpreter as from within; the refusal names one that fails."""
    again = tmp_path / "python"
    again.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    wrong = tmp_path / "wrong"
    wrong.write_text("#!/bin/sh\necho no Python >&2; exit 1\n")
    for file in (again, wrong):
        file.chmod(0o700)
    found = packages_of(str(again))
    assert found == packages_of(sys.executable)
    assert (found["python"], found["pytest-benchmark"]) == (platform.python_version(), version("pytest-benchmark"))
    with pytest.raises(ValueError, match=r"the packages of .*wrong cannot be listed: no Python"):
        packages_of(str(wrong))


def test_of_two_packages_of_a_name_the_first_on_the_path_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the one that is imported."""
    for place, number in (("first", "2.0"), ("second", "1.0")):
        folder = tmp_path / place / f"twice_there-{number}.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: Twice_There\nVersion: {number}\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "first"), str(tmp_path / "second")])
    assert packages_of(sys.executable)["twice-there"] == "2.0"


def test_packages_that_differ_are_named() -> None:
    """Both versions are named, since packages may cause a slowdown."""
    assert differences({"a": "1", "b": "1"}, {"a": "2", "c": "3", "b": "1"}) == (
        "packages of base and head that differ: a 1 and 2, c none and 3"
    )
    assert differences({"a": "1"}, {"a": "1"}) == "both environments hold the same packages"


def test_what_came_along_with_a_requirement_is_named_after_it() -> None:
    """A dependency may have caused the slowdown; names are compared as an index does."""
    base, head = {"a": "1", "my-engine": "1.31"}, {"a": "2", "my-engine": "1.32"}
    assert differences(base, head, ["My_Engine==1.31", "my.engine==1.32"]) == (
        "packages of base and head that differ: my-engine 1.31 and 1.32; with them came a 1 and 2"
    )
    assert differences(base, {**base, "my-engine": "1.32"}, ["my-engine"]) == (
        "packages of base and head that differ: my-engine 1.31 and 1.32"
    )


def test_dependencies_are_those_of_the_files_their_names_and_python(
    revisions: tuple[Revision, Revision], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line that moved from one file to another changes them; other files do not."""
    first = dependency_key(revisions[0].folder)
    (revisions[1].folder / "README.md").write_text("numpy<2\n")
    assert dependency_key(revisions[1].folder) == first
    (revisions[0].folder / "requirements.txt").write_text("numpy<2\n")
    (revisions[1].folder / "requirements-dev.txt").write_text("numpy<2\n")
    assert len({first, *(dependency_key(each.folder) for each in revisions)}) == 3
    again = dependency_key(revisions[0].folder)
    monkeypatch.setattr("sys.version", "4.0")
    assert dependency_key(revisions[0].folder) != again


@pytest.mark.usefixtures("pip_commands")
def test_an_environment_without_a_package_of_the_suite_is_refused(revisions: tuple[Revision, Revision]) -> None:
    """The refusal names the remedies, for a module and for a plugin of pytest."""
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
def test_a_package_that_this_environment_lacks_may_be_in_one_of_its_own(
    found: ProcessRecord, revisions: tuple[Revision, Revision], pip_commands: list[list[str]]
) -> None:
    """A test or an option of pytest needs the package; a build of the project would not install it."""
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
    assert len(pip_commands) == 1
    assert not any("own build and files" in line for line in said)


def test_requirements_to_install_need_environments_of_their_own() -> None:
    """None is installed into this environment, and the option is not ignored."""
    options = {"tolerance": 0.03, "budget": "1m", "needs": Needs(install=("six",))}
    assert plan("HEAD", None, "bench", environment="auto", **options).environment == "own"  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"--install is six and --environment shared, .* expected one of the two"):
        plan("HEAD", None, "bench", environment="shared", **options)  # type: ignore[arg-type]


def test_a_side_that_ended_before_it_wrote_its_modules_is_refused(revisions: tuple[Revision, Revision]) -> None:
    """Some of its tests have passed, with unknown code."""
    found = ProcessRecord(outcomes={"a": PASSED}, status=-9, loaded=None)
    with pytest.raises(ValueError, match="base ended before it wrote which files it runs"):
        both_sides(revisions, "shared", [], found)
