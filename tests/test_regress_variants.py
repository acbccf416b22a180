"""`regress` between variants: what a side has installed and set beside its revision."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from benchmarks.__main__ import app
from benchmarks.regression.environments import kept_environments
from benchmarks.regression.environments.kept_environments import dependency_key, environment_of
from benchmarks.regression.environments.preparing import Preparation
from benchmarks.regression.environments.requirements import Needs
from benchmarks.regression.environments.revisions import Revision, check_out
from benchmarks.regression.environments.variants import AS_IT_IS, Variant, interpreter, variant
from benchmarks.regression.processes.process_record import ProcessRecord
from benchmarks.regression.regress import plan
from tests.own_code_projects import project, quick_dry_run


def test_a_variant_is_made_of_the_options_of_a_side() -> None:
    """The Python may be a path; a value may hold an equals sign."""
    found = variant("base", ["six==1.*"], sys.executable, ["CFLAGS=-O2 -march=x86-64", "EMPTY="])
    assert (found.requirements, found.python, found.python_version) == (("six==1.*",), sys.executable, sys.version)
    assert found.variables == {"CFLAGS": "-O2 -march=x86-64", "EMPTY": ""}
    assert found.label == f" with six==1.*, {sys.executable}, CFLAGS='-O2 -march=x86-64', EMPTY=''"
    assert (variant("head", [], None, []), AS_IT_IS.label) == (AS_IT_IS, "")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--head", "HEAD"], r"--base is missing.*--base-with"),
        (["--base-with", "six=1"], r"--base-with is 'six=1': .* expected a requirement"),
        (["--head-python", "9.99"], r"--head-python is '9.99', and there is no python9.99 here; expected a version"),
        (["--base-python", "git"], r"--base-python is 'git', and .*git is no Python that runs; expected a version"),
        (["--base-env", "CC"], r"--base-env is 'CC'; expected NAME=VALUE"),
        (["--head-env", "1C=x"], r"--head-env is '1C=x'; expected NAME=VALUE"),
        (["--head-env", "PYTHONPATH=x"], r"--head-env sets PYTHONPATH, which regress sets .* another variable"),
        (
            ["--base-with", "six", "--environment", "shared"],
            r"--base-with is six and --environment shared, .*of the two",
        ),
    ],
)
def test_a_wrong_variant_is_exit_status_2_and_a_sentence(words: list[str], why: str, project_in_git: Path) -> None:
    """It names the option, the value and what is expected; nothing is written."""
    done = CliRunner(env={"COLUMNS": "300"}).invoke(app, ["regress", "--suite", "bench/suite", *words])
    assert done.exit_code == 2
    assert re.search(f"error: .*{why}", " ".join(done.output.split())), done.output
    assert sorted(path.name for path in project_in_git.iterdir()) == [".git", "bench"]


def test_variables_alone_need_no_environment_and_requirements_do() -> None:
    """Two values of a variable are compared in the environment of `regress`."""
    options = {"tolerance": 0.03, "budget": "1m", "environment": "auto"}
    for side, expected in ((Variant(variables={"A": "1"}), "auto"), (Variant(("six",)), "own")):
        request = plan(None, None, "bench", variants=(AS_IT_IS, side), **options)  # type: ignore[arg-type]
        assert (request.environment, request.base) == (expected, None)


def test_without_a_base_both_sides_are_the_revision_of_head(project_in_git: Path) -> None:
    """A named one has a worktree a side, since builds write into it; the checkout is both, as it stands."""
    with check_out(project_in_git, None, None) as (base, head):
        assert (base, base.folder.samefile(project_in_git)) == (head, True)
    with check_out(project_in_git, None, "HEAD") as (base, head):
        assert (base.commit, base.label) == (head.commit, head.label)
        assert base.folder != head.folder


def test_each_side_has_an_environment_with_its_requirements(
    revisions: tuple[Revision, Revision], pip_commands: list[list[str]]
) -> None:
    """One revision with two variants; what was installed is known for each."""
    variants = {"base": Variant(("six==1.16",)), "head": Variant(("six==1.17",))}
    said: list[str] = []
    top = revisions[0].folder.parent
    preparation = Preparation(
        top, "speed", top / "builds", dry_run=lambda _: ProcessRecord(), say=said.append, variants=variants
    )
    base, head = (each.side for each in preparation.pair(revisions[0], revisions[0], "own"))
    assert base.python != head.python
    assert [command[-5:-1] for command in pip_commands] == [
        [".", version, "pytest", "pytest-benchmark"] for version in ("six==1.16", "six==1.17")
    ]
    assert preparation.installed == {"base": {"python": base.python}, "head": {"python": head.python}}
    assert sum("with six==1.16 gets an environment of its own" in line for line in said) == 1


def test_a_variant_stands_in_front_of_the_constraints(
    revisions: tuple[Revision, Revision], pip_commands: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lines of other packages still hold; no wheel of other variables is taken from pip's cache."""
    folder = revisions[0].folder
    (folder / "constraints.txt").write_text("# pins\nMy.Engine==1.2  # the newest\nnumpy==2.1\n")
    seen: list[str] = []
    stand_in: Any = vars(kept_environments)["failure"]

    def reads(command: list[str], where: Path, **given: object) -> str:
        if "--constraint" in command:
            file = Path(command[command.index("--constraint") + 1])
            seen.append((where / file).read_text())
        return str(stand_in(command, where, **given))

    monkeypatch.setattr("benchmarks.regression.environments.kept_environments.failure", reads)
    said: list[str] = []
    environment_of(revisions[0], folder, said.append, variant=Variant(("my-engine==1.1",), variables={"CC": "clang"}))
    environment_of(revisions[0], folder, said.append, variant=Variant(("six",)))
    assert seen == ["# pins\nnumpy==2.1\n", "# pins\nMy.Engine==1.2  # the newest\nnumpy==2.1\n"]
    assert ["--no-cache-dir" in command for command in pip_commands] == [True, False]
    assert said.count("constraints.txt does not hold for my-engine==1.1") == 1


