"""Going on with a run: whose code is loaded, and which files are added to."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.measuring.sweeping import launch
from benchmarks.measuring.sweeping.sweep_plan import SweepPlan, plan_sweep
from benchmarks.trial import SCHEMA
from tests.synthetic_runs import run_of, trial, workload
from tests.verbs_in_a_place import measured, refused, run

pytestmark = pytest.mark.usefixtures("place")


PAIR = [trial("nn_rnn", workload(), 2e-3), trial("mine", workload(), 1e-3)]


IMPLEMENTATION = """
open("ran", "w").close()
from rnnimpl.impls.numpy_loop import NumpyLoop

class Mine(NumpyLoop):
    {body}
"""


@pytest.fixture
def stranger(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Makes a run's folder that names code of its own, and keeps what would be measured in `plans`."""
    monkeypatch.setattr("benchmarks.machine.describe_machine", lambda: {"key": "synthetic-2cores-8GiB"})
    monkeypatch.setattr("benchmarks.commands.speed.show_report", lambda *_, **__: None)
    monkeypatch.syspath_prepend(str(Path.cwd()))
    sweep = plan_sweep("quick", implementations=["numpy_loop"]).sweep.to_json()

    def make(implementations: Any, body: str = "pass") -> Path:
        run_of(Path("stranger"), PAIR, sweep=sweep, implementations=implementations)
        Path("stranger/code.py").write_text(IMPLEMENTATION.format(body=body))
        return Path("stranger")

    return make


@pytest.mark.parametrize("name", ["nn_rnn", "mine"])
@pytest.mark.parametrize("body", ["pass", 'devices = ("cpu",)'])
def test_code_that_a_runs_folder_names_is_not_loaded(
    name: str, body: str, stranger: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sentence has the command line that loads it, whatever its label in the run."""
    monkeypatch.setattr(launch, "measure_alone", measured)
    stranger({"numpy_loop": "numpy_loop", name: "stranger.code:Mine"}, body)
    said = refused("sweep", "--resume", "stranger")
    assert f"python -m benchmarks sweep --resume stranger --impl {name}=stranger.code:Mine" in said
    assert not Path("ran").exists()


def test_code_that_the_user_names_again_is_loaded(
    stranger: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run goes on with all its implementations."""
    plans: list[SweepPlan] = []
    monkeypatch.setattr(launch, "measure_alone", lambda _run, plan, _console: plans.append(plan))
    implementations = {"numpy_loop": "numpy_loop", "mine": "stranger.code:Mine"}
    stranger(implementations)
    result = run("sweep", "--resume", "stranger", "--impl", "mine=stranger.code:Mine")
    assert result.exit_code == 0, result.output
    assert plans[0].implementations == implementations


def test_a_run_of_an_earlier_version_goes_on_in_this_versions_form(
    stranger: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record has this version's schema before a trial is added."""
    schemas: list[int] = []
    monkeypatch.setattr(launch, "measure_alone", lambda run, *_: schemas.append(run.record["schema"]))
    folder = stranger({"numpy_loop": "numpy_loop"})
    record = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(record | {"schema": 3}))
    assert run("sweep", "--resume", str(folder)).exit_code == 0
    assert schemas == [SCHEMA]


@pytest.mark.parametrize("word", ["mine=other:Class", "numpy_loop=stranger.code:Mine", "nn_rnn", "stranger.code:Mine"])
def test_what_is_named_has_to_be_the_runs(
    word: str, stranger: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An implementation that the run does not have is refused."""
    monkeypatch.setattr(launch, "measure_alone", measured)
    stranger({"numpy_loop": "numpy_loop", "mine": "stranger.code:Mine"})
    assert "is not in stranger; expected none, or those of the run" in refused(
        "sweep", "--resume", "stranger", "--impl", word
    )
    assert not Path("ran").exists()


@pytest.mark.parametrize(
    "implementations",
    [[], "numpy_loop", {"a": 1}, {"a": None}, {"x=stranger.code:Mine": "numpy_loop"}, {"../../x": "numpy_loop"}],
    ids=str,
)
def test_implementations_that_are_none_are_refused(
    implementations: Any, stranger: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names become those of files, and sources are texts."""
    monkeypatch.setattr(launch, "measure_alone", measured)
    stranger(implementations)
    assert "implementation" in refused("sweep", "--resume", "stranger")
    assert not Path("ran").exists()


def test_the_hint_to_go_on_names_code_of_the_users(
    stranger: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hint is a command line that can be copied."""
    monkeypatch.setattr(launch, "measure_missing", lambda *_: False)
    stranger({"numpy_loop": "numpy_loop", "mine": "stranger.code:Mine"})
    result = run("sweep", "--resume", "stranger", "--impl", "mine=stranger.code:Mine")
    assert result.output.endswith("python -m benchmarks sweep --resume stranger --impl mine=stranger.code:Mine\n")


@pytest.mark.parametrize("kind", ["link", "hard link", "folder"])
@pytest.mark.parametrize("name", ["trials.jsonl", "run.json", "worker-peaks.log", "report.md"])
def test_a_run_whose_files_are_links_does_not_go_on(
    name: str, kind: str, stranger: Callable[..., Path], pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run is refused before anything is measured where its files are links."""
    if (name, kind) in (("run.json", "folder"), ("report.md", "hard link"), ("trials.jsonl", "folder")):
        pytest.skip("is no run's, cannot be read, or is replaced under one name")
    monkeypatch.setattr(launch, "measure_alone", measured)
    folder = stranger({"numpy_loop": "numpy_loop"})
    target = pictures / "target"
    if (folder / name).exists():
        (folder / name).rename(target)
    else:
        target.write_text("mine")
    if kind == "link":
        (folder / name).symlink_to(target)
    elif kind == "hard link":
        (folder / name).hardlink_to(target)
    else:
        (folder / name).mkdir()
    assert name in refused("sweep", "--resume", "stranger")
