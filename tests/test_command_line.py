"""The command line of `benchmarks`: what it answers to right and to wrong use."""

from __future__ import annotations

import io
import json
import re
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import typer
from rich.cells import cell_len
from typer.testing import CliRunner, Result

from benchmarks.__main__ import app, main
from benchmarks.commands import completing
from benchmarks.measuring.sweeping.sweep_plan import plan_sweep
from benchmarks.store import open_run
from rnnimpl.registry import default_names, names
from tests.synthetic_runs import run_of, trial, workload

VERBS = (
    *("advise", "list", "sweep", "report", "pack", "export", "compare", "train", "profile"),
    *("regress", "calibrate", "track", "history"),
)
CASE = "nn_rnn/cpu/inference/T4-B1-I4-H4-L1-tanh-float32"


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    """A shell in an empty folder, with a lock of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return CliRunner(env={"COLUMNS": "200"})


def run(runner: CliRunner, *words: str) -> Result:
    """The result of a command line; a fault of this project is raised."""
    return runner.invoke(app, list(words), catch_exceptions=False)


@pytest.mark.parametrize("verb", VERBS)
def test_help_shows_an_example_of_each_verb(runner: CliRunner, verb: str) -> None:
    """The example is a command that can be copied."""
    result = run(runner, verb, "--help")
    assert result.exit_code == 0
    assert f"Example: python -m benchmarks {verb}" in " ".join(result.output.split())
    assert "<bool>" not in result.output
    assert "<str>" not in result.output


@pytest.mark.parametrize("width", [60, 80, 200])
@pytest.mark.parametrize("verb", VERBS)
def test_help_cuts_and_folds_no_word(verb: str, width: int) -> None:
    """Forms of values and examples in texts are whole on a narrow terminal."""
    result = run(CliRunner(env={"COLUMNS": str(width)}), verb, "--help")
    lines = result.output.splitlines()
    assert "…" not in result.output
    assert all(cell_len(line) <= width for line in lines)
    command: Any = typer.main.get_command(app)
    forms = [parameter.metavar for parameter in command.commands[verb].params if parameter.metavar]
    assert all(any(form in line for line in lines) for form in forms)
    words = {word.lstrip("\\") for each in command.commands[verb].params for word in (each.help or "").split()}
    assert words <= {word for line in lines for word in line.split()}


def test_the_verbs_are_all_tested() -> None:
    """A new verb is added to the list above."""
    assert {
        command.name or command.callback.__name__ for command in app.registered_commands if command.callback
    } == set(VERBS)


def test_help_groups_the_verbs_by_what_a_person_wants(runner: CliRunner) -> None:
    """A newcomer's verbs come first, those on slowdowns of code last."""
    shown = run(runner, "--help").output
    words = ("Measure", "advise", "sweep", "Understand", "report", "export", "Maintain", "regress", "calibrate")
    places = [re.search(rf"^\W+{word} ", shown, re.MULTILINE) for word in words]
    starts = [place.start() for place in places if place]
    assert starts == sorted(starts)
    assert len(starts) == len(words)


def test_the_version_is_that_of_the_project(runner: CliRunner) -> None:
    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert run(runner, "--version").output == f"rnnbench {project['version']}\n"


@pytest.mark.parametrize(
    ("offer", "typed", "offered"),
    [
        (completing.sweeps, "deepbench-", ["deepbench-rnn", "deepbench-lstm", "deepbench-gru"]),
        (completing.implementations, "nn_rnn,fused_cp", ["nn_rnn,fused_cpu"]),
        (completing.run_folders, "results/o", ["results/one"]),
        (completing.run_folders, "kept/", ["kept/three"]),
        (completing.tables, "fa", ["fastest"]),
    ],
)
def test_a_shell_is_offered_values(
    runner: CliRunner, offer: Callable[[str], list[str]], typed: str, offered: list[str]
) -> None:
    """Folders without a run are not offered."""
    assert runner
    for folder in ("results/one", "results/other", "kept/three"):
        Path(folder).mkdir(parents=True)
        if folder != "results/other":
            Path(folder, "run.json").touch()
    assert offer(typed) == offered


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("regress", "--base", "HEAD"), "regress without --suite needs a checkout of rnnbench"),
        (("track",), "track without --suite needs a checkout of rnnbench"),
        (("calibrate", "--out", "out"), "calibrate needs a checkout of rnnbench"),
    ],
)
def test_what_needs_a_checkout_says_so(
    runner: CliRunner, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], said: str
) -> None:
    """Where rnnbench is installed, in a folder of somebody else's."""
    monkeypatch.setattr("benchmarks.program.is_checkout", lambda: False)
    result = run(runner, *words)
    assert result.exit_code == 2
    assert said in result.output


def test_the_list_is_the_same_for_people_and_programs(runner: CliRunner) -> None:
    """Every implementation and sweep is in both."""
    listed = json.loads(run(runner, "list", "--json").output)
    table = run(runner, "list").output
    assert {"numpy_loop", "nn_rnn"} <= set(listed["implementations"])
    assert {"quick", "default", "full", "deepbench"} <= set(listed["sweeps"])
    for name in (*listed["implementations"], *listed["sweeps"]):
        assert name in table


