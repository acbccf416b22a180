"""`python -m rnnimpl`: its output and its exit status."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

import pytest
from typer.testing import CliRunner

import rnnimpl
from rnnimpl import conformance
from rnnimpl.__main__ import app
from tests.engines import ENGINES

ROOT = Path(__file__).parent.parent


@pytest.fixture
def few_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checks on one config only."""
    few = [case for case in conformance.cases() if case.example.id == "T11-B5-I13-H7-L1-D1-tanh-bias-float32"]
    monkeypatch.setattr(conformance, "cases", lambda: few)


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


def test_list_shows_every_implementation() -> None:
    result = invoke("list")
    assert result.exit_code == 0
    for name in rnnimpl.names():
        assert name in result.output


@pytest.mark.parametrize("width", [60, 80, 200])
def test_list_fits_with_whole_names(width: int) -> None:
    result = CliRunner(env={"COLUMNS": str(width)}).invoke(app, ["list"])
    assert {f"  {name}" for name in rnnimpl.names()} <= set(result.output.splitlines())
    assert all(len(line) <= width for line in result.output.splitlines())


@pytest.mark.parametrize("words", [(), ("list",), ("check",)])
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_the_help_names_no_types_of_python(words: tuple[str, ...], option: str) -> None:
    said = invoke(*words, option)
    assert said.exit_code == 0
    assert not [name for name in ("<bool>", "<str>", "<float") if name in said.output]


def test_list_as_json_says_why_not() -> None:
    """The JSON has a record for each implementation, with a reason or null for each device."""
    records = json.loads(invoke("list", "--json").output)
    assert [record["name"] for record in records] == list(rnnimpl.names())
    for record in records:
        assert record["unavailable"]
        assert record["unavailable"].get("cpu") is None or record["name"] in ENGINES
        assert record["summary"]


