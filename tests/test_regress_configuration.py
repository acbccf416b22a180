"""The configuration of `regress` by a project, and the words of its command line that come before it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.regression.configuration import Configuration, read_configuration
from benchmarks.regression.environments.requirements import Needs, extras_of, requirements_of
from benchmarks.regression.regress import Request
from benchmarks.store import StoreError
from tests.verbs_in_a_place import run

TABLE = """
suite = "bench/suite"
tolerance = 0.05
budget = "2m"
pytest = "--run-slow -p no:randomly"
install = ["six"]
extras = ["speed"]
groups = []
build = ["python make_tables.py"]
first = ["test_big"]
"""
ALL = Configuration(
    suite="bench/suite",
    tolerance=0.05,
    budget="2m",
    pytest="--run-slow -p no:randomly",
    install=("six",),
    extras=("speed",),
    groups=(),
    build=("python make_tables.py",),
    first=("test_big",),
)


def test_a_table_of_pyproject_or_a_file_configures_a_suite(tmp_path: Path) -> None:
    """A project without either has no configuration; empty groups are not the usual ones."""
    assert read_configuration(tmp_path) == Configuration(folder=tmp_path)
    (tmp_path / "pyproject.toml").write_text("[tool.rnnbench.regress]\n" + TABLE)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "suite.toml").write_text(TABLE)
    found = [read_configuration(tmp_path), read_configuration(tmp_path, tmp_path / "other" / "suite.toml")]
    assert [each.folder for each in found] == [tmp_path, tmp_path / "other"]
    for each in found:
        assert vars(each) == {**vars(ALL), "folder": each.folder}
    assert found[0].needs("").options == ()
    assert found[0].needs() == Needs(
        ("six",), ("speed",), (), (("python", "make_tables.py"),), ("--run-slow", "-p", "no:randomly")
    )
    assert found[0].needs("-x", ("attrs",)).options == ("-x",)
    assert found[0].needs("-x", ("attrs",)).install == ("six", "attrs")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("suit = 'a'", r"has the key 'suit'; expected some of suite, tolerance"),
        ("suite = 1", r"suite is 1; expected a text"),
        ("tolerance = true", r"tolerance is True; expected a number"),
        ("first = 'a'", r"first is 'a'; expected a list of texts"),
        ("first = [1]", r"first is \[1\]; expected a list of texts"),
        ("suite = ", r"is no TOML: .*; mend it"),
    ],
)
def test_a_wrong_configuration_is_refused(text: str, why: str, tmp_path: Path) -> None:
    """The refusal names the file, the key and what is expected."""
    (tmp_path / "suite.toml").write_text(text)
    with pytest.raises(ValueError, match=rf"suite\.toml.*{why}"):
        read_configuration(tmp_path, tmp_path / "suite.toml")
    with pytest.raises(ValueError, match=r"--config is .*none\.toml, which cannot be read: No such file"):
        read_configuration(tmp_path, tmp_path / "none.toml")


@pytest.mark.parametrize(("field", "value"), [("pytest", "'"), ("build", ("'",)), ("build", ("",))])
def test_words_that_no_shell_could_read_are_refused(field: str, value: Any) -> None:
    """A build step of no words is none."""
    with pytest.raises(ValueError, match=f"{field} "):
        Configuration(**{field: value}).needs()


def test_options_come_before_the_configuration(project_in_git: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The suite of a configuration is found from its file, wherever `regress` is called."""
    (project_in_git / "pyproject.toml").write_text("[tool.rnnbench.regress]\n" + TABLE)
    asked: list[Request] = []

    def note(request: Request, *_: object) -> None:
        asked.append(request)
        raise StoreError("enough")

    monkeypatch.setattr("benchmarks.regression.regress.regress", note)
    monkeypatch.chdir(project_in_git / "bench")
    for words in ([], ["--budget", "3m", "--suite", "x", "--first", "b", "--tolerance", "0.1", "--pytest", "-x"]):
        assert run("regress", "--base", "HEAD", *words).exit_code == 2
    configured, given = asked
    assert Path(configured.suite) == project_in_git / "bench" / "suite"
    assert (configured.budget_seconds, configured.rule.tolerance, configured.first) == (120, 0.05, ("test_big",))
    assert configured.environment == "own"
    assert (given.suite, given.budget_seconds, given.rule.tolerance, given.first) == ("x", 180, 0.1, ("b",))
    assert (given.needs.options, given.needs.install) == (("-x",), ("six",))


def test_named_extras_and_groups_take_the_place_of_the_usual_ones(tmp_path: Path) -> None:
    """One that the project does not have is refused with those that it has."""
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "x"\n[project.optional-dependencies]\nspeed = ["six"]\ntest = ["attrs"]\n'
        '[dependency-groups]\nbench_it = ["tomli"]\ntest = ["nox"]\n'
    )
    assert (extras_of(tmp_path, None), requirements_of(tmp_path, None)) == (["test"], ["nox"])
    assert (extras_of(tmp_path, ("Speed",)), requirements_of(tmp_path, ("bench-it",))) == (["speed"], ["tomli"])
    assert (extras_of(tmp_path, ()), requirements_of(tmp_path, ())) == ([], [])
    with pytest.raises(ValueError, match=r"extras of .* name fast, and the project .* has speed, test; expected one"):
        extras_of(tmp_path, ("fast",))
    with pytest.raises(ValueError, match=r"groups of .* name fast, and the project .* has bench_it, test"):
        requirements_of(tmp_path, ("fast",))