@pytest.mark.parametrize("words", [["profile", CASE], ["train", "--impl", "numpy_loop"], ["calibrate"]])
def test_where_nothing_can_be_written_is_said_at_once(
    runner: CliRunner, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    """The refusal comes before anything is measured."""
    _have_measuring_fail(monkeypatch, AssertionError("measured"))
    Path("taken").touch()
    result = run(runner, *words, "--out", "taken")
    assert result.exit_code == 2
    assert "--out is taken, where nothing can be written: File exists; expected a folder" in result.output


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        (["sweep", "quick", "--out", "my run"], "is kept: go on with python -m benchmarks sweep --resume 'my run'\n"),
        (["profile", CASE], "interrupted: nothing is kept\n"),
        (["train", "--impl", "numpy_loop"], "interrupted: nothing is kept\n"),
        (["calibrate", "--out", "mine"], "are kept, and the same command continues\n"),
    ],
)
def test_ctrl_c_is_answered_with_what_is_kept(
    runner: CliRunner, monkeypatch: pytest.MonkeyPatch, words: list[str], kept: str
) -> None:
    """The answer is one line that can be copied, and the status is no verdict."""
    _have_measuring_fail(monkeypatch, KeyboardInterrupt())
    result = runner.invoke(app, words, env={"COLUMNS": "30"})
    assert result.exit_code == 130
    assert result.output.endswith(kept)


