"""The regression cases as pytest-benchmark suites: their cases, their checks, and the tools that read their results."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.machine import machine_key
from benchmarks.measuring.measure import Wrong
from benchmarks.suite import test_speed as suite
from benchmarks.suite.cases import regression_cases
from benchmarks.suite_engines import test_speed as suite_engines
from benchmarks.suite_engines.cases import engine_cases
from benchmarks.suite_gated import test_speed as suite_gated
from benchmarks.suite_gated.cases import gated_cases
from benchmarks.workload import Case
from rnnimpl import RnnConfig, Unavailable, Weights, load
from rnnimpl.impls.numpy_loop import NumpyLoop
from rnnimpl.registry import listing
from tests.broken.base import Sound
from tests.broken.results import TransposedWeight

ROOT = Path(__file__).parent.parent
BOTH = pytest.mark.parametrize(("cases", "folder"), [(regression_cases, "suite"), (gated_cases, "suite_gated")])
CASE = "numpy_hoisted/cpu/training/T2-B64-I256-H256-L1-tanh-float32"


class Recorder:
    """A stand-in for pytest-benchmark's fixture, which keeps `extra_info` and makes one call."""

    def __init__(self) -> None:
        self.extra_info: dict[str, Any] = {}
        self.called = 0

    def __call__(self, call: Any) -> None:
        self.called += 1
        call()


@BOTH
def test_there_are_a_dozen_cases_or_more_on_one_thread(cases: Callable[[], tuple[Case, ...]], folder: str) -> None:
    """Each case is there once, in inference or training, under an ID that can be typed again."""
    on_cpu = [case for case in cases() if case.workload.device == "cpu"]
    assert len(set(on_cpu)) == len(on_cpu) >= 12, folder
    assert {case.workload.mode for case in on_cpu} == {"inference", "training"}
    assert {case.workload.threads for case in on_cpu} == {1}
    assert all(Case.parse(case.id) == case for case in on_cpu)


