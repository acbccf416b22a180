"""The verb `advise`: its answer to a model of one's own, and to what is none."""

from __future__ import annotations

import importlib.util
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from benchmarks import load_run
from benchmarks.measuring.sweeping.sweep_plan import SweepPlan
from benchmarks.reporting.analysis import Analysis
from benchmarks.store import Run
from tests import onnx_models
from tests.held_in_process import in_process as in_process
from tests.synthetic_runs import run_of, trial
from tests.verbs_in_a_place import measured, run

INPUT = ("--input", "7,3")


class Pickled:
    """An object whose loading makes a folder."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("executed",)


def _pickled_alone(path: Path) -> None:
    path.write_bytes(pickle.dumps(Pickled()))


def _zip_of_others(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/constants.pkl", b"")


def _tensors(path: Path, **shapes: tuple[int, ...]) -> None:
    torch.save({name.replace("__", "."): torch.zeros(shape) for name, shape in shapes.items()}, path)


def _onnx_without_layers(path: Path) -> None:
    from onnx import TensorProto, helper, save

    x = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "none", x[:1], x[1:])
    save(helper.make_model(graph), path)


BAD_FILES: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "no model": ("a.pt", lambda path: path.write_text("hello"), "a.pt: it is no file that torch.save wrote"),
    "empty": ("a.pt", lambda path: path.touch(), "a.pt: it is no file that torch.save wrote"),
    "another ending": ("a.txt", lambda path: path.touch(), "a.txt ends in '.txt'; expected module:factory, or a file"),
    "a folder": ("a.pt", lambda path: path.mkdir(), "a.pt is no regular file"),
    "no safetensors": ("a.safetensors", lambda path: path.write_text("hello"), "it is no .safetensors file"),
    "no ONNX": ("a.onnx", lambda path: path.write_text("hello"), "a.onnx: it is no ONNX file"),
    "executes": (
        "a.pt",
        lambda path: torch.save(Pickled(), path),
        "would execute; it was not loaded: save the weights alone by torch.save(model.state_dict(), FILE)",
    ),
    "executes, an old file": ("a.pth", _pickled_alone, "which loading would execute; it was not loaded"),
    "a whole module": ("a.pt", lambda path: torch.save(nn.LSTM(3, 4), path), "a pickled model"),
    "TorchScript": ("a.pt", _zip_of_others, "it is a TorchScript archive, which is a program"),
    "a tensor": ("a.pt", lambda path: torch.save(torch.zeros(2), path), "it holds a Tensor; expected a state dict"),
    "no layers": ("a.pt", lambda path: _tensors(path, weight=(2, 2)), "a.pt: it has no recurrent layer"),
    "no layers, ONNX": ("a.onnx", _onnx_without_layers, "no node is an RNN, LSTM or GRU; its nodes are Relu"),
    "projections": (
        "a.pt",
        lambda path: torch.save(nn.LSTM(3, 4, proj_size=2).state_dict(), path),
        "has no recurrent layer that can be measured: the model: an LSTM with projections (proj_size=2)",
    ),
    "one step": (
        "a.pt",
        lambda path: torch.save({"cell.weight_ih": torch.zeros(12, 3), "cell.weight_hh": torch.zeros(12, 4)}, path),
        "cell: a GRUCell, which computes one step a call",
    ),
    "another function": (
        "a.onnx",
        lambda path: onnx_models.write(path, nn.GRU(3, 4), linear_before_reset=0),
        "gru_0_0: GRU has linear_before_reset=0, by which the reset gate multiplies the state before",
    ),
    "fixed sizes": (
        "a.onnx",
        lambda path: onnx_models.write(path, nn.LSTM(3, 4), sizes=(9, 3)),
        "--input has T 7, which does not fit: the file fixes T of lstm_0_0 to 9",
    ),
}


@pytest.fixture
def unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing may be measured."""
    monkeypatch.setattr("benchmarks.advice.advise.start_sweep", measured)


@pytest.mark.usefixtures("in_process", "unmeasured")
@pytest.mark.parametrize("bad", BAD_FILES)
def test_a_bad_file_is_refused_in_a_sentence(place: Path, bad: str) -> None:
    """The status is 2, nothing is executed, measured or written."""
    name, write, said = BAD_FILES[bad]
    if name.endswith((".onnx", ".safetensors")):
        pytest.importorskip(name.rpartition(".")[2])
    write(place / name)
    result = run("advise", name, *INPUT)
    assert result.exit_code == 2
    assert said in " ".join(result.output.split())
    assert [path.name for path in place.iterdir()] == [name]


BAD_CODE = {
    "model": ("nothing", "the model is 'nothing'; expected module:factory, or a file that ends in .pt"),
    "file": ("nothing.pt", "nothing.pt does not exist; expected module:factory"),
    "module": ("nothing:build", "there is no module 'nothing'"),
    "factory": ("my_models:nothing", "my_models has no 'nothing'"),
    "raises": ("my_models:raising", "raising() raises RuntimeError: no data; expected a function without arguments"),
    "returns": ("my_models:number", "number() returns a int; expected an nn.Module"),
    "no layers": ("my_models:linear", "my_models:linear: it has no recurrent layer: none of its modules is an nn.RNN"),
    "features": ("my_models:embedded", "begins with an embedding, which takes token numbers: leave I out"),
    "stops": ("stopping:build", "the process that holds the model was lost: the process ended with exit status 3"),
}
CODE = """
import torch
def raising(): raise RuntimeError("no data")
def number(): return 3
def linear(): return torch.nn.Linear(2, 2)
def embedded(): return torch.nn.Sequential(torch.nn.Embedding(9, 3), torch.nn.LSTM(3, 4))
"""