@pytest.mark.parametrize(
    ("said", "why"), [("3 8 3.8.20", "which is Python 3.8; expected 3.9 or newer"), ("2", "is no Python that runs")]
)
def test_a_python_that_cannot_measure_is_refused(tmp_path: Path, said: str, why: str) -> None:
    """One that is too old for the plugins, and a program that is none."""
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\necho {said}\n")
    python.chmod(0o700)
    with pytest.raises(ValueError, match=f"--base-python is .*{why}"):
        interpreter(str(python), "--base-python")


def test_another_python_makes_the_environment(
    revisions: tuple[Revision, Revision], pip_commands: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own venv does, by an option that old ones know; the environment is not that of this Python."""
    made: list[list[str]] = []
    stand_in: Any = vars(kept_environments)["failure"]

    def note(command: list[str], where: Path, **given: object) -> str:
        made.append(command)
        return str(stand_in(command, where, **given))

    monkeypatch.setattr("benchmarks.regression.environments.kept_environments.failure", note)
    other = Variant(python="/opt/python3.9", python_version="3.9.1")
    environment_of(revisions[0], revisions[0].folder, lambda _: None, variant=other)
    assert made[0][:4] == ["/opt/python3.9", "-I", "-m", "venv"]
    assert {command[1] for command in made} == {"-I"}
    assert len(pip_commands) == 1


def test_variants_and_needs_have_environments_of_their_own(revisions: tuple[Revision, Revision]) -> None:
    """A side as it is has the one that it had before there were variants."""
    folder = revisions[0].folder
    keys = {
        dependency_key(folder, None, needs, side)
        for needs in (Needs(), Needs(extras=("a",)), Needs(groups=("a",)), Needs(install=("six",)))
        for side in (
            AS_IT_IS,
            Variant(("six",)),
            Variant(python="/a", python_version="1"),
            Variant(variables={"A": "1"}),
        )
    }
    assert len(keys) == 16
    assert dependency_key(folder) == dependency_key(folder, None, Needs(options=("-x",)), AS_IT_IS)


def test_a_variable_is_in_force_on_its_side(tmp_path: Path) -> None:
    """The test passes where the variable has its value, in a real process of each side."""
    suite = "import os, pkg\ndef test_it(benchmark):\n    assert os.environ['WORK'] == 'much'\n"
    top = project(tmp_path / "project", {"pkg.py": "revision = REVISION\n", "bench/test_it.py": suite})
    variants = {"base": Variant(variables={"WORK": "much"}), "head": Variant(variables={"WORK": "little"})}
    with check_out(top, None, None) as both:
        preparation = Preparation(top, "bench", tmp_path, dry_run=quick_dry_run, say=lambda _: None, variants=variants)
        base, head = preparation.pair(*both, "auto")
    assert [each.dry_run.passed("bench/test_it.py::test_it") for each in (base, head)] == [True, False]