@BOTH
def test_cuda_cases_are_there_where_a_gpu_is(
    cases: Callable[[], tuple[Case, ...]], folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine without a GPU has none."""
    monkeypatch.setattr(f"benchmarks.{folder}.cases.devices_here", lambda: ("cpu",))
    without = cases()
    monkeypatch.setattr(f"benchmarks.{folder}.cases.devices_here", lambda: ("cpu", "cuda"))
    assert {case.workload.device for case in set(cases()) - set(without)} == {"cuda"}


def test_gated_cases_stand_in_a_folder_of_their_own() -> None:
    """One more case in a suite would begin a new history of every case in it."""
    assert {case.workload.cell for case in regression_cases()} == {"tanh"}
    assert {case.workload.cell for case in gated_cases()} == {"lstm", "gru"}


def test_gated_cases_are_of_implementations_that_compute_the_cell() -> None:
    """Each workload has two or more, with PyTorch's own."""
    by_workload: dict[str, set[str]] = {}
    for case in gated_cases():
        assert case.workload.cell in load(case.implementation).cells
        by_workload.setdefault(case.workload.id, set()).add(case.implementation)
    assert len(by_workload) >= 8
    assert all(len(names) >= 2 and "nn_rnn" in names for names in by_workload.values())


def test_engine_cases_are_of_implementations_with_requirements_of_their_own() -> None:
    """Each workload has the same engines, and each engine computes the cell."""
    found = {(case.workload.id, case.implementation) for case in engine_cases()}
    engines = {name for _, name in found}
    assert len(found) == len(engine_cases()) == len(engines) * 6
    for name in engines:
        facts = listing(name)
        assert facts.requires
        assert {"tanh", "lstm", "gru"} <= set(facts.cells)
    assert all(Case.parse(case.id) == case for case in engine_cases())


def test_an_engine_that_is_not_installed_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason says what to install."""

    def missing(_: str) -> None:
        raise Unavailable("pip install onnxruntime")

    monkeypatch.setattr(suite, "load", missing)
    with pytest.raises(pytest.skip.Exception, match="pip install onnxruntime"):
        suite_engines.test_speed(Recorder(), engine_cases()[0].id)  # type: ignore[arg-type]  # stands for the fixture


def test_a_wrong_lstm_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gated suite checks by the code of the other one."""
    monkeypatch.setattr(suite, "load", lambda _: LstmWithoutAForgetGate)
    recorder = Recorder()
    with pytest.raises(Wrong, match="has error"):
        suite_gated.test_speed(recorder, "nn_rnn/cpu/inference/T16-B1-I64-H64-L1-lstm-float32")  # type: ignore[arg-type]  # stands for the fixture
    assert recorder.called == 0


class LstmWithoutAForgetGate(NumpyLoop):
    """An LSTM whose forget gate has the weights of the input gate."""

    cells = ("lstm",)

    def __init__(self, config: RnnConfig, weights: Weights, device: str = "cpu") -> None:
        H = config.hidden_size
        arrays = {name: array.copy() for name, array in weights.arrays.items()}
        for array in arrays.values():
            array[H : 2 * H] = array[:H]
        super().__init__(config, Weights(config, arrays), device)


def test_a_right_implementation_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    """`extra_info` has its case, errors and set-up time."""
    monkeypatch.setattr(suite, "load", lambda _: Sound)
    recorder = Recorder()
    suite.test_speed(recorder, CASE)  # type: ignore[arg-type]  # stands for the fixture
    assert recorder.called == 1
    assert recorder.extra_info["case"] == CASE
    assert recorder.extra_info["workload"]["H"] == 256
    assert 0 < recorder.extra_info["error_gradient"] < 1e-5
    assert recorder.extra_info["setup_seconds"] > 0
    assert json.loads(json.dumps(recorder.extra_info)) == recorder.extra_info


def test_a_wrong_implementation_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the result that is outside its tolerance."""
    monkeypatch.setattr(suite, "load", lambda _: TransposedWeight)
    recorder = Recorder()
    with pytest.raises(Wrong, match="has error"):
        suite.test_speed(recorder, CASE)  # type: ignore[arg-type]  # stands for the fixture
    assert recorder.called == 0


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that pytest-benchmark writes of the NumPy cases, each timed briefly."""
    path = tmp_path_factory.mktemp("suite") / "numpy.json"
    quick = ("--benchmark-max-time=0.001", "--benchmark-min-rounds=2")
    done = pytest_in_a_process("benchmarks", "-k", "numpy", *quick, f"--benchmark-json={path}")
    assert done.returncode == 0, done.stdout
    return path


def pytest_in_a_process(*words: str, cwd: Path = ROOT, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run pytest at the top of the project as a user does, and not as a worker of the pytest that runs this test."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *words]
    return subprocess.run(command, cwd=cwd, env=environment | variables, capture_output=True, text=True, check=False)


def test_pytest_benchmarks_at_the_top_measures(saved: Path) -> None:
    """Every round is in the file, with the case in `extra_info`, its workload as group, and the machine."""
    written = json.loads(saved.read_text())
    measured = {entry["extra_info"]["case"]: entry for entry in written["benchmarks"]}
    cases = (*regression_cases(), *gated_cases())
    assert set(measured) == {case.id for case in cases if case.implementation.startswith("numpy")}
    for entry in measured.values():
        assert entry["group"] == entry["extra_info"]["case"].partition("/")[2]
        assert len(entry["stats"]["data"]) >= 2
        assert min(entry["stats"]["data"]) > 0
    assert written["machine_info"]["key"] == machine_key(written["machine_info"]["described"])
    assert written["machine_info"]["packages"]["numpy"]


def test_cases_run_on_one_thread(saved: Path) -> None:
    """The machine's own setting does not count."""
    entries = json.loads(saved.read_text())["benchmarks"]
    assert {entry["extra_info"]["describe"]["threads"] for entry in entries} == {"1"}


def test_pytest_benchmark_compares_what_it_saved(saved: Path, tmp_path: Path) -> None:
    """Its own command reads two files of this suite, and draws its histogram."""
    old, new = (Path(shutil.copy(saved, tmp_path / name)) for name in ("old.json", "new.json"))
    command = [sys.executable, "-m", "pytest_benchmark", "compare", str(old), str(new), "--group-by=fullname"]
    done = subprocess.run(
        [*command, f"--histogram={tmp_path / 'drawn'}"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("numpy_loop/cpu/training/T16-B1-I64-H64-L1-tanh-float32") >= 2
    assert list(tmp_path.glob("drawn*.svg"))


def test_pytest_benchmark_compares_with_what_it_saved_at_another_clock_rate(saved: Path, tmp_path: Path) -> None:
    """It warns, continues, and draws its histogram."""
    (tmp_path / "Linux-CPython").mkdir()
    content = json.loads(saved.read_text())
    content["machine_info"]["cpu"] = {"hz_actual_friendly": "1 GHz"}
    (tmp_path / "Linux-CPython" / "0001_old.json").write_text(json.dumps(content))
    quick = ("--benchmark-max-time=0.001", "--benchmark-min-rounds=2")
    stored = (
        f"--benchmark-storage={tmp_path}",
        "--benchmark-compare=*/0001",
        f"--benchmark-histogram={tmp_path / 'h'}",
    )
    # In the folder itself: pytest-benchmark compares with what is stored below the current one alone.
    suite = ("-c", str(ROOT / "pyproject.toml"), str(ROOT / "benchmarks/suite"), "-k", "numpy_loop and inference")
    done = pytest_in_a_process(*suite, *quick, *stored, cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("0001_old) ") == 1
    assert list(tmp_path.glob("h*.svg"))


def test_a_case_that_is_wrong_fails_and_nothing_else_does(tmp_path: Path) -> None:
    """pytest-benchmark has no result to save then, and does not fail for it."""
    (tmp_path / "test_wrong.py").write_text("def test_wrong(benchmark):\n    raise ValueError('y has error 1')\n")
    words = ("-c", str(ROOT / "pyproject.toml"), f"--benchmark-json={tmp_path / 'saved.json'}", "--benchmark-only")
    done = pytest_in_a_process(str(tmp_path), *words)
    assert done.returncode == 1
    assert "1 failed, 1 warning" in done.stdout or "1 failed, 2 warnings" in done.stdout, done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_codspeed_runs_the_suite_as_it_is(tmp_path: Path) -> None:
    """pytest-codspeed blocks pytest-benchmark."""
    quick = ("--codspeed-warmup-time=0", "--codspeed-max-time=0.001", "--codspeed-max-rounds=2")
    done = pytest_in_a_process(
        "benchmarks/suite", "-k", "numpy_loop", "--codspeed", *quick, CODSPEED_PROFILE_FOLDER=str(tmp_path)
    )
    assert done.returncode == 0, done.stdout
    (written,) = (tmp_path / "results").glob("*.json")
    names = [entry["name"] for entry in json.loads(written.read_text())["benchmarks"]]
    assert len(names) == 2
    assert all("numpy_loop/cpu" in name for name in names)