@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize("bad", BAD_CODE)
def test_bad_code_is_refused_in_a_sentence(
    request: pytest.FixtureRequest, place: Path, monkeypatch: pytest.MonkeyPatch, bad: str
) -> None:
    """The status is 2. Code that ends its process ends the one that holds the model."""
    (place / "my_models.py").write_text(CODE)
    (place / "stopping.py").write_text("import os; os._exit(3)")
    monkeypatch.syspath_prepend(place)
    source, said = BAD_CODE[bad]
    if bad != "stops":
        request.getfixturevalue("in_process")
    result = run("advise", source, "--input", "7,3,3" if bad == "features" else "7,3")
    assert result.exit_code == 2
    assert said in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--input", "7"), "--input is '7'; expected T,B or T,B,I"),
        (("--input", "7,3", "--mode", "sleeping"), "--mode is 'sleeping'; expected one or more of inference, training"),
        (("--input", "7,3", "--may-use", "fuse_cpu"), "did you mean fused_cpu"),
        (("--input", "7,3", "--threads", "100000"), "threads is 100000; expected at most"),
        ((), "Missing option '--input'"),
    ],
)
@pytest.mark.usefixtures("in_process", "unmeasured")
def test_a_bad_request_is_refused_in_a_sentence(place: Path, words: tuple[str, ...], said: str) -> None:
    torch.save(nn.LSTM(3, 4).state_dict(), place / "a.pt")
    result = run("advise", "a.pt", *words)
    assert result.exit_code == 2
    assert said in " ".join(result.output.split())


def swept(plan: SweepPlan, *, out: Path, **_: object) -> Run:
    """A run in which the plan's workloads were measured: `fused_cpu` takes half the time of the others."""
    seconds = {name: 1e-3 if name == "fused_cpu" else 2e-3 for name in plan.implementations}
    return run_of(out, [trial(name, of, took) for of in plan.workloads for name, took in seconds.items()])


@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize(
    ("name", "words"),
    [
        *((name, ()) for name in ("Tagger", "a.pt", "a.safetensors", "a.onnx")),
        ("Tagger", ("--mode", "training,inference", "--may-use", "fused_cpu")),
    ],
)
def test_each_source_is_answered(
    place: Path, monkeypatch: pytest.MonkeyPatch, name: str, words: tuple[str, ...]
) -> None:
    """Ten lines for each input and mode, by an ordinary run that has the model; what is left out is named."""
    monkeypatch.setattr("benchmarks.advice.advise.start_sweep", swept)
    monkeypatch.setattr("benchmarks.advice.advise.SHARE_SECONDS", 0.0)
    reports: list[Analysis] = []
    monkeypatch.setattr("benchmarks.reporting.report.write_report", reports.append)
    odd = {"odd.weight_ih": torch.zeros(12, 3), "odd.weight_hh": torch.zeros(12, 4)}
    state_dict = {f"rnn.{each}": value for each, value in nn.LSTM(3, 4).state_dict().items()} | odd
    source = f"tests.example_models:{name}"
    if name != "Tagger":
        source = name
        if name.endswith(".pt"):
            torch.save(state_dict, name)
        elif name.endswith(".safetensors"):
            pytest.importorskip("safetensors.torch").save_file(state_dict, name)
        else:
            pytest.importorskip("onnx")
            onnx_models.write(place / name, nn.LSTM(3, 4))
    result = run("advise", source, "--input", "5,2", "--input", "3,1", "--threads", "1", "--out", "out", *words)
    assert result.exit_code == 0, result.output
    answers = 2 * (2 if words else 1)
    lines = [line.split()[0] for line in result.output.splitlines() if line]
    assert [lines.count(word) for word in ("model", "answer", "whole", "do", "run")] == [answers] * 5
    assert result.output.count("use fused_cpu: 2.00") == answers
    assert ("left out odd: a GRUCell" in result.output) == (name in ("a.pt", "a.safetensors"))
    # ONNX Runtime, where it is installed, says the share of the layers of a file.
    has_share = name == "Tagger" or (name == "a.onnx" and importlib.util.find_spec("onnxruntime") is not None)
    assert result.output.count(" of a call of ") == (answers if has_share else 0)
    assert result.output.count("packed sequences were measured as if") == (answers if name == "Tagger" else 0)
    frame = load_run("out")
    assert set(zip(frame["T"], frame["B"], strict=True)) == {(5, 2), (3, 1)}
    model = json.loads((place / "out" / "run.json").read_text())["model"]
    assert model["source"] == source
    assert [each["input"][:2] for each in model["asked"]] == [[5, 2]] * (answers // 2) + [[3, 1]] * (answers // 2)
    assert [analysis.runs[0].folder for analysis in reports] == [Path("out")]


@pytest.mark.slow
def test_a_model_is_measured(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real answer, from a factory in the current folder whose prints are not shown."""
    (place / "mine.py").write_text("import torch\ndef build():\n    print('hello')\n    return torch.nn.GRU(3, 4)\n")
    monkeypatch.syspath_prepend(place)
    words = ("--may-use", "numpy_hoisted", "--threads", "1", "--budget", "20s", "--out", "out")
    result = run("advise", "mine:build", "--input", "5,2", *words)
    assert result.exit_code == 0, result.output
    assert " of a call of " in result.output
    assert "hello" not in result.output
    assert set(load_run("out")["implementation"]) == {"nn_rnn", "numpy_hoisted"}
