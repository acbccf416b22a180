"""The workflows: of GitHub's form, and each run step does what this project can do, run by bash as GitHub runs it."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer
from ruamel.yaml import YAML
from typer.core import TyperGroup

from benchmarks.__main__ import app

ROOT = Path(__file__).parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def steps(path: Path) -> list[dict[str, Any]]:
    """The steps of a workflow that run commands."""
    jobs = YAML(typ="safe").load(path)["jobs"].values()
    return [step for job in jobs for step in job["steps"] if "run" in step]


RUN_STEPS = [pytest.param(step, id=f"{path.stem}: {step['name']}") for path in WORKFLOWS for step in steps(path)]


def run(*words: str, cwd: Path, env: dict[str, str] | None = None) -> str:
    """The output of a command, which must succeed."""
    done = subprocess.run(words, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def git(cwd: Path, *words: str) -> str:
    """Run git with an identity for commits."""
    return run("git", "-c", "user.name=somebody", "-c", "user.email=somebody@example.com", *words, cwd=cwd)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A clone with a commit on a branch, and new lines of history that are not committed."""
    origin, clone = tmp_path / "origin", tmp_path / "clone"
    git(tmp_path, "init", "--quiet", "--initial-branch=main", str(origin))
    git(origin, "commit", "--quiet", "--allow-empty", "-m", "first")
    git(origin, "config", "receive.denyCurrentBranch", "updateInstead")
    git(tmp_path, "clone", "--quiet", str(origin), str(clone))
    (clone / "results" / "history" / "machine").mkdir(parents=True)
    (clone / "results" / "history" / "machine" / "processes.jsonl").write_text("{}\n")
    return clone


def commands(step: dict[str, Any], checkout: Path) -> list[list[str]]:
    """The arguments of each python that the step starts, in bash as on GitHub, with a python that records them."""
    tools = checkout.parent / "tools"
    tools.mkdir()
    noted = checkout.parent / "noted.jsonl"
    noted.touch()
    python = tools / "python"
    python.write_text(
        f"#!{sys.executable}\nimport json, sys\n"
        f"with open({str(noted)!r}, 'a') as file:\n    file.write(json.dumps(sys.argv[1:]) + '\\n')\n"
    )
    python.chmod(0o755)
    pushed = git(checkout, "rev-parse", "HEAD")
    given = {"BASE": "origin/main", "PUSHED": pushed}
    assert set(step.get("env", {})) <= set(given)
    environment = {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "GITHUB_SHA": pushed, **given}
    run("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"], cwd=checkout, env=environment)
    return [json.loads(line) for line in noted.read_text().splitlines()]


@pytest.fixture(scope="module")
def noxfile() -> Iterator[ModuleType]:
    """The project's sessions, by name; they run at the top of the project, as nox has it."""
    spec = importlib.util.spec_from_file_location("noxfile_of_the_project", ROOT / "noxfile.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with contextlib.chdir(ROOT):
        spec.loader.exec_module(module)
        yield module


class Session:
    """A stand-in for nox's session, which records what it would install and run."""

    def __init__(self, words: list[str]) -> None:
        self.posargs = words
        self.installed: set[str] = set()
        self.ran: list[list[str]] = []

    def install(self, *words: str) -> None:
        """Note the packages."""
        self.installed |= set(words)

    def run(self, *words: str, success_codes: object = None, env: object = None) -> None:
        """Note the command."""
        self.ran.append(list(words))


def runs_in(session: Session, command: list[str]) -> None:
    """A verb that takes these words, a module that is here, or a tool of the name of a package that is installed."""
    if command[:3] == ["python", "-m", "benchmarks"]:
        group = typer.main.get_command(app)
        assert isinstance(group, TyperGroup)
        group.commands[command[3]].make_context(command[3], command[4:])
    elif command[:2] == ["python", "-m"]:
        assert importlib.util.find_spec(command[2])
    else:
        assert command[0] in session.installed


@pytest.mark.parametrize("step", RUN_STEPS)
def test_every_run_step_is_a_command_that_the_project_has(
    step: dict[str, Any], checkout: Path, noxfile: ModuleType
) -> None:
    """Sessions that run verbs with words they take, or git's keeping of the history."""
    started = commands(step, checkout)
    assert started or step["run"].startswith("git "), "starts neither python nor git"
    for command in started:
        if command == ["-m", "pip", "install", "nox"]:
            continue
        assert command[:3] == ["-m", "nox", "--session"]
        name, *words = command[3:]
        assert words[:1] in ([], ["--"])
        session = Session(words[1:])
        getattr(noxfile, name)(session)
        assert session.ran
        for ran in session.ran:
            runs_in(session, ran)
        assert session.ran[-1][len(session.ran[-1]) - len(words[1:]) :] == words[1:], "the words reach the command"


def test_the_history_is_pushed(checkout: Path) -> None:
    """It is, though another commit came to the main branch meanwhile."""
    (step,) = [step for path in WORKFLOWS for step in steps(path) if step["name"] == "Keep the history"]
    origin = checkout.parent / "origin"
    git(origin, "commit", "--quiet", "--allow-empty", "-m", "meanwhile")
    commands(step, checkout)
    assert (origin / "results" / "history" / "machine" / "processes.jsonl").read_text() == "{}\n"
    assert git(origin, "log", "--format=%s").splitlines()[1:] == ["meanwhile", "first"]


def test_keeping_a_history_that_did_not_grow_is_no_failure(checkout: Path) -> None:
    """A job that is run again measures no recorded process."""
    (step,) = [step for path in WORKFLOWS for step in steps(path) if step["name"] == "Keep the history"]
    commands(step, checkout)
    before = git(checkout.parent / "origin", "rev-parse", "HEAD")
    shutil.rmtree(checkout.parent / "tools")
    commands(step, checkout)
    assert git(checkout.parent / "origin", "rev-parse", "HEAD") == before


def check(*files: Path) -> subprocess.CompletedProcess[str]:
    """GitHub's schema, which the checker brings with it."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows"]
    return subprocess.run([*command, *map(str, files)], capture_output=True, text=True, check=False)


def test_the_workflows_are_of_githubs_form(tmp_path: Path) -> None:
    """A workflow with a job without a runner is not."""
    assert WORKFLOWS
    done = check(*WORKFLOWS)
    assert done.returncode == 0, done.stdout
    wrong = tmp_path / "wrong.yml"
    wrong.write_text("on: [push]\njobs:\n  one:\n    steps:\n      - run: true\n")
    assert check(wrong).returncode == 1