def _have_measuring_fail(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    for name in (
        "measuring.sweeping.launch.measure_peaks",
        "profiling.profile.measure_peaks",
        "training.train.reference_losses",
        "regression.calibration.measuring.measure",
    ):
        monkeypatch.setattr(f"benchmarks.{name}", fail)


def test_what_a_terminal_cannot_show_becomes_a_question_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of ASCII has no multiplication sign, and still shows the table."""
    shown = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(shown, encoding="ascii"))
    monkeypatch.setattr("benchmarks.__main__.app", lambda **_: print("1.5\N{MULTIPLICATION SIGN}", flush=True))
    main()
    assert shown.getvalue() == b"1.5?\n"


def test_all_stands_for_every_implementation() -> None:
    """Implementations that run only when named are among them, beside those of the user."""
    planned = plan_sweep("quick", implementations=["all", "mine=numpy_loop"], axes={"device": ("cpu",)})
    assert planned.implementations == {name: name for name in names()} | {"mine": "numpy_loop"}
    assert tuple(plan_sweep("quick", axes={"device": ("cpu",)}).implementations) == default_names() != names()


def test_the_subject_of_a_report_is_an_implementation_of_the_run(runner: CliRunner) -> None:
    """A named implementation is compared with the best of the others; a name that no run has is wrong use."""
    run_of(Path("run"), [trial("nn_rnn", workload(), 2e-3), trial("torch_loop", workload(), 1e-3)])
    result = run(runner, "report", "run", "--subject", "torch_lop")
    assert result.exit_code == 2
    assert "subject is 'torch_lop'; expected an implementation of the run: nn_rnn, torch_loop" in result.output
    assert run(runner, "report", "run", "--subject", "nn_rnn").exit_code == 0
    assert set(pd.read_csv("run/ranking.csv")["subject"]) == {"nn_rnn"}


def test_a_toml_key_that_does_not_exist_is_answered_with_the_nearest(runner: CliRunner) -> None:
    """The messages quote the file."""
    Path("mine.toml").write_text("[[grid]]\nhiden = [4]\n")
    result = run(runner, "sweep", "mine.toml")
    assert result.exit_code == 2
    assert re.search(r"did you mean H", result.output)


SWEEP = """
budget = "10m"

[[grid]]
T = 4
B = 2
H = 8
threads = 1
device = "cpu"
"""


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """The folder of a run of two tiny workloads, and what the sweep printed; one implementation has two names."""
    folder = tmp_path_factory.mktemp("swept")
    (folder / "tiny.toml").write_text(SWEEP)
    implementations = ("numpy_loop", "numpy_hoisted", "again=numpy_loop")
    chosen = [word for name in implementations for word in ("--impl", name)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tempfile.tempdir", str(folder))
        patch.setattr("benchmarks.measuring.sweeping.runner.MAX_VISITS", 1)
        patch.setattr("benchmarks.measuring.sweeping.peak_processes.PEAK_SECONDS", 0.5)
        words = ("sweep", str(folder / "tiny.toml"), *chosen, "--out", str(folder / "run"))
        result = run(CliRunner(env={"COLUMNS": "200"}), *words)
    return folder / "run", result


@pytest.fixture
def mine(swept: tuple[Path, Result], runner: CliRunner) -> Path:  # noqa: ARG001  # in the runner's folder
    """A copy of the run, in the current folder."""
    return Path(shutil.copytree(swept[0], "mine"))


def test_a_sweep_leaves_a_run_with_its_report(swept: tuple[Path, Result]) -> None:
    """A small sweep writes trials, tables and plots, and ends with the path of the report."""
    folder, result = swept
    assert result.exit_code == 0, result.output
    assert {trial.case.id for trial in open_run(folder).trials()} == {
        f"{name}/cpu/{mode}/T4-B2-I8-H8-L1-tanh-float32"
        for name in ("numpy_loop", "numpy_hoisted", "again")
        for mode in ("inference", "training")
    }
    for name in ("run.json", "trials.jsonl", "summary.csv", "report.md", "report.html"):
        assert (folder / name).stat().st_size > 0
    assert f"report: {folder / 'report.md'}" in result.output
    record = open_run(folder).record
    assert record["peaks"]
    assert record["machine"]["key"]
    assert record["packages"]["numpy"]
    assert record["finished_at"]


def test_one_implementation_can_be_entered_under_two_names(mine: Path) -> None:
    """LABEL=NAME makes an A/A check."""
    sources = {trial.case.implementation: trial.source for trial in open_run(mine).trials()}
    assert sources == {"numpy_loop": "numpy_loop", "numpy_hoisted": "numpy_hoisted", "again": "numpy_loop"}


def test_the_terminal_says_how_far_two_names_of_one_implementation_differ(runner: CliRunner, mine: Path) -> None:
    result = run(runner, "report", str(mine))
    assert "again and numpy_loop are both numpy_loop (run mine): their medians are within" in " ".join(
        result.output.split()
    )


def test_a_report_is_built_again_from_the_trials(runner: CliRunner, mine: Path) -> None:
    """Derived files can be deleted and made again."""
    (mine / "report.md").unlink()
    (mine / "summary.csv").unlink()
    result = run(runner, "report", str(mine))
    assert result.exit_code == 0, result.output
    assert (mine / "report.md").stat().st_size > 0
    assert (mine / "summary.csv").stat().st_size > 0


def test_a_folder_that_holds_a_run_is_not_written_over(runner: CliRunner, mine: Path) -> None:
    """The folder is refused, and stays as it was."""
    content = (mine / "trials.jsonl").read_bytes()
    result = run(runner, "sweep", "quick", "--impl", "numpy_loop", "--out", "mine")
    assert result.exit_code == 2
    assert "already holds" in result.output
    assert (mine / "trials.jsonl").read_bytes() == content


def test_two_runs_are_compared_case_by_case(runner: CliRunner, mine: Path) -> None:
    """A run has the ratio 1 to itself, and no case is slower, however wide the intervals are."""
    result = run(runner, "compare", str(mine), str(mine), "--all")
    assert result.exit_code in (0, 3), result.output
    assert sum("1.00" in line for line in result.output.splitlines()) == 6 + 4  # cases, and means of three and of all


def test_a_run_is_packed_beside_its_folder_and_read_again(runner: CliRunner, mine: Path) -> None:
    """A second time it is refused, since the file is there."""
    result = run(runner, "pack", "mine")
    assert result.exit_code == 0
    assert "packed: " in result.output
    packed = mine.with_name("mine.rnnbench.gz")
    assert packed.exists()
    compared = run(runner, "compare", "mine", str(packed), "--markdown", "--all")
    assert compared.exit_code in (0, 3)
    assert compared.output.count("| `numpy_loop` |") == 3  # two cases, and their mean
    again = run(runner, "pack", "mine")
    assert again.exit_code == 2
    assert "mine.rnnbench.gz" in again.output


def test_runs_of_two_machines_are_not_compared_unless_asked(runner: CliRunner, mine: Path) -> None:
    """A ratio would compare the machines; a sweep does not resume a run of another machine either."""
    theirs = Path(shutil.copytree(mine, "theirs"))
    record = json.loads((theirs / "run.json").read_text())
    record["machine"]["key"] = "another machine"
    (theirs / "run.json").write_text(json.dumps(record))
    refused = run(runner, "compare", "mine", "theirs")
    assert refused.exit_code == 2
    assert "--across-machines" in refused.output
    assert run(runner, "compare", "mine", "theirs", "--across-machines").exit_code in (0, 3)
    resumed = run(runner, "sweep", "--resume", "theirs")
    assert resumed.exit_code == 2
    assert "another machine" in resumed.output


@pytest.mark.parametrize("words", [["compare", "mine", "mine"], ["sweep", "--resume", "mine"]])
def test_a_record_without_its_machine_is_reported(runner: CliRunner, mine: Path, words: list[str]) -> None:
    """The refusal names the file, the missing entry and the remedy."""
    record = json.loads((mine / "run.json").read_text())
    del record["machine"]
    (mine / "run.json").write_text(json.dumps(record))
    result = run(runner, *words)
    assert result.exit_code == 2
    assert f"{Path('mine', 'run.json')} does not say machine.key; expected it as a sweep writes it" in result.output