def test_list_and_help_load_no_framework() -> None:
    """`list` reads source files, and a verb imports what it needs when it runs."""
    code = (
        "import sys; from typer.testing import CliRunner; from rnnimpl.__main__ import app\n"
        "for arguments in (['--help'], ['list'], ['list', '--json']):\n"
        "    assert CliRunner().invoke(app, arguments).exit_code == 0\n"
        "print([name for name in ('torch', 'pandas', 'matplotlib', 'scipy', 'jax') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("verb", [command.callback.__name__ for command in app.registered_commands if command.callback])
def test_help_shows_an_example(verb: str) -> None:
    result = invoke(verb, "--help")
    assert result.exit_code == 0
    assert f"Example: python -m rnnimpl {verb}" in " ".join(result.output.split())


@pytest.mark.usefixtures("few_cases")
def test_check_passes_with_status_0_and_a_line_for_each_check() -> None:
    result = invoke("check", "numpy_loop")
    assert result.exit_code == 0
    for case in conformance.cases():
        assert f"\n{case.check.__name__} " in "\n" + result.output
    assert f"numpy_loop on cpu: {len(conformance.cases())} passed, 0 failed, 0 not supported" in result.output


def test_list_shows_the_cells() -> None:
    records = {record["name"]: record for record in json.loads(invoke("list", "--json").output)}
    assert records["torch_compile_module"]["cells"] == ["lstm"]
    assert "lstm" in invoke("list").output


@pytest.mark.usefixtures("few_cases")
def test_check_says_which_calls_gave_the_same_to_the_last_bit() -> None:
    """The table has the number of examples, for each check that compares two calls."""
    lines = CliRunner(env={"COLUMNS": "120"}).invoke(app, ["check", "numpy_loop"]).output.splitlines()
    identical = {line.split()[0]: line.rstrip().endswith("1 of 1") for line in lines if line.startswith("check_")}
    assert identical["check_repeatable"]
    assert identical["check_batch_independence"]
    assert not identical["check_output"]


@pytest.mark.usefixtures("few_cases")
@pytest.mark.parametrize("width", [60, 80])
def test_the_table_of_checks_fits_without_a_cut_number(width: int) -> None:
    """What has no room is left out: which calls were the same first, then errors and tolerances."""
    output = CliRunner(env={"COLUMNS": str(width)}).invoke(app, ["check", "numpy_loop"]).output
    lines = [line for line in output.splitlines() if line.startswith("check")]
    assert len(lines) == len({case.check for case in conformance.cases()}) + 1
    assert all(len(line) <= width for line in lines)
    assert "…" not in output
    assert ("tolerance" in lines[0]) == (width == 80)


@pytest.mark.usefixtures("few_cases")
def test_check_takes_the_slow_cases_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    few = [
        case
        for case in conformance.slow_cases()
        if (case.example.config.cell, case.example.config.dtype) == ("gru", "float32")
    ][:2]
    monkeypatch.setattr(conformance, "slow_cases", lambda: few)
    monkeypatch.setattr(conformance, "cases", list)
    assert "numpy_loop on cpu: 2 passed, 0 failed, 0 not supported" in invoke("check", "numpy_loop", "--slow").output


@pytest.mark.usefixtures("few_cases")
def test_check_counts_cells_that_are_not_named_as_not_supported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Examples of other cells are unsupported without a request to the process."""
    few = [*conformance.cases(), *(case for case in conformance.slow_cases() if case.example.config.cell == "lstm")][
        :99
    ]
    monkeypatch.setattr(conformance, "cases", lambda: few)
    lstm = sum(case.example.config.cell == "lstm" for case in few)
    output = invoke("check", "tests.faulty_implementations:PlainAlone").output
    assert lstm > 0
    assert f"{len(few) - lstm} passed, 0 failed, {lstm} not supported" in output


@pytest.mark.usefixtures("few_cases")
def test_check_fails_with_status_1_and_says_shapes_and_errors() -> None:
    result = invoke("check", "tests.broken.results:TransposedWeight")
    assert result.exit_code == 1
    assert "check_output failed 1 times, first on T11-B5-I13-H7-L1-D1-tanh-bias-float32:" in result.output
    assert "y (11, 5, 7) has error " in result.output
    assert "; expected " in result.output


@pytest.mark.usefixtures("few_cases")
def test_check_finds_a_module_in_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine_here.py").write_text(
        "from rnnimpl.impls.numpy_loop import NumpyLoop\nclass Mine(NumpyLoop):\n    pass\n", encoding="utf-8"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert invoke("check", "mine_here:Mine").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nn_rrn"], "did you mean nn_rnn"),
        (["no_such_module:Mine"], "there is no module 'no_such_module'"),
        (["rnnimpl.interface:Mine"], "rnnimpl.interface has no 'Mine'"),
        (["rnnimpl.interface:RnnConfig"], "expected a subclass of rnnimpl.Rnn"),
        (["numpy_loop", "--device", "cuda"], "--device is 'cuda'; expected one of cpu"),
        (["numpy_loop", "--device", "gpu"], "--device is 'gpu'; expected one of cpu"),
    ],
)
def test_wrong_use_is_status_2_and_one_sentence(arguments: list[str], said: str) -> None:
    """The sentence is on standard error, without a traceback."""
    result = invoke("check", *arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert result.stdout == ""


@pytest.mark.usefixtures("few_cases")
def test_a_reason_why_nothing_runs_is_shown_once() -> None:
    """The reason is shown once, not for each check."""
    result = invoke("check", "tests.faulty_implementations:Missing")
    assert result.exit_code == 2
    assert result.stderr == (
        "tests.faulty_implementations:Missing cannot be checked on cpu: the library is not installed: install it\n"
    )


@pytest.mark.usefixtures("few_cases")
def test_check_names_the_check_in_which_the_process_ended() -> None:
    """The exit status is 1, and the number of checks that were not made is shown."""
    result = invoke("check", "tests.faulty_implementations:Exits")
    assert result.exit_code == 1
    assert "the process ended with exit status 7 during check_output-T11-B5-I13-H7" in result.stdout
    not_made = len(conformance.cases()) - 1
    assert f"Exits on cpu: 0 passed, 1 failed, 0 not supported, {not_made} not made" in result.stdout
    assert "licence expired" in result.stderr


@pytest.mark.usefixtures("few_cases")
def test_check_that_is_interrupted_says_how_far_it_came(monkeypatch: pytest.MonkeyPatch) -> None:
    """The exit status is 130, and the number of checks that were made is shown."""

    def interrupted(*_: object, **__: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr("rnnimpl.conformance.apart.run_apart", interrupted)
    result = invoke("check", "numpy_loop")
    assert result.exit_code == 130
    assert result.stderr == f"interrupted: 0 of {len(conformance.cases())} checks were made\n"


@pytest.mark.usefixtures("few_cases")
def test_check_of_a_module_that_ends_the_interpreter_is_wrong_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A script without a guard, and one that parses the command line, is refused with status 2."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "argv", ["rnnimpl", "check", "script:Mine"])
    for code in ("import sys; sys.exit(0)", "import argparse; argparse.ArgumentParser().parse_args()"):
        (tmp_path / "script.py").write_text(code, encoding="utf-8")
        result = invoke("check", "script:Mine")
        assert result.exit_code == 2
        assert "implementation is 'script:Mine', but importing script ends with SystemExit" in result.stderr
        assert "`if __name__ == '__main__':`" in result.stderr


def test_the_program_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rnnimpl", "list"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "numpy_loop" in done.stdout
