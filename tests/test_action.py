"""The action that judges a pull request: of GitHub's form, and each step run by bash as GitHub runs it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from packaging.requirements import Requirement
from ruamel.yaml import YAML
from typer.core import TyperGroup

from benchmarks.__main__ import app
from benchmarks.regression.environments.sources import normalized, toml
from tests.tracked_project import git

ROOT = Path(__file__).parent.parent
ACTION = ROOT / "action.yml"
CONTENT: dict[str, Any] = YAML(typ="safe").load(ACTION)
STEPS: dict[str, dict[str, Any]] = {step["name"]: step for step in CONTENT["runs"]["steps"]}


def run_step(
    name: str, folder: Path, given: dict[str, str], ends: int = 0
) -> tuple[int, dict[str, str], list[Any], str]:
    """The exit status of a step, its outputs, the words of the programs that it starts, and what it prints.

    Each Python and gh is a stand-in that notes its words; that of rnnbench ends with `ends`.
    """
    tools, temporary = folder / "tools", folder / "temporary"
    noted, outputs = folder / "noted.jsonl", folder / "outputs"
    noted.touch()
    outputs.touch()
    for path, status in ((tools / "python3", 0), (tools / "gh", ends), (temporary / "rnnbench/bin/python", ends)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            f"#!{sys.executable}\nimport json, sys\n"
            f"with open({str(noted)!r}, 'a') as file:\n"
            f"    file.write(json.dumps([{path.name!r}, *sys.argv[1:]]) + '\\n')\n"
            f"sys.exit({status})\n"
        )
        path.chmod(0o755)
    step = STEPS[name]
    assert set(step.get("env", {})) == set(given), "every variable of the step is given"
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
    done = subprocess.run(
        command,
        cwd=folder / "checkout",
        env={
            **os.environ,
            **given,
            "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
            "RUNNER_TEMP": str(temporary),
            "GITHUB_OUTPUT": str(outputs),
            "GITHUB_ACTION_PATH": str(ROOT),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    started = [json.loads(line) for line in noted.read_text().splitlines()]
    return done.returncode, dict(line.split("=", 1) for line in outputs.read_text().splitlines()), started, done.stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A shallow clone of a request's branch: main went on after the branch left it."""
    origin = tmp_path / "origin"
    origin.mkdir()
    git(origin, "init", "--quiet", "--initial-branch=main")
    git(origin, "commit", "--quiet", "--allow-empty", "-m", "first")
    git(origin, "checkout", "--quiet", "-b", "request")
    git(origin, "commit", "--quiet", "--allow-empty", "-m", "the request")
    git(origin, "checkout", "--quiet", "main")
    git(origin, "commit", "--quiet", "--allow-empty", "-m", "later")
    words = ("clone", "--quiet", "--depth=1", "--branch=request", origin.as_uri(), str(tmp_path / "checkout"))
    git(tmp_path, *words)
    return tmp_path / "checkout"


def test_the_action_is_of_githubs_form(tmp_path: Path) -> None:
    """An action whose step has no shell is not."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-actions"]
    done = subprocess.run([*command, str(ACTION)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    wrong = tmp_path / "action.yml"
    wrong.write_text(ACTION.read_text().replace("shell: bash", "", 1))
    assert subprocess.run([*command, str(wrong)], capture_output=True, check=False).returncode == 1


def test_no_input_is_part_of_a_script() -> None:
    """The words of a request reach a script as variables alone: in a script they would be run."""
    for name, step in STEPS.items():
        assert "${{" not in step.get("run", ""), name
    used = set(re.findall(r"inputs\.([a-z-]+)", ACTION.read_text()))
    assert used == set(CONTENT["inputs"])


def test_rnnbench_is_installed_without_what_measures_networks(checkout: Path) -> None:
    """What it does need is a group of this project, and each is among the project's own dependencies."""
    status, _, started, _ = run_step("Install rnnbench", checkout.parent, {})
    assert status == 0
    assert started[0] == ["python3", "-m", "venv", str(checkout.parent / "temporary" / "rnnbench")]
    assert started[2][-2:] == ["--group", f"{ROOT}/pyproject.toml:regress"]
    assert started[3][-2:] == ["--no-deps", str(ROOT)]
    project = toml(ROOT / "pyproject.toml")
    needed, known = (
        {normalized(Requirement(each).name) for each in each_of}
        for each_of in (project["dependency-groups"]["regress"], project["project"]["dependencies"])
    )
    assert needed - known == {"pytest"}
    assert "torch" not in needed


IMPORTED = """
import sys
allowed = set(sys.argv[1].split(","))
import importlib.metadata
class Only:
    def find_spec(self, name, path=None, target=None):
        if "." not in name and name in foreign:
            raise ImportError(f"{name} is in no group")
packages = importlib.metadata.packages_distributions()
normal = lambda name: name.lower().replace("_", "-")
foreign = {name for name, owners in packages.items() if not {normal(owner) for owner in owners} & allowed}
foreign -= set(sys.modules) | {"benchmarks", "rnnimpl", "rnnbench"}
sys.meta_path.insert(0, Only())
import benchmarks.__main__, benchmarks.commands.regressions, benchmarks.regression.output
import benchmarks.regression.configuration, benchmarks.presentation.figures, benchmarks.machine
benchmarks.machine.describe_machine()
"""


def test_the_group_has_all_that_regress_imports() -> None:
    """Nothing outside of the group, and of what comes along with it, is imported."""
    from importlib.metadata import requires

    allowed, queue = set(), list(toml(ROOT / "pyproject.toml")["dependency-groups"]["regress"])
    while queue:
        each = Requirement(queue.pop())
        name = normalized(each.name)
        if name not in allowed and (each.marker is None or each.marker.evaluate({"extra": ""})):
            allowed.add(name)
            queue += requires(name) or []
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED, ",".join(allowed)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("given", ["", "HEAD"])
def test_the_base_is_where_the_request_left_the_target(given: str, checkout: Path) -> None:
    """The history is fetched; a base that is named is taken as it is."""
    status, outputs, _, _ = run_step("Find the base", checkout.parent, {"BASE": given, "TARGET": "main"})
    assert status == 0
    assert outputs == {"revision": given or git(checkout, "rev-parse", "HEAD~1")}


def test_outside_of_a_request_a_base_has_to_be_named(checkout: Path) -> None:
    """The message names the input."""
    status, outputs, _, said = run_step("Find the base", checkout.parent, {"BASE": "", "TARGET": ""})
    assert (status, outputs) == (2, {})
    assert "::error::this is no pull request: name the revision to compare with by the input base" in said


INPUTS = {
    "BASE": "abc",
    "SUITE": "a suite",
    "BUDGET": "9m",
    "OPTIONS": "--first\ntest it\n\n",
    "FAIL_WHEN_UNKNOWN": "false",
}


@pytest.mark.parametrize(
    ("ends", "fails", "unknown"), [(0, 0, ""), (1, 1, ""), (2, 2, ""), (3, 0, "false"), (3, 3, "true")]
)
def test_the_step_ends_as_the_verdict(ends: int, fails: int, unknown: str, checkout: Path) -> None:
    """The words reach `regress` one by one; where no case can be told, the step warns or fails."""
    given = {**INPUTS, "FAIL_WHEN_UNKNOWN": unknown}
    status, outputs, started, said = run_step("Measure and judge", checkout.parent, given, ends)
    folder = str(checkout.parent / "temporary" / "rnnbench-regress")
    assert status == fails
    assert outputs == {"status": str(ends), "folder": folder}
    assert ("::warning::" in said) == (ends == 3 and not fails)
    ((_, *words),) = started
    assert words[:3] == ["-m", "rnnbench", "regress"]
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    params = group.commands["regress"].make_context("regress", words[3:]).params
    assert (params["base"], params["suite"], params["budget"], params["first"], str(params["out"])) == (
        *("abc", "a suite", "9m", ["test it"], folder),
    )


def test_inputs_that_are_left_out_are_no_words(checkout: Path) -> None:
    """Then the configuration of the project holds."""
    given = {**INPUTS, "SUITE": "", "BUDGET": "", "OPTIONS": ""}
    _, outputs, started, _ = run_step("Measure and judge", checkout.parent, given)
    assert started[0][3:] == ["regress", "--base", "abc", "--out", outputs["folder"]]


@pytest.mark.parametrize("ends", [0, 1])
def test_the_comment_is_written_over_the_last_one(ends: int, checkout: Path) -> None:
    """A request from elsewhere gives no right to write: that is a warning, and the verdict stands."""
    (checkout / "comment.md").write_text("slower")
    given = {"GH_TOKEN": "t", "NUMBER": "7", "FOLDER": str(checkout)}
    status, _, started, said = run_step("Write the verdict on the request", checkout.parent, given, ends)
    assert status == 0
    assert started == [
        ["gh", "pr", "comment", "7", "--body-file", f"{checkout}/comment.md", "--edit-last", "--create-if-none"]
    ]
    assert ("::warning::" in said) == bool(ends)


def test_a_run_without_a_verdict_writes_no_comment(checkout: Path) -> None:
    """It ended before there was a verdict."""
    given = {"GH_TOKEN": "t", "NUMBER": "7", "FOLDER": ""}
    assert run_step("Write the verdict on the request", checkout.parent, given)[2] == []
